"""What an encoded file really measures, taken from what a player would hear."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from darkchannel.audio.ebur128 import read_ebur128
from darkchannel.audio.ffmpeg import LOCAL_ONLY, run
from darkchannel.audio.levels import LevelMeter
from darkchannel.audio.mp3 import scan_mp3
from darkchannel.errors import AudioError

_STREAM = re.compile(
    r"^\s*Stream #\S+: Audio: (\w+).*?, (\d+) Hz, (mono|stereo).*?(?:, (\d+) kb/s|$)", re.MULTILINE
)

# A thousand chapters listed once more would push the figures out of the log that is kept.
_UNTITLED = ("-map_metadata", "-1", "-map_chapters", "-1")


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of an encoded file.

    Attributes:
        codec: ``mp3`` or ``aac``.
        sample_rate: in Hz.
        channels: 1 or 2.
        bitrate_kbps: of an MP3 that of its frames; else the average.
        constant_bitrate: whether every frame has it; None where the format does not say.
        duration_seconds: decoded, without the encoder's padding.
        rms_db: of the whole, in dBFS.
        sample_peak_db: in dBFS.
        true_peak_dbtp: by ITU-R BS.1770.
        noise_floor_db: RMS of the quietest half second, in dBFS; -120 is digital silence.
        integrated_lufs: by EBU R 128.
        loudness_range_lu: by EBU Tech 3342.
        head_silence_seconds: before the first 10 ms above -60 dBFS.
        tail_silence_seconds: after the last.
    """

    codec: str
    sample_rate: int
    channels: int
    bitrate_kbps: int
    constant_bitrate: bool | None
    duration_seconds: float
    rms_db: float
    sample_peak_db: float
    true_peak_dbtp: float
    noise_floor_db: float
    integrated_lufs: float
    loudness_range_lu: float
    head_silence_seconds: float
    tail_silence_seconds: float

    def level(self, unit: Literal["rms", "lufs"]) -> float:
        """What a target in that unit is compared with."""
        return self.rms_db if unit == "rms" else self.integrated_lufs


def measure(path: Path, *, on_seconds: Callable[[float], None] | None = None) -> Measured:
    """Decode a file once and measure it on the way; memory does not grow with its length.

    Args:
        path: an MP3 or M4B file.
        on_seconds: told how much has been measured.

    Raises:
        AudioError: it cannot be decoded.
    """
    codec, sample_rate, channels, kbps = _stream(path)
    constant = None
    if codec == "mp3":
        scanned = scan_mp3(path)
        kbps, constant = scanned.kbps, scanned.constant
    meter = LevelMeter(sample_rate, channels)
    torn = b""

    def sink(data: bytes) -> None:
        nonlocal torn
        data = torn + data
        whole = len(data) // 4 * 4
        torn = data[whole:]
        meter.feed(np.frombuffer(data, "<f4", whole // 4))
        if on_seconds is not None:
            on_seconds(meter.seconds)

    arguments = [*LOCAL_ONLY, "-i", f"file:{path}", "-map", "0:a:0", *_UNTITLED]
    arguments += ["-af", "ebur128=framelog=verbose:peak=true", "-f", "f32le", "pipe:1"]
    loudness = read_ebur128(run(arguments, sink=sink))
    return Measured(
        codec=codec,
        sample_rate=sample_rate,
        channels=channels,
        bitrate_kbps=kbps,
        constant_bitrate=constant,
        duration_seconds=round(meter.seconds, 3),
        rms_db=round(meter.rms_db, 2),
        sample_peak_db=round(meter.peak_db, 2),
        true_peak_dbtp=max(loudness.true_peak, round(meter.peak_db, 2)),
        noise_floor_db=round(meter.noise_floor_db, 2),
        integrated_lufs=loudness.integrated,
        loudness_range_lu=loudness.loudness_range,
        head_silence_seconds=round(meter.head_seconds, 2),
        tail_silence_seconds=round(meter.tail_seconds, 2),
    )


def _stream(path: Path) -> tuple[str, int, int, int]:
    """Codec, rate in Hz, channels and bit rate in kbps of the first audio stream."""
    arguments = [*LOCAL_ONLY, "-i", f"file:{path}", "-map", "0:a:0", *_UNTITLED]
    log = run([*arguments, "-c", "copy", "-t", "0", "-f", "null", "-"])
    found = _STREAM.search(log)
    if found is None:
        raise AudioError(f"expected an audio stream in {path.name}, found none")
    return found[1], int(found[2]), 1 if found[3] == "mono" else 2, int(found[4] or 0)
