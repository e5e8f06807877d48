"""The frames of an MP3 file, counted one by one: the proof of a constant bit rate.

Layout: ISO/IEC 11172-3 (MPEG-1 Layer III) and 13818-3 (MPEG-2), behind an ID3v2 tag.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

from darkchannel.errors import AudioError

_KBPS_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_MPEG1 = (44_100, 48_000, 32_000)
_MPEG1, _MPEG2, _LAYER_III, _MONO = 3, 2, 1, 3


@dataclass(frozen=True, slots=True)
class Mp3Stream:
    """What the frame headers say.

    Attributes:
        sample_rate: in Hz.
        channels: 1 or 2.
        kbps: bit rate of the first frame.
        constant: whether all frames have it.
        frames: how many there are, the one with the encoder's notes included.
    """

    sample_rate: int
    channels: int
    kbps: int
    constant: bool
    frames: int


def scan_mp3(path: Path) -> Mp3Stream:
    """Walk over all frames of a file; memory does not grow with its length.

    Raises:
        AudioError: it is no MP3, a frame does not follow the one before, or the last is cut.
    """
    with path.open("rb") as file:
        if path.stat().st_size < 10:
            raise AudioError("expected an MP3 file, found one without any frame")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _scan(data)


def _scan(data: mmap.mmap) -> Mp3Stream:
    position = _after_tag(data)
    first: tuple[int, int, int] | None = None
    rates = set()
    frames = 0
    while position + 4 <= len(data) and data[position : position + 3] != b"TAG":
        kbps, sample_rate, channels, length = _header(data[position : position + 4])
        first = first or (kbps, sample_rate, channels)
        rates.add(kbps)
        frames += 1
        position += length
    if first is None:
        raise AudioError("expected an MP3 file, found one without any frame")
    if position > len(data):
        raise AudioError("the MP3 file ends inside a frame")
    kbps, sample_rate, channels = first
    return Mp3Stream(sample_rate, channels, kbps, len(rates) == 1, frames)


def _after_tag(data: mmap.mmap) -> int:
    if data[:3] != b"ID3":
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _header(raw: bytes) -> tuple[int, int, int, int]:
    """Bit rate, sample rate, channels and length in bytes of one frame."""
    bits = int.from_bytes(raw)
    version, layer = bits >> 19 & 3, bits >> 17 & 3
    rate_index, frequency_index = bits >> 12 & 15, bits >> 10 & 3
    synchronised = bits >> 21 == 0x7FF
    if (
        not synchronised
        or version not in {_MPEG1, _MPEG2}
        or layer != _LAYER_III
        or rate_index in {0, 15}
        or frequency_index == 3
    ):
        raise AudioError("expected a frame of an MP3 file, found something else")
    table, halves = (_KBPS_MPEG1, 144_000) if version == _MPEG1 else (_KBPS_MPEG2, 72_000)
    sample_rate = _RATES_MPEG1[frequency_index] // (1 if version == _MPEG1 else 2)
    kbps = table[rate_index]
    length = halves * kbps // sample_rate + (bits >> 9 & 1)
    return kbps, sample_rate, 1 if bits >> 6 & 3 == _MONO else 2, length
