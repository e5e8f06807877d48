"""What the reference code computes, kept in ``golden.npz``; and the small model beside it.

Needs torch, onnx, soxr and openvoice-cli 0.0.5 (``pip install --no-deps``), which the project's
own environment has not: run ``python -m tests.speech.openvoice.golden`` in one that has them.
Arrays of the file:

    spectrogram      of ``voiced(0.37, 110, 3)`` at the real size, shape [513, frames]
    small.*          of the small model: spectrogram, source and target embedding, samples
    resampled        ``voiced(0.2, 150, 5, 24_000)`` at 22,050 Hz by libsoxr, as librosa does it
"""

from __future__ import annotations

import json
import sys
import tempfile
import types
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from darkchannel.speech.openvoice.export import build, export
from tests.speech.openvoice.seeded import (
    GOLDEN,
    RATE,
    SMALL,
    SMALL_CONFIG,
    Array,
    noise,
    voiced,
    weights,
)

SECONDS = 6000 / RATE
TAU = 0.3


def reference_spectrogram(samples: Array, data: dict[str, Any]) -> Any:
    """The reference code's, shape [1, bins, frames]; it asks librosa only for what mel needs."""
    import torch

    for name in ("librosa", "librosa.filters"):
        sys.modules.setdefault(name, types.SimpleNamespace(mel=None))  # type: ignore[arg-type]
    from openvoice_cli.mel_processing import spectrogram_torch

    original = torch.stft

    def stft(*arguments: Any, **options: Any) -> Any:
        # Newer versions of torch give complex numbers only.
        options["return_complex"] = True
        return torch.view_as_real(original(*arguments, **options))

    with mock.patch.object(torch, "stft", stft):
        return spectrogram_torch(
            torch.from_numpy(samples)[None],
            data["filter_length"],
            data["sampling_rate"],
            data["hop_length"],
            data["win_length"],
            center=False,
        )


def seeded_model(config: dict[str, Any], seed: int = 1) -> Any:
    """The reference model with weights from a seed."""
    import torch

    model = build(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    made = weights(shapes, seed)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in made.items()})
    return model


def save_checkpoint(config: dict[str, Any], folder: Path, seed: int = 1) -> tuple[Path, Path]:
    """A checkpoint and its config as they are published; their paths."""
    import torch

    checkpoint, settings = folder / "checkpoint.pth", folder / "config.json"
    torch.save({"model": seeded_model(config, seed).state_dict()}, checkpoint)
    settings.write_text(json.dumps(config))
    return checkpoint, settings


def reference(model: Any, data: dict[str, Any], source: Array, target: Array) -> dict[str, Array]:
    """A conversion by the reference code, with noise of seed 9 for what it draws."""
    import torch

    with torch.no_grad():
        magnitudes = reference_spectrogram(source, data)
        other = reference_spectrogram(target, data)
        speaks = model.ref_enc(magnitudes.transpose(1, 2)).unsqueeze(-1)
        shall_speak = model.ref_enc(other.transpose(1, 2)).unsqueeze(-1)

        def drawn(like: Any) -> Any:
            return torch.from_numpy(noise(tuple(like.shape), 9))

        with mock.patch.object(torch, "randn_like", drawn):
            lengths = torch.LongTensor([magnitudes.size(-1)])
            samples = model.voice_conversion(magnitudes, lengths, speaks, shall_speak, tau=TAU)[0]
    return {
        "spectrogram": magnitudes[0].numpy(),
        "source": speaks[0, :, 0].numpy(),
        "target": shall_speak[0, :, 0].numpy(),
        "samples": samples[0, 0].numpy(),
    }


def main() -> None:
    """Make the small model and the file."""
    import soxr

    with tempfile.TemporaryDirectory() as place:
        export(*save_checkpoint(SMALL_CONFIG, Path(place)), SMALL)
    small = reference(
        seeded_model(SMALL_CONFIG),
        SMALL_CONFIG["data"],
        voiced(SECONDS, 120, 1),
        voiced(SECONDS, 210, 2),
    )
    full = SMALL_CONFIG["data"] | {"filter_length": 1024, "hop_length": 256, "win_length": 1024}
    arrays = {f"small.{name}": value for name, value in small.items()}
    arrays["spectrogram"] = reference_spectrogram(voiced(0.37, 110, 3), full)[0].numpy()
    arrays["resampled"] = soxr.resample(voiced(0.2, 150, 5, 24_000), 24_000, RATE, "HQ")
    np.savez_compressed(GOLDEN, **arrays)  # type: ignore[arg-type]
    for name, value in arrays.items():
        print(name, value.shape, f"rms {np.sqrt(np.mean(value**2)):.4f}")


if __name__ == "__main__":
    main()
