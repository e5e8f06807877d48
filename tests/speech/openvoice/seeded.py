"""A small converter with weights from a seed, and sounds to convert: all made with numpy alone.

The graphs of it are committed under ``small/``: the real architecture with fewer channels, as
the real export makes them.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from darkchannel.speech.openvoice.engine import OpenVoiceEngine, VoiceSource
from darkchannel.speech.openvoice.voice import ClonedVoice
from darkchannel.speech.tone import ToneEngine

Array = npt.NDArray[np.float32]

SMALL = Path(__file__).with_name("small")
GOLDEN = Path(__file__).with_name("golden.npz")

RATE = 22_050

FULL_CONFIG: dict[str, Any] = {
    "data": {
        "sampling_rate": RATE,
        "filter_length": 1024,
        "hop_length": 256,
        "win_length": 1024,
        "n_speakers": 0,
    },
    "model": {
        "zero_g": True,
        "inter_channels": 192,
        "hidden_channels": 192,
        "filter_channels": 768,
        "n_heads": 2,
        "n_layers": 6,
        "kernel_size": 3,
        "p_dropout": 0.1,
        "resblock": "1",
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "upsample_rates": [8, 8, 2, 2],
        "upsample_initial_channel": 512,
        "upsample_kernel_sizes": [16, 16, 4, 4],
        "gin_channels": 256,
    },
}
"""Of the size of the real one."""

SMALL_CONFIG: dict[str, Any] = {
    "data": FULL_CONFIG["data"] | {"filter_length": 64, "hop_length": 16, "win_length": 64},
    "model": FULL_CONFIG["model"]
    | {
        "inter_channels": 8,
        "hidden_channels": 8,
        "upsample_rates": [4, 4],
        "upsample_initial_channel": 8,
        "upsample_kernel_sizes": [8, 8],
        "resblock_kernel_sizes": [3, 5],
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5]],
        "gin_channels": 16,
    },
}


_GAINS = {"ref_enc.proj.weight": 12.0, "cond_layer.weight": 4.0}
"""So that who speaks is heard: names hold the first part that fits."""


def weights(shapes: dict[str, tuple[int, ...]], seed: int = 1) -> dict[str, Array]:
    """Weights by name, of a size that keeps sound neither silent nor saturated.

    Args:
        shapes: of each tensor of a model's state.
        seed: another one gives another model.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    made: dict[str, Array] = {}
    for name in sorted(shapes):
        shape = shapes[name]
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        spread = 1.0 if "layernorm.weight" in name else 0.8 / np.sqrt(fan_in)
        spread *= next((gain for part, gain in _GAINS.items() if part in name), 1.0)
        made[name] = (random.standard_normal(shape) * spread).astype(np.float32)
        if len(shape) == 1:
            made[name] *= np.float32(0.1)
        if name.endswith("layernorm.weight"):
            made[name] += 1
    for name, shape in shapes.items():
        if name.endswith("weight_g"):
            along = tuple(range(1, len(shape)))
            direction = made[name.removesuffix("g") + "v"]
            made[name] = np.sqrt(np.sum(direction**2, axis=along, keepdims=True))
    return made


def voiced(seconds: float, pitch: float, seed: int, rate: int = RATE) -> Array:
    """A buzz with syllables and a formant, somewhat like somebody speaking; within [-1, 1]."""
    random = np.random.Generator(np.random.PCG64(seed))
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * pitch * (time + 0.02 * np.sin(2 * np.pi * 1.3 * time))
    formant = random.uniform(500, 1500)
    sound = np.zeros(len(time))
    for harmonic in range(1, int(9000 / pitch)):
        level = 1 / (1 + ((harmonic * pitch - formant) / 600) ** 2)
        sound += level * np.sin(harmonic * phase)
    sound *= 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * time)
    scaled: Array = (0.5 * sound / np.abs(sound).max()).astype(np.float32)
    return scaled


def noise(shape: tuple[int, ...], seed: int) -> Array:
    """Of a normal distribution."""
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape, np.float32)


def cloned(name: str, language: str = "pt-BR", *, seed: int = 1) -> ClonedVoice:
    """A voice of nobody."""
    return ClonedVoice(name, language, noise((16,), seed).astype("<f4").tobytes())


def fixed(*voices: ClonedVoice) -> VoiceSource:
    """Voices that never change."""
    return functools.partial(tuple, voices)


VOICES = (cloned("ana", seed=1), cloned("rui", seed=2), cloned("eve", "en-US", seed=3))


@functools.cache
def small_model() -> Path:
    """A folder with the small model, where sources can be kept."""
    folder = Path(tempfile.mkdtemp(prefix="darkchannel-openvoice-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(shutil.copytree(SMALL, folder / "openvoice"))


def small_openvoice() -> OpenVoiceEngine:
    """The small model on the tone engine, with two Portuguese voices and an English one."""
    return OpenVoiceEngine(ToneEngine(), small_model(), fixed(*VOICES))
