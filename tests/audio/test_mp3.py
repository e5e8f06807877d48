"""MP3 files, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from darkchannel.audio.ffmpeg import run
from darkchannel.audio.mp3 import scan_mp3
from darkchannel.errors import AudioError
from tests.audio.material import RATE, speech_like


def encoded(path: Path, *options: str) -> Path:
    """Three seconds of sound as an MP3 file."""

    def blocks() -> Iterator[bytes]:
        yield np.rint(speech_like(3) * 32767).astype("<i2").tobytes()

    source = ["-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "pipe:0"]
    run([*source, "-c:a", "libmp3lame", *options, "-f", "mp3", str(path)], blocks=blocks())
    return path


@pytest.mark.parametrize("rate", [44_100, 48_000, 24_000, 22_050])
@pytest.mark.parametrize("channels", [1, 2])
def test_constant_bit_rate(tmp_path: Path, rate: int, channels: int) -> None:
    """All frames of a CBR file agree, and there are as many as its length asks for."""
    options = ["-b:a", "128k", "-ar", str(rate), "-ac", str(channels)]
    stream = scan_mp3(encoded(tmp_path / "a.mp3", *options))
    assert (stream.sample_rate, stream.channels, stream.kbps) == (rate, channels, 128)
    assert stream.constant
    samples = 1152 if rate > 24_000 else 576
    assert stream.frames == pytest.approx(3 * rate / samples, abs=5)


def test_variable_bit_rate(tmp_path: Path) -> None:
    """A VBR file is recognised, whatever its header says."""
    assert not scan_mp3(encoded(tmp_path / "a.mp3", "-q:a", "4")).constant


def test_tags_at_either_end_are_no_frames(tmp_path: Path) -> None:
    """ID3 tags before and after the audio are passed over."""
    plain = scan_mp3(encoded(tmp_path / "a.mp3", "-b:a", "128k"))
    options = ["-b:a", "128k", "-write_id3v1", "1", "-metadata", f"title={'x' * 3000}"]
    assert scan_mp3(encoded(tmp_path / "b.mp3", *options)) == plain


@pytest.mark.parametrize(
    "data",
    [b"", b"ID3", b"ID3\x04\0\0\0\0\0\x10" + bytes(16), b"RIFF" + bytes(100), bytes(1000)],
    ids=["empty", "cut tag", "only a tag", "another format", "zeros"],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    """What is no MP3 is no MP3."""
    path = tmp_path / "a.mp3"
    path.write_bytes(data)
    with pytest.raises(AudioError, match="MP3"):
        scan_mp3(path)


def test_damage_is_noticed(tmp_path: Path) -> None:
    """A hole in the middle breaks the chain of frames."""
    path = encoded(tmp_path / "a.mp3", "-b:a", "128k")
    data = bytearray(path.read_bytes())
    data[20_000:22_000] = bytes(2000)
    path.write_bytes(data)
    with pytest.raises(AudioError, match="frame"):
        scan_mp3(path)


def test_a_file_cut_short_is_noticed(tmp_path: Path) -> None:
    """A last frame without its end is the mark of a write that did not finish."""
    path = encoded(tmp_path / "a.mp3", "-b:a", "128k")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AudioError, match="ends inside"):
        scan_mp3(path)
