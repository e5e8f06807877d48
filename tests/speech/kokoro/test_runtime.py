"""The runtime is chosen by what the CPU has."""

from __future__ import annotations

import pytest

from darkchannel.errors import SettingError
from darkchannel.speech.kokoro.runtime import RUNTIMES, best_for, choose, cpu_flags, precision

SAPPHIRE_RAPIDS = {"avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile"}
COOPER_LAKE = {"avx2", "avx512f", "avx512_bf16"}
SKYLAKE = {"avx2", "avx512f"}
MILAN = {"avx2", "fma"}
NEHALEM = {"sse4_2"}


@pytest.mark.parametrize(
    ("flags", "environment", "runtime", "computes_in"),
    [
        (SAPPHIRE_RAPIDS, {}, "openvino", "bf16"),
        (COOPER_LAKE, {}, "openvino", "bf16"),
        (SAPPHIRE_RAPIDS, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, "float32", "f32"),
        (SAPPHIRE_RAPIDS, {"ONEDNN_MAX_CPU_ISA": "avx2"}, "float32", "f32"),
        (SAPPHIRE_RAPIDS, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}, "openvino", "bf16"),
        (SKYLAKE, {}, "float32", "f32"),
        (MILAN, {}, "float32", "f32"),
        (NEHALEM, {}, "onnxruntime", "f32"),
        (set(), {}, "onnxruntime", "f32"),
    ],
)
def test_bfloat16_is_computed_only_where_the_cpu_has_it(
    flags: set[str], environment: dict[str, str], runtime: str, computes_in: str
) -> None:
    """AMX or AVX512-BF16, and not switched off: else float32, or what needs no vectors."""
    assert best_for(flags, environment, has_openvino=True).runtime == runtime
    assert precision(flags, environment) == computes_in


def test_without_openvino_the_reason_says_what_to_install() -> None:
    """A CPU that could be several times as fast is told how."""
    choice = best_for(SAPPHIRE_RAPIDS, {}, has_openvino=False)
    assert choice.runtime == "float32"
    assert "pip install 'darkchannel[openvino]'" in choice.reason


def test_a_setting_overrides_the_machine() -> None:
    """Each runtime can be asked for; another name lists them."""
    for runtime in RUNTIMES:
        assert choose(runtime) == (runtime, "as DARKCHANNEL_KOKORO_RUNTIME says")
    with pytest.raises(SettingError, match="quantum") as refused:
        choose("quantum")
    assert ", ".join(RUNTIMES) in refused.value.remedy


def test_this_machine_has_a_runtime_and_a_reason() -> None:
    """Left to itself it chooses one for the CPU it finds."""
    choice = choose(None)
    assert choice.runtime in RUNTIMES
    assert "CPU" in choice.reason
    assert all(flag == flag.lower() for flag in cpu_flags())
