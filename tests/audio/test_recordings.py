"""Reference recordings: what is accepted, and each reason to refuse one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.audio.recordings import MAX_BYTES, SAMPLE_RATE, read_recording
from darkchannel.audio.wav import encode_wav
from darkchannel.errors import InputError
from tests.speech.openvoice.seeded import Array, voiced


def wav(samples: Array, rate: int = SAMPLE_RATE) -> bytes:
    """As a file."""
    return encode_wav(samples.astype(np.float32), rate)


def noise(seconds: float) -> Array:
    """Of all frequencies, as loud as speech."""
    random = np.random.Generator(np.random.PCG64(1))
    return (0.1 * random.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def swelling(samples: Array) -> Array:
    """As loud and quiet in turn as speech."""
    time = np.arange(len(samples)) / SAMPLE_RATE
    return (samples * (0.52 + 0.48 * np.sin(2 * np.pi * 3 * time))).astype(np.float32)


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac"])
def test_the_three_formats_are_read(kind: str, tmp_path: Path) -> None:
    """Six seconds at another rate in stereo come out as six seconds, mono, at the model's rate."""
    source, target = tmp_path / "source.wav", tmp_path / f"voice.{kind}"
    source.write_bytes(wav(voiced(6, 120, 1, 44_100), 44_100))
    command = [find_ffmpeg(), "-v", "error", "-i", str(source), "-ac", "2", str(target)]
    subprocess.run(command, check=True)
    recording = read_recording(target.read_bytes(), target.name)
    assert recording.seconds == pytest.approx(6, abs=0.1)
    assert recording.samples.dtype == np.float32
    assert -25 < recording.level_db < -5


def test_pauses_are_left_out_of_the_speech() -> None:
    """Three seconds of silence between two sentences are not who speaks; the recording is whole."""
    gap = np.zeros(3 * SAMPLE_RATE, np.float32)
    samples = np.concatenate([voiced(3, 120, 1), gap, voiced(3, 130, 2)])
    recording = read_recording(wav(samples), "voice.wav")
    assert recording.seconds == pytest.approx(9, abs=0.01)
    assert len(recording.speech) / SAMPLE_RATE == pytest.approx(6.4, abs=0.15)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"", "is empty"),
        (lambda: b"%PDF-1.7\n" + bytes(100), "is a PDF"),
        (lambda: b"PK\x03\x04" + bytes(100), "is something else"),
        (lambda: b"RIFF\x00\x00\x00\x00WAVEjunk", "cannot be decoded"),
        (lambda: b"fLaC" + bytes(1000), "cannot be decoded"),
        (lambda: b"\xff\xfb" + bytes(1000), "cannot be decoded|lasts"),
        (lambda: b"RIFF" + bytes(MAX_BYTES), "larger than 64 MiB"),
        (lambda: wav(voiced(4.9, 120, 1)), "lasts 4.9 seconds: expected 5 to 60"),
        (lambda: wav(voiced(60.5, 120, 1)), "lasts more than 60"),
        (lambda: wav(np.clip(4 * voiced(6, 120, 1), -1, 1)), "clipped"),
        (lambda: wav(0.005 * voiced(6, 120, 1)), "too quiet"),
        (lambda: wav(np.zeros(6 * SAMPLE_RATE, np.float32)), "too quiet"),
        (lambda: wav(noise(6)), "nobody seems to speak, or the room is too loud"),
        (lambda: wav(swelling(noise(6))), "nobody seems to speak: 0%"),
    ],
)
def test_what_cannot_be_used_is_refused(make: Callable[[], bytes], reason: str) -> None:
    """The error names the file and what was expected, and says how to record a good one."""
    data = make()  # not at import: every process that collects the tests would make them all
    with pytest.raises(InputError, match=reason) as refused:
        read_recording(data, "voice.wav")
    assert refused.value.message.count("voice.wav") >= 1
    assert "near the microphone" in refused.value.remedy
