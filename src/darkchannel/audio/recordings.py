"""Reference recordings: whether a file is some seconds of one person speaking, and its samples."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from darkchannel.audio.ffmpeg import LOCAL_ONLY, run
from darkchannel.audio.levels import decibels
from darkchannel.errors import AudioError, InputError

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 22_050
"""What the converter hears."""

SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 60.0
MAX_BYTES = 64 << 20
"""A minute of 32 bits at 96 kHz in stereo takes 46 MB."""

CLIPPED_SHARE = 0.001
"""Share of samples at full scale above which a recording is distorted."""

QUIETEST_DB = -45.0
"""RMS of the speech; below it the noise of 16 bits and of the room is too near."""

LEAST_RANGE_DB = 18.0
"""Between the loudest and the quietest twentieth of 20 ms frames.  Measured on five Kokoro voices:
36 to 70 dB, 25 with white noise 20 dB below the speech, 16 with noise 10 dB below; tones and
steady noise have 0 to 1."""

LEAST_VOICED_SHARE = 0.2
"""Of the frames that sound: those that repeat themselves 60 to 400 times a second.  Measured on
the same voices: 0.42 (a whispering one) to 0.73; noise and clapping have none."""

_FRAME = 441  # 20 ms
_ACTIVE_BELOW_LOUD_DB = 30.0
_MARGIN_FRAMES = 10
_VOICED_CORRELATION = 0.5
_LAGS = (SAMPLE_RATE // 400, SAMPLE_RATE // 60)
_REMEDY = "record 10 to 30 seconds of one person speaking, near the microphone, in a quiet room"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that was checked.

    Attributes:
        samples: all of it, mono at :data:`SAMPLE_RATE`, float32 within [-1, 1].
        speech: the same without its longer pauses.
        level_db: RMS of what sounds, in dBFS.
    """

    samples: Samples
    speech: Samples
    level_db: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / SAMPLE_RATE


def read_recording(data: bytes, name: str) -> Recording:
    """Decode and check a recording.

    Args:
        data: a WAV, MP3 or FLAC file.
        name: of it, for messages.

    Raises:
        InputError: it is another kind of file, too short or long, too quiet, clipped, or
            nobody seems to speak; the message says what was expected.
        AudioError: there is no FFmpeg to decode it.
    """
    samples = _decoded(data, _kind(data, name), name)
    seconds = len(samples) / SAMPLE_RATE
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        lasts = f"more than {LONGEST_SECONDS:g}" if seconds > LONGEST_SECONDS else f"{seconds:.1f}"
        raise _refusal(
            f"{name} lasts {lasts} seconds: expected {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g}"
        )
    if float(np.mean(np.abs(samples) >= 0.999)) > CLIPPED_SHARE:
        raise _refusal(f"{name} is clipped: its peaks are cut off at full scale")
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    levels = 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + 1e-12)
    active = levels > np.percentile(levels, 95) - _ACTIVE_BELOW_LOUD_DB
    level = decibels(float(np.sqrt(np.square(frames[active], dtype=np.float64).mean())))
    if level < QUIETEST_DB:
        raise _refusal(
            f"{name} is too quiet: {level:.0f} dBFS where it sounds, expected {QUIETEST_DB:g}"
            " or more"
        )
    _check_speech(frames, levels, active, name)
    return Recording(np.clip(samples, -1, 1), _without_pauses(frames, active), level)


def _kind(data: bytes, name: str) -> str:
    """FFmpeg's name of the format, by the first bytes: no other demuxer sees the file."""
    if len(data) > MAX_BYTES:
        raise _refusal(f"{name} is larger than {MAX_BYTES >> 20} MiB")
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[:4] == b"fLaC":
        return "flac"
    if data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        return "mp3"
    found = "is a PDF" if data[:5] == b"%PDF-" else "is something else" if data else "is empty"
    raise _refusal(f"{name} {found}: expected a recording in WAV, MP3 or FLAC")


def _decoded(data: bytes, kind: str, name: str) -> Samples:
    """Mono at :data:`SAMPLE_RATE`; of a longer recording a little more than the longest."""
    pieces: list[bytes] = []
    with tempfile.TemporaryDirectory(prefix="darkchannel-") as folder:
        path = Path(folder) / "recording"
        path.write_bytes(data)
        arguments = ["-f", kind, *LOCAL_ONLY, "-i", f"file:{path}", "-map", "0:a:0"]
        arguments += ["-t", f"{LONGEST_SECONDS + 1:g}", "-ac", "1", "-ar", str(SAMPLE_RATE)]
        try:
            run([*arguments, "-f", "f32le", "pipe:1"], sink=pieces.append)
        except AudioError as error:
            if not error.message.startswith("FFmpeg failed"):
                raise  # there is none
            raise _refusal(f"{name} cannot be decoded: {error.message[:300]}") from error
    joined = b"".join(pieces)
    samples = np.frombuffer(joined[: len(joined) // 4 * 4], "<f4").astype(np.float32)
    if not np.isfinite(samples).all():
        raise _refusal(f"{name} has samples that are not numbers")
    return samples


def _check_speech(
    frames: Samples, levels: npt.NDArray[np.float64], active: npt.NDArray[np.bool_], name: str
) -> None:
    spread = float(np.percentile(levels, 95) - np.percentile(levels, 5))
    if spread < LEAST_RANGE_DB:
        raise _refusal(
            f"in {name} nobody seems to speak, or the room is too loud: loud and quiet moments"
            f" are {spread:.0f} dB apart, expected {LEAST_RANGE_DB:g} or more"
        )
    share = float(np.mean(_periodicity(frames)[active[:-1]] > _VOICED_CORRELATION))
    if share < LEAST_VOICED_SHARE:
        raise _refusal(
            f"in {name} nobody seems to speak: {share:.0%} of what sounds is voiced,"
            f" expected {LEAST_VOICED_SHARE:.0%} or more"
        )


def _periodicity(frames: Samples) -> npt.NDArray[np.float64]:
    """How much each frame and the next repeat themselves at a pitch of speech, up to 1."""
    pairs = np.concatenate([frames[:-1], frames[1:]], axis=1).astype(np.float64)
    pairs -= pairs.mean(axis=1, keepdims=True)
    size = 4 * _FRAME
    power = np.square(np.abs(np.fft.rfft(pairs, size, axis=1)))
    correlation = np.fft.irfft(power, size, axis=1)
    low, high = _LAGS
    # A shorter overlap correlates less by that alone.
    overlap = 1 - np.arange(low, high) / pairs.shape[1]
    at_pitch = (correlation[:, low:high] / overlap).max(axis=1)
    periodicity: npt.NDArray[np.float64] = at_pitch / (correlation[:, 0] + 1e-12)
    return periodicity


def _without_pauses(frames: Samples, active: npt.NDArray[np.bool_]) -> Samples:
    """Frames that sound, and 0.2 s around them."""
    near = np.convolve(active, np.ones(2 * _MARGIN_FRAMES + 1), mode="same") > 0.5
    return np.clip(frames[near].reshape(-1), -1, 1)


def _refusal(message: str) -> InputError:
    return InputError(message, remedy=_REMEDY)
