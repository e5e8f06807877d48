"""MP3 files: their frames, counted one by one to prove a constant bit rate, and their tag.

Layout: ISO/IEC 11172-3 (MPEG-1 Layer III) and 13818-3 (MPEG-2), behind an ID3v2 tag.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from darkchannel.errors import AudioError

_KBPS_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_MPEG1 = (44_100, 48_000, 32_000)
_READ_BYTES = 1 << 18
_LONGEST_FRAME_BYTES = 2048  # 320 kbps at 32 kHz: 1441
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
    first: tuple[int, int, int] | None = None
    rates = set()
    frames = 0
    with path.open("rb") as file:
        file.seek(_tag_bytes(file))
        for frame in _frames(file):
            first = first or frame
            rates.add(frame[0])
            frames += 1
    if first is None:
        raise AudioError("expected an MP3 file, found one without any frame")
    kbps, sample_rate, channels = first
    return Mp3Stream(sample_rate, channels, kbps, len(rates) == 1, frames)


def _frames(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Bit rate, sample rate and channels of each frame up to the end or an ID3v1 tag."""
    data, position = b"", 0
    while True:
        if len(data) - position < _LONGEST_FRAME_BYTES:
            data, position = data[position:] + file.read(_READ_BYTES), 0
        raw = data[position : position + 4]
        if len(raw) < 4 or raw.startswith(b"TAG"):
            return
        kbps, sample_rate, channels, length = _header(raw)
        position += length
        if position > len(data):
            raise AudioError("the MP3 file ends inside a frame")
        yield kbps, sample_rate, channels


def withdraw_contents(path: Path) -> None:
    """Make players pass over the table of contents (CTOC) of an ID3v2.3 tag.

    It counts its entries in one byte; for more FFmpeg writes the count without what exceeds it,
    and players that trust it show too few chapters.  The chapters themselves (CHAP) stay.

    Raises:
        OSError: the file cannot be changed.
    """
    with path.open("r+b") as file:
        end = _tag_bytes(file)
        position = 10
        while position < end:
            file.seek(position)
            header = file.read(10)
            if header.startswith(b"CTOC"):
                file.seek(position)
                file.write(b"XTOC")  # names with an X are free for experiments
                return
            position += 10 + int.from_bytes(header[4:8])


def _tag_bytes(file: BinaryIO) -> int:
    """Length of the ID3v2 tag at the start of a file; 0 if there is none."""
    head = file.read(10)
    file.seek(0)
    if not head.startswith(b"ID3"):
        return 0
    size = 0
    for byte in head[6:]:
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
