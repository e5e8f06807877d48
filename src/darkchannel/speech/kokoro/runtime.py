"""What computes the model, and which of them a machine uses."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from darkchannel.errors import SettingError

Array = npt.NDArray[np.float32]

RUNTIMES = ("float32", "onnxruntime", "openvino")
"""``openvino`` multiplies whole numbers of 8 bits in decoder and generator, on CPUs that multiply
such numbers four times as fast as floats.  ``float32`` computes with float weights, and convolves
by Fourier transforms.  ``onnxruntime`` computes the published graph, which rounds signals more
coarsely and everywhere, as other tools do: no preparation, less disk, further from the model as it
was trained."""

WHOLE_NUMBERS_FLAG = "avx512_vnni"
"""Of a CPU where ``openvino`` was measured to be the fastest; those with AMX have it too."""

BFLOAT16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})

_WITHOUT_WHOLE_NUMBERS = frozenset(
    {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE"}
)
_WITHOUT_BFLOAT16 = _WITHOUT_WHOLE_NUMBERS | {"AVX512_CORE_VNNI"}
"""Values of ONEDNN_MAX_CPU_ISA, by which OpenVINO may be told to use less than the CPU has."""


class Spoken(NamedTuple):
    """What a runtime makes of tokens.

    Attributes:
        samples: at 24 kHz, shape ``[frames]``, with the silence the model puts around them.
        bounds: seconds at which each token begins, then the end of the last: one more than
            tokens; None where the runtime does not know.
    """

    samples: Array
    bounds: tuple[float, ...] | None


class Runtime(Protocol):
    """The model, loaded and ready; used by one thread at a time."""

    def run(self, tokens: Sequence[int], style: Array, speed: float) -> Spoken:
        """Speak tokens.

        Args:
            tokens: without padding.
            style: the voice's vector for that many tokens, shape ``[256]``.
            speed: relative to the voice's own.

        Raises:
            RuntimeError: these tokens cannot be computed.
        """
        ...


class Choice(NamedTuple):
    """A runtime, and in words why it is this one."""

    runtime: str
    reason: str


def choose(asked: str | None) -> Choice:
    """The runtime to use on this machine.

    Args:
        asked: by a setting; None leaves it to the machine.

    Raises:
        SettingError: there is none of that name, or it does not compute right on this CPU.
    """
    if asked is None:
        return best_for(cpu_flags(), os.environ)
    if asked == "openvino" and overflows(cpu_flags(), os.environ):
        raise SettingError(
            "the Kokoro runtime openvino would distort: on CPUs with AVX-512 but without VNNI, "
            "sums of its 8-bit products overflow",
            remedy="unset DARKCHANNEL_KOKORO_RUNTIME, or choose float32",
        )
    if asked not in RUNTIMES:
        raise SettingError(
            f"unknown Kokoro runtime {asked!r}", remedy=f"choose one of {', '.join(RUNTIMES)}"
        )
    return Choice(asked, "as DARKCHANNEL_KOKORO_RUNTIME says")


def best_for(
    flags: Collection[str], environment: Mapping[str, str], *, has_openvino: bool | None = None
) -> Choice:
    """The fastest runtime for a CPU that sounds right on it.

    Args:
        flags: of the CPU, as Linux names them; empty where they are not known.
        environment: may hold ONEDNN_MAX_CPU_ISA.
        has_openvino: whether it is installed; None means to look.
    """
    capped = _most(environment) in _WITHOUT_WHOLE_NUMBERS
    if WHOLE_NUMBERS_FLAG in flags and not capped:
        if has_openvino is None:
            has_openvino = importlib.util.find_spec("openvino") is not None
        if has_openvino:
            return Choice("openvino", "this CPU multiplies 8-bit numbers fastest (VNNI)")
        return Choice(
            "float32",
            "openvino, which is faster on this CPU, is not installed: "
            "pip install 'darkchannel[openvino]'",
        )
    if "avx2" in flags:
        return Choice("float32", "this CPU has AVX2 but no AVX512-VNNI to use")
    return Choice("onnxruntime", "this CPU is not known to have AVX2")


def usable() -> tuple[str, ...]:
    """The runtimes that are installed and compute right on this machine."""
    refused = overflows(cpu_flags(), os.environ)
    has_openvino = importlib.util.find_spec("openvino") is not None and not refused
    return tuple(name for name in RUNTIMES if name != "openvino" or has_openvino)


def overflows(flags: Collection[str], environment: Mapping[str, str]) -> bool:
    """Whether OpenVINO's kernels for this CPU add two 8-bit products in 16 bits.

    Those for AVX-512 without VNNI do: measured with ONEDNN_MAX_CPU_ISA=AVX512_CORE, the voice is
    1.7 dB too quiet and 2.6 dB of log-mel distance away.  Those for AVX2 do not.
    """
    most = _most(environment)
    lacks_vnni = WHOLE_NUMBERS_FLAG not in flags or most == "AVX512_CORE"
    return "avx512f" in flags and lacks_vnni and most in {"", "AVX512_CORE"}


def has_bfloat16(flags: Collection[str], environment: Mapping[str, str]) -> bool:
    """Whether OpenVINO may compute in bfloat16.

    Without the hardware bfloat16 is emulated, several times slower than float32: never that.
    """
    return bool(BFLOAT16_FLAGS & set(flags)) and _most(environment) not in _WITHOUT_BFLOAT16


def _most(environment: Mapping[str, str]) -> str:
    return environment.get("ONEDNN_MAX_CPU_ISA", "").upper()


@cache
def cpu_flags() -> frozenset[str]:
    """The flags of this machine's CPU, as Linux names them; none where it does not tell."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return frozenset()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((x for x in lines if x.startswith("flags")), "").split())
