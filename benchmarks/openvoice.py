"""Seconds of conversion for a second of audio: ours against the reference on torch, one thread."""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.speech.openvoice.seeded import FULL_CONFIG, Array, noise, voiced

from benchmarks.table import Row, machine
from darkchannel.speech.kokoro.runtime import choose, cpu_flags, has_bfloat16
from darkchannel.speech.openvoice.converter import Converter
from darkchannel.speech.openvoice.export import export

SECONDS = 10.0
ROUNDS = 3
TIMES_FASTER = 4.0
"""Asked for where the CPU has AMX; elsewhere the figure is only told."""


def run() -> list[Row]:
    """Convert the same 10 seconds with each, by turns; weights of the real size, from a seed."""
    missing = [n for n in ("torch", "openvoice_cli") if importlib.util.find_spec(n) is None]
    if missing:
        return [Row(f"skipped: {' and '.join(missing)} not installed", "", "", True)]
    from tests.speech.openvoice.golden import save_checkpoint, seeded_model

    samples = voiced(SECONDS, 120, 1)
    with tempfile.TemporaryDirectory() as name:
        export(*save_checkpoint(FULL_CONFIG, Path(name)), Path(name) / "model")
        ours = _ours(Path(name) / "model")
        width = next(iter(ours.values())).about.width
        source, target = noise((width,), 1), noise((width,), 2)
        ways: dict[str, Callable[[], object]] = {
            library: partial(converter.convert, samples, source, target, seed=bytes(16))
            for library, converter in ours.items()
        }
        ways["torch"] = _reference(seeded_model(FULL_CONFIG), samples, source, target)
        for work in ways.values():
            work()  # loads, and compiles
        rounds = [{way: _timed(work) for way, work in ways.items()} for _ in range(ROUNDS)]
    return _rows(rounds, list(ours))


def _ours(folder: Path) -> dict[str, Converter]:
    """By what computes the vocoder."""
    ways = {"onnxruntime": Converter(folder)}
    if importlib.util.find_spec("openvino") is not None:
        precision = "bf16" if has_bfloat16(cpu_flags(), os.environ) else "f32"
        ways["openvino"] = Converter(folder, precision=precision)
    return ways


def _rows(rounds: Sequence[Mapping[str, float]], ours: Sequence[str]) -> list[Row]:
    taken = {
        way: f"{statistics.median(each[way] for each in rounds) / SECONDS:.2f}"
        for way in ("torch", *ours)
    }
    ratios = {way: [each["torch"] / each[way] for each in rounds] for way in ours}
    told = {
        way: f"{statistics.median(some):.2f} ({min(some):.2f} to {max(some):.2f})"
        for way, some in ratios.items()
    }
    is_openvino = choose(None).runtime == "openvino" and has_bfloat16(cpu_flags(), os.environ)
    used = "openvino" if is_openvino else "onnxruntime"
    reached = statistics.median(ratios[used])
    return [
        Row("compute seconds a second of audio", taken, "", True),
        Row(
            "torch : it, by the round",
            {"torch": ""} | told,
            f"{used} at least {TIMES_FASTER:g} with AMX",
            reached >= TIMES_FASTER or "amx_bf16" not in machine(),
        ),
    ]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _reference(model: Any, samples: Array, source: Array, target: Array) -> Callable[[], object]:
    """The reference code's conversion, spectrogram included, on one thread."""
    import torch
    from tests.speech.openvoice.golden import reference_spectrogram

    torch.set_num_threads(1)
    whose, whom = (torch.from_numpy(vector.reshape(1, -1, 1)) for vector in (source, target))

    def convert() -> object:
        with torch.no_grad():
            magnitudes = reference_spectrogram(samples, FULL_CONFIG["data"])
            lengths = torch.LongTensor([magnitudes.size(-1)])
            return model.voice_conversion(magnitudes, lengths, whose, whom, tau=0.3)

    return convert
