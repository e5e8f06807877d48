"""Presets: how loud a book is, how it begins and ends, and how it is encoded.

Figures: ACX audio submission requirements (RMS -23 to -18 dB, peak at most -3 dB, noise floor
at most -60 dB, 0.5 to 1 s of head, 1 to 5 s of tail, 44.1 kHz, constant 192 kbps or more) and
EBU R 128 (-23 LUFS, true peak at most -1 dBTP).  Loudness in LUFS is that of the mono file as a
single channel, as ITU-R BS.1770 meters show it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from darkchannel.errors import SettingError


@dataclass(frozen=True, slots=True)
class Preset:
    """A mastering target.

    Attributes:
        name: what it is asked for by.
        unit: what the target is measured in: ``rms`` in dBFS or ``lufs`` (integrated).
        target: level of the encoded book, in that unit.
        tolerance: how far from it the book may end, in dB.
        peak_ceiling: the most the encoded book's true peak may be, in dBTP.
        head_seconds: silence before the first take.
        tail_seconds: the least silence after the last; its own pause counts towards it.
        sample_rate: of the encoded files, in Hz.
        mp3_kbps: constant bit rate of the MP3.
        aac_kbps: bit rate of the M4B.
    """

    name: str
    unit: Literal["rms", "lufs"]
    target: float
    tolerance: float
    peak_ceiling: float
    head_seconds: float = 0.7
    tail_seconds: float = 2.0
    sample_rate: int = 44_100
    mp3_kbps: int = 192
    aac_kbps: int = 64


ACX = Preset("acx", "rms", target=-21.0, tolerance=1.0, peak_ceiling=-3.0)
R128 = Preset("r128", "lufs", target=-23.0, tolerance=1.0, peak_ceiling=-1.0)
PODCAST = Preset("podcast", "lufs", target=-16.0, tolerance=1.0, peak_ceiling=-1.0)

PRESETS = {preset.name: preset for preset in (ACX, R128, PODCAST)}
DEFAULT_PRESET = ACX.name


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        SettingError: there is none; the message lists the choices, the remedy the nearest.
    """
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name.lower(), PRESETS, n=1)
    raise SettingError(
        f"unknown preset {name!r}: expected one of {', '.join(PRESETS)}",
        remedy=f"did you mean {near[0]}?" if near else f"{DEFAULT_PRESET} is the default",
    )
