"""WAV, PCM 16 bit mono: the one format of a take, written and read without tolerance.

A reader that forgives (a header with a length of 0xFFFFFFFF, a file cut short) turns a broken
upload into a shorter book, so :func:`decode_wav` refuses whatever is not exactly right.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from darkchannel.errors import AudioError

_PCM = 1
_FULL_SCALE = 32767
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_LONGEST = 0xFFFFFFFF - _HEADER.size


def encode_wav(samples: npt.NDArray[np.float32], sample_rate: int) -> bytes:
    """Samples as a WAV file.

    Args:
        samples: mono, shape ``[frames]``, within [-1, 1].
        sample_rate: in Hz.

    Raises:
        AudioError: a sample is not a number or beyond full scale, or the shape is another.
    """
    return wav_of_pcm(to_pcm(samples), sample_rate)


def to_pcm(samples: npt.NDArray[np.float32]) -> bytes:
    """Samples as PCM 16 bit little-endian.

    Rounded without dither: the error of 16 bits lies near -98 dBFS, 38 dB under the noise
    floor ACX allows, and equal samples must give equal bytes.

    Args:
        samples: mono, shape ``[frames]``, within [-1, 1].

    Raises:
        AudioError: a sample is not a number or beyond full scale, or the shape is another.
    """
    if samples.ndim != 1:
        raise AudioError(f"expected mono samples of shape [frames], not {list(samples.shape)}")
    # Written so that NaN, for which every comparison is false, is refused as well.
    if len(samples) and not float(np.abs(samples).max()) <= 1.0:
        raise AudioError("expected samples within [-1, 1], found one beyond or not a number")
    pcm: bytes = np.rint(samples * np.float32(_FULL_SCALE)).astype("<i2").tobytes()
    return pcm


def wav_of_pcm(pcm: bytes, sample_rate: int) -> bytes:
    """A WAV file of samples that are PCM 16 bit little-endian mono already.

    Raises:
        AudioError: there are more than a WAV file can hold.
    """
    if len(pcm) > _LONGEST:
        raise AudioError(f"{len(pcm)} bytes of samples are more than a WAV file can hold")
    header = _HEADER.pack(
        *(b"RIFF", _HEADER.size - 8 + len(pcm), b"WAVE"),
        *(b"fmt ", 16, _PCM, 1, sample_rate, 2 * sample_rate, 2, 16),
        *(b"data", len(pcm)),
    )
    return header + pcm


def decode_wav(data: bytes) -> tuple[npt.NDArray[np.int16], int]:
    """Samples and sample rate of a WAV file, PCM 16 bit mono.

    Returns:
        A view of ``data`` as int16, shape ``[frames]``, and the rate in Hz.

    Raises:
        AudioError: it is something else, or its lengths do not match its bytes.
    """
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise AudioError("expected a WAV file: it does not begin with RIFF and WAVE")
    declared = int.from_bytes(data[4:8], "little") + 8
    if declared != len(data):
        raise AudioError(f"expected a WAV file of {declared} bytes, found {len(data)}")
    sample_rate: int | None = None
    for name, start, length in _chunks(data):
        if name == b"fmt ":
            sample_rate = _read_format(data[start : start + length])
        elif name == b"data":
            if sample_rate is None:
                raise AudioError("expected the WAV file's format before its samples")
            if length % 2:
                raise AudioError(f"expected whole 16 bit samples, found {length} bytes")
            return np.frombuffer(data, "<i2", length // 2, start), sample_rate
    raise AudioError("expected samples in the WAV file, found none")


def _chunks(data: bytes) -> list[tuple[bytes, int, int]]:
    """Name, offset and length of each chunk of a RIFF file."""
    found = []
    position = 12
    while position < len(data):
        if position + 8 > len(data):
            raise AudioError("the WAV file ends inside a chunk's header")
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        if position + 8 + length > len(data):
            raise AudioError("the WAV file ends inside a chunk")
        found.append((data[position : position + 4], position + 8, length))
        position += 8 + length + length % 2
    return found


def _read_format(raw: bytes) -> int:
    if len(raw) < 16:
        raise AudioError("the WAV file's format chunk is too short")
    tag, channels, sample_rate, _, align, bits = struct.unpack("<HHIIHH", raw[:16])
    if (tag, channels, align, bits) != (_PCM, 1, 2, 16):
        raise AudioError(
            f"expected PCM 16 bit mono, found format {tag}, {channels} channels, {bits} bits"
        )
    if not 8000 <= sample_rate <= 192_000:
        raise AudioError(f"expected a sample rate from 8000 to 192000 Hz, found {sample_rate}")
    return int(sample_rate)
