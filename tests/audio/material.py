"""Synthetic takes, and an ear for what became of them."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.audio.wav import encode_wav
from darkchannel.models import ChapterMark, Chunk, Plan, Take, Utterance

Samples = npt.NDArray[np.float32]
RATE = 24_000


@dataclass(frozen=True)
class Material:
    """A plan with takes that fit it."""

    plan: Plan
    takes: list[Take]
    wavs: list[bytes]

    def read(self) -> Iterator[bytes]:
        """What a store would give."""
        yield from self.wavs


def sine(seconds: float, level: float = 0.3, rate: int = RATE) -> Samples:
    """A tone of 1 kHz that starts and stops at once."""
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)


def speech_like(seconds: float, level: float = 0.5, seed: int = 0) -> Samples:
    """A buzz with formant-like colour in syllables of changing strength, and hiss between."""
    random = np.random.default_rng(seed)
    frames = round(seconds * RATE)
    time = np.arange(frames) / RATE
    pitch = 180 * (1 + 0.05 * np.sin(2 * np.pi * 0.7 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    buzz = sum(np.cos(n * phase) / n**1.2 for n in range(1, 20))
    strength = np.interp(
        time,
        np.arange(0, seconds + 0.2, 0.1),
        random.uniform(0.2, 1, 500)[: len(np.arange(0, seconds + 0.2, 0.1))],
    )
    syllables = strength * np.abs(np.sin(2 * np.pi * 2.2 * time)) ** 0.7
    hiss = 0.02 * random.standard_normal(frames)
    sound = syllables * buzz + hiss * syllables
    loudest = float(np.abs(sound).max())
    return np.asarray(level * sound / loudest, np.float32)


def peaky(seconds: float, seed: int = 0) -> Samples:
    """Speech-like sound under sharp clicks 25 dB above its RMS."""
    sound = speech_like(seconds, 1.0, seed)
    sound *= np.float32(0.9 / 10 ** (25 / 20) / np.sqrt(np.mean(sound**2)))
    sound[RATE // 3 :: RATE // 2] = 0.9
    return sound


def material(
    sounds: Sequence[Samples],
    *,
    pauses: Sequence[float] | None = None,
    chapters: Sequence[ChapterMark] = (),
    texts: Sequence[tuple[str, ...]] | None = None,
    rate: int = RATE,
) -> Material:
    """A plan whose chunks were read as these sounds."""
    pauses = pauses or [0.3] * len(sounds)
    texts = texts or [(f"Frase de número {at}.",) for at in range(1, len(sounds) + 1)]
    wavs = [encode_wav(sound, rate) for sound in sounds]
    chunks = []
    takes = []
    for index, (sound, wav, pause, said) in enumerate(
        zip(sounds, wavs, pauses, texts, strict=True), 1
    ):
        digest = f"{index:064x}"
        utterances = tuple(Utterance(text, text, "pt-BR") for text in said)
        tokens = max(1, round(len(sound) / rate / 0.047))
        chunks.append(Chunk(index, utterances, "v", "pt-BR", 1.0, tokens, pause, digest))
        sha = hashlib.sha256(wav).hexdigest()
        takes.append(Take(index, digest, f"chunk-{index:05}.wav", sha, len(sound), rate))
    plan = Plan("Livro", "tone", 1, tuple(chunks), tuple(chapters), (), (), 1.0)
    return Material(plan, takes, wavs)


def decode(path: Path, rate: int = 44_100) -> Samples:
    """What a player hears, shape ``[frames]``."""
    command = [find_ffmpeg(), "-v", "error", "-i", str(path), "-map", "0:a:0"]
    played = subprocess.run(
        [*command, "-f", "f32le", "-ar", str(rate), "-ac", "1", "-"],
        capture_output=True,
        check=True,
    )
    return np.frombuffer(played.stdout, "<f4")
