"""FFmpeg's loudness meter: the summary of its ``ebur128`` filter."""

from __future__ import annotations

import re
from dataclasses import dataclass

from darkchannel.audio.levels import FLOOR_DB
from darkchannel.errors import AudioError


@dataclass(frozen=True, slots=True)
class Ebur128:
    """Figures by EBU R 128, which FFmpeg rounds to a tenth.

    Attributes:
        integrated: in LUFS.
        loudness_range: in LU.
        true_peak: in dBTP; the floor where it was not asked for.
    """

    integrated: float
    loudness_range: float
    true_peak: float


def read_ebur128(log: str) -> Ebur128:
    """Read the summary of FFmpeg's ``ebur128`` filter; minus infinity becomes the floor.

    Raises:
        AudioError: there is none in the log.
    """
    summary = log.rpartition("Summary:")[2]

    def value(name: str) -> float | None:
        found = re.search(rf"^\s*{name}:\s+(\S+)", summary, re.MULTILINE)
        return max(FLOOR_DB, float(found[1])) if found else None

    integrated, loudness_range = value("I"), value("LRA")
    if integrated is None or loudness_range is None:
        raise AudioError("expected a loudness summary from FFmpeg, found none")
    true_peak = value("Peak")
    return Ebur128(integrated, loudness_range, FLOOR_DB if true_peak is None else true_peak)
