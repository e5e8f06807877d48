"""Encoded files measured against sounds whose figures are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkchannel.audio.ffmpeg import run
from darkchannel.audio.measurement import Measured, measure
from darkchannel.audio.report import acx, r128
from darkchannel.errors import AudioError
from tests.audio.material import RATE, Samples, sine

GOOD = Measured("mp3", 44_100, 1, 192, True, 60.0, -20.5, -3.4, -3.2, -70, -23.0, 4, 0.7, 2.0)


def encoded(path: Path, sound: Samples, *options: str) -> Path:
    """The sound in the format of the file's name, at 44.1 kHz."""

    def blocks() -> Iterator[bytes]:
        yield np.rint(sound * 32767).astype("<i2").tobytes()

    source = ["-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "pipe:0", "-ar", "44100"]
    run([*source, *options, str(path)], blocks=blocks())
    return path


@pytest.mark.parametrize("name", ["a.mp3", "a.m4b"])
def test_a_tone_between_silences(tmp_path: Path, name: str) -> None:
    """Level, peak, silent ends and length of a known sound come back from either format."""
    sound = np.concatenate(
        [np.zeros(RATE * 6 // 10, np.float32), sine(3, 0.25), np.zeros(RATE * 3 // 2, np.float32)]
    )
    m = measure(encoded(tmp_path / name, sound, "-b:a", "192k"))
    assert m.duration_seconds == pytest.approx(5.1, abs=0.01)
    # LAME takes 0.26 dB off at this bit rate, as a reserve against clipping.
    assert m.rms_db == pytest.approx(-15.05 + 10 * np.log10(3 / 5.1), abs=0.3)
    assert m.sample_peak_db == pytest.approx(-12.04, abs=0.5)
    assert m.true_peak_dbtp == pytest.approx(-12.04, abs=0.5)
    assert m.true_peak_dbtp >= m.sample_peak_db
    # Gating blocks that straddle the ends of the tone count as well (BS.1770: 400 ms, 75 %).
    assert m.integrated_lufs == pytest.approx(-15.4, abs=0.5)
    assert m.noise_floor_db <= -90
    assert m.head_silence_seconds == pytest.approx(0.6, abs=0.03)
    assert m.tail_silence_seconds == pytest.approx(1.5, abs=0.03)
    assert (m.sample_rate, m.channels) == (44_100, 1)


def test_format_facts(tmp_path: Path) -> None:
    """Codec, bit rate and its constancy are those of the file."""
    mp3 = measure(encoded(tmp_path / "a.mp3", sine(2), "-b:a", "160k"))
    assert (mp3.codec, mp3.bitrate_kbps, mp3.constant_bitrate) == ("mp3", 160, True)
    vbr = measure(encoded(tmp_path / "b.mp3", sine(2), "-q:a", "3", "-ac", "2"))
    assert (vbr.constant_bitrate, vbr.channels) == (False, 2)
    m4b = measure(encoded(tmp_path / "a.m4b", sine(2)))
    assert (m4b.codec, m4b.constant_bitrate) == ("aac", None)


def test_true_peaks_lie_between_samples(tmp_path: Path) -> None:
    """A sine of a quarter of the rate, sampled at 45 degrees, peaks 3 dB above its samples."""
    time = np.arange(44_100)
    fade = np.clip(np.minimum(time, time[::-1]) / 4410, 0, 1)
    sound = (0.5 * fade * np.sin(np.pi / 2 * time + np.pi / 4)).astype(np.float32)

    def blocks() -> Iterator[bytes]:
        yield np.rint(sound * 32767).astype("<i2").tobytes()

    path = tmp_path / "a.wav"
    run(["-f", "s16le", "-ar", "44100", "-ac", "1", "-i", "pipe:0", str(path)], blocks=blocks())
    m = measure(path)
    assert m.sample_peak_db == pytest.approx(-9.03, abs=0.05)
    assert m.true_peak_dbtp == pytest.approx(-6.02, abs=0.3)


def test_digital_silence(tmp_path: Path) -> None:
    """A file without any sound has finite figures."""
    m = measure(encoded(tmp_path / "a.mp3", np.zeros(2 * RATE, np.float32)))
    assert m.rms_db == m.sample_peak_db == m.true_peak_dbtp == -120
    assert m.head_silence_seconds == pytest.approx(2, abs=0.03)


def test_progress_is_told(tmp_path: Path) -> None:
    """The seconds measured so far grow to the whole."""
    told: list[float] = []
    measure(encoded(tmp_path / "a.mp3", sine(20)), on_seconds=told.append)
    assert told == sorted(told)
    assert len(told) > 1
    assert told[-1] == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize("data", [b"", b"no audio" * 100])
def test_what_is_no_audio_is_refused(tmp_path: Path, data: bytes) -> None:
    """A file that cannot be decoded is an error, not a set of zeros."""
    path = tmp_path / "a.mp3"
    path.write_bytes(data)
    with pytest.raises(AudioError):
        measure(path)


def test_a_good_book_passes_acx() -> None:
    """All checks of ACX at once."""
    verdict = acx(GOOD)
    assert verdict["pass"] is True
    assert all(set(check) == {"name", "value", "limit", "pass"} for check in verdict["checks"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rms_db", -23.01),
        ("rms_db", -17.99),
        ("sample_peak_db", -2.99),
        ("noise_floor_db", -59.9),
        ("sample_rate", 48_000),
        ("bitrate_kbps", 160),
        ("constant_bitrate", False),
        ("codec", "aac"),
        ("head_silence_seconds", 0.49),
        ("head_silence_seconds", 1.01),
        ("tail_silence_seconds", 0.99),
        ("tail_silence_seconds", 5.01),
    ],
)
def test_each_figure_can_fail_acx(field: str, value: float) -> None:
    """A figure beyond its limit fails its own check and no other, and with it the book."""
    verdict = acx(replace(GOOD, **{field: value}))  # type: ignore[arg-type]
    assert verdict["pass"] is False
    assert [check["name"] for check in verdict["checks"] if not check["pass"]] == [field]


@pytest.mark.parametrize(
    ("lufs", "peak", "passed"),
    [
        (-23.0, -1.0, True),
        (-22.0, -3, True),
        (-21.9, -3, False),
        (-24.1, -3, False),
        (-23, -0.9, False),
    ],
)
def test_r128(lufs: float, peak: float, passed: bool) -> None:
    """-23 LUFS, one LU to either side, and a true peak of at most -1 dBTP."""
    assert r128(replace(GOOD, integrated_lufs=lufs, true_peak_dbtp=peak))["pass"] is passed
