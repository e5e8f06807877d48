"""The report: what the encoded book measures, and whether that passes ACX and EBU R 128."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from darkchannel.audio.loudness import ATTACK_MS, RELEASE_MS, Attempt
from darkchannel.audio.measurement import Measured
from darkchannel.audio.presets import Preset
from darkchannel.audio.timeline import Timeline


def build_report(
    attempts: Sequence[Attempt], preset: Preset, timeline: Timeline, level: float
) -> dict[str, Any]:
    """What ``report.json`` says.

    Args:
        attempts: at encoding the book; the last one's files are what is published.
        preset: the target.
        timeline: of the book.
        level: of the takes before anything was done to them, in the preset's unit.
    """
    last = attempts[-1]
    return {
        "preset": preset.name,
        "target": {
            "unit": "dBFS RMS" if preset.unit == "rms" else "LUFS",
            "level": preset.target,
            "tolerance_db": preset.tolerance,
            "true_peak_dbtp": preset.peak_ceiling,
        },
        "target_met": last.met(preset),
        "level_before": round(level, 2),
        "gain_db": round(last.processing.gain_db, 2),
        "limiter": {
            "ceiling_db": round(last.processing.ceiling_db, 2),
            "attack_ms": ATTACK_MS,
            "release_ms": RELEASE_MS,
        },
        "encodings": len(attempts),
        "measured": asdict(last.measured),
        "acx": acx(last.measured),
        "r128": r128(last.measured),
        "duration_seconds": round(timeline.seconds, 3),
        "chapters": [
            {
                "title": chapter.title,
                "start_seconds": round(chapter.start, 3),
                "end_seconds": round(chapter.end, 3),
            }
            for chapter in timeline.chapters
        ],
    }


def acx(measured: Measured) -> dict[str, Any]:
    """Check against ACX's audio submission requirements."""
    m = measured
    return _verdict(
        _within("rms_db", m.rms_db, -23, -18),
        _at_most("sample_peak_db", m.sample_peak_db, -3),
        _at_most("noise_floor_db", m.noise_floor_db, -60),
        _exactly("sample_rate", m.sample_rate, 44_100),
        _exactly("codec", m.codec, "mp3"),
        _exactly("constant_bitrate", m.constant_bitrate, True),
        _within("bitrate_kbps", m.bitrate_kbps, 192, 320),
        _within("head_silence_seconds", m.head_silence_seconds, 0.5, 1),
        _within("tail_silence_seconds", m.tail_silence_seconds, 1, 5),
    )


def r128(measured: Measured) -> dict[str, Any]:
    """Check against EBU R 128, with its tolerance for programmes that are not fully known."""
    return _verdict(
        _within("integrated_lufs", measured.integrated_lufs, -24, -22),
        _at_most("true_peak_dbtp", measured.true_peak_dbtp, -1),
    )


def _verdict(*checks: dict[str, Any]) -> dict[str, Any]:
    return {"pass": all(check["pass"] for check in checks), "checks": list(checks)}


def _within(name: str, value: float, low: float, high: float) -> dict[str, Any]:
    return _check(name, value, f"{low:g} to {high:g}", low <= value <= high)


def _at_most(name: str, value: float, limit: float) -> dict[str, Any]:
    return _check(name, value, f"at most {limit:g}", value <= limit)


def _exactly(name: str, value: object, expected: object) -> dict[str, Any]:
    return _check(name, value, f"{expected}", value == expected)


def _check(name: str, value: object, limit: str, passed: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "limit": limit, "pass": passed}
