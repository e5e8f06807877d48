"""The runtime is chosen by what the CPU has."""

from __future__ import annotations

import importlib.util

import pytest

from darkchannel.errors import SettingError
from darkchannel.speech.kokoro import runtime
from darkchannel.speech.kokoro.runtime import (
    RUNTIMES,
    best_for,
    choose,
    cpu_flags,
    has_bfloat16,
    usable,
)

SAPPHIRE_RAPIDS = {"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"}
ICE_LAKE = {"avx2", "avx512f", "avx512_vnni"}
SKYLAKE = {"avx2", "avx512f"}
MILAN = {"avx2", "fma"}
NEHALEM = {"sse4_2"}


@pytest.mark.parametrize(
    ("flags", "most", "chosen"),
    [
        (SAPPHIRE_RAPIDS, "", "openvino"),
        (SAPPHIRE_RAPIDS, "AVX512_CORE_AMX", "openvino"),
        (SAPPHIRE_RAPIDS, "AVX512_CORE_VNNI", "openvino"),
        (SAPPHIRE_RAPIDS, "AVX512_CORE", "float32"),
        (SAPPHIRE_RAPIDS, "avx2", "float32"),
        (ICE_LAKE, "", "openvino"),
        (SKYLAKE, "", "float32"),
        (MILAN, "", "float32"),
        (NEHALEM, "", "onnxruntime"),
        (set(), "", "onnxruntime"),
    ],
)
def test_whole_numbers_are_multiplied_only_where_the_cpu_is_fast_at_it(
    flags: set[str], most: str, chosen: str
) -> None:
    """VNNI, and not switched off: else float32, or what needs no vectors."""
    environment = {"ONEDNN_MAX_CPU_ISA": most} if most else {}
    assert best_for(flags, environment, has_openvino=True).runtime == chosen


@pytest.mark.parametrize(
    ("flags", "most", "has"),
    [
        (SAPPHIRE_RAPIDS, "", True),
        (SAPPHIRE_RAPIDS, "AVX512_CORE_AMX", True),
        (SAPPHIRE_RAPIDS, "AVX512_CORE_VNNI", False),
        (ICE_LAKE, "", False),
    ],
)
def test_bfloat16_is_computed_only_where_the_cpu_has_it(
    flags: set[str], most: str, has: bool
) -> None:
    """AMX or AVX512-BF16, and not switched off: emulated it would be slow."""
    assert has_bfloat16(flags, {"ONEDNN_MAX_CPU_ISA": most} if most else {}) is has


@pytest.mark.parametrize(
    ("flags", "most", "does"),
    [
        (SKYLAKE, "", True),
        (SKYLAKE, "AVX2", False),
        (ICE_LAKE, "AVX512_CORE", True),
        (ICE_LAKE, "", False),
        (ICE_LAKE, "AVX512_CORE_VNNI", False),
        (MILAN, "", False),
        (set(), "", False),
    ],
)
def test_openvino_is_refused_where_its_sums_overflow(
    flags: set[str], most: str, does: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AVX-512 without VNNI: a voice that is distorted is no choice, even if it is asked for."""
    monkeypatch.setattr(runtime, "cpu_flags", lambda: frozenset(flags))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", most)
    if does:
        with pytest.raises(SettingError, match="overflow"):
            choose("openvino")
    else:
        assert choose("openvino").runtime == "openvino"


@pytest.mark.parametrize(
    ("flags", "is_installed", "has"),
    [(ICE_LAKE, True, True), (ICE_LAKE, False, False), (SKYLAKE, True, False), (MILAN, True, True)],
)
def test_openvino_is_usable_where_it_is_installed_and_right(
    flags: set[str], is_installed: bool, has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others always are."""
    monkeypatch.setattr(runtime, "cpu_flags", lambda: frozenset(flags))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: is_installed or None)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert usable() == (RUNTIMES if has else RUNTIMES[:2])


def test_without_openvino_the_reason_says_what_to_install() -> None:
    """A CPU that could be twice as fast is told how."""
    choice = best_for(ICE_LAKE, {}, has_openvino=False)
    assert choice.runtime == "float32"
    assert "pip install 'darkchannel[openvino]'" in choice.reason


def test_a_setting_overrides_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each runtime can be asked for; another name lists them."""
    monkeypatch.setattr(runtime, "cpu_flags", lambda: frozenset(ICE_LAKE))
    for name in RUNTIMES:
        assert choose(name) == (name, "as DARKCHANNEL_KOKORO_RUNTIME says")
    with pytest.raises(SettingError, match="quantum") as refused:
        choose("quantum")
    assert ", ".join(RUNTIMES) in refused.value.remedy


def test_this_machine_has_a_runtime_and_a_reason() -> None:
    """Left to itself it chooses one for the CPU it finds."""
    choice = choose(None)
    assert choice.runtime in RUNTIMES
    assert "CPU" in choice.reason
    assert all(flag == flag.lower() for flag in cpu_flags())
