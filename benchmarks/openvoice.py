"""Seconds of conversion for a second of audio: onnxruntime against torch, on one thread."""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.speech.openvoice.seeded import FULL_CONFIG, Array, noise, voiced

from benchmarks.table import Row, machine
from darkchannel.speech.openvoice.converter import Converter
from darkchannel.speech.openvoice.export import export

SECONDS = 10.0
ROUNDS = 3
TIMES_FASTER = 4.0
"""Asked for where the CPU has AMX; elsewhere the figure is only told."""


def run() -> list[Row]:
    """Convert the same 10 seconds with both, by turns; weights of the real size, from a seed."""
    missing = [n for n in ("torch", "openvoice_cli") if importlib.util.find_spec(n) is None]
    if missing:
        return [Row(f"skipped: {' and '.join(missing)} not installed", "", "", True)]
    from tests.speech.openvoice.golden import save_checkpoint, seeded_model

    samples = voiced(SECONDS, 120, 1)
    with tempfile.TemporaryDirectory() as name:
        export(*save_checkpoint(FULL_CONFIG, Path(name)), Path(name) / "model")
        converter = Converter(Path(name) / "model")
        source, target = noise((converter.about.width,), 1), noise((converter.about.width,), 2)

        def ours() -> None:
            converter.convert(samples, source, target, seed=bytes(16))

        theirs = _reference(seeded_model(FULL_CONFIG), samples, source, target)
        pairs = [(_timed(ours), _timed(theirs)) for _ in range(ROUNDS + 1)][1:]
    columns = zip(*pairs, strict=True)
    ours_seconds, their_seconds = (statistics.median(times) / SECONDS for times in columns)
    ratios = [theirs / ours for ours, theirs in pairs]
    ratio = statistics.median(ratios)
    amx = "amx_bf16" in machine()
    return [
        Row("onnxruntime, compute seconds a second of audio", f"{ours_seconds:.2f}", "", True),
        Row("torch, the same", f"{their_seconds:.2f}", "", True),
        Row(
            f"torch : onnxruntime, by the pair ({min(ratios):.2f} to {max(ratios):.2f})",
            f"{ratio:.2f}",
            f"at least {TIMES_FASTER:g} with AMX",
            ratio >= TIMES_FASTER or not amx,
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
