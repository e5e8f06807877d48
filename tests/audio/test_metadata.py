"""Titles and chapters as FFmpeg reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from darkchannel.audio.display import one_line
from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.audio.metadata import LONGEST_TITLE_BYTES, ffmetadata, language_code
from darkchannel.audio.timeline import ChapterTime


def read_back(text: str) -> str:
    """The same metadata, read and written once more by FFmpeg."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "metadata.txt")
        path.write_text(text, encoding="utf-8")
        command = [find_ffmpeg(), "-v", "error", "-f", "ffmetadata", "-i", str(path)]
        done = subprocess.run([*command, "-f", "ffmetadata", "-"], capture_output=True, check=True)
    return done.stdout.decode()


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("=;#\\\n[]\"' "), max_size=60))
@example("um \\")
@example("\\")
@settings(max_examples=25, deadline=None)
def test_any_title_survives(title: str) -> None:
    """FFmpeg reads back what was meant, but for white space and backslashes at the end."""
    back = read_back(ffmetadata(title, "pt-BR", [ChapterTime(f"Um {title}", 0, 1.5)]))
    again = ffmetadata(title, "pt-BR", [ChapterTime(f"Um {title}", 0, 1.5)])
    names = [line for line in again.splitlines() if line.startswith("title=")]
    assert [line for line in back.splitlines() if line.startswith("title=")] == names
    assert names[0] == "title=" or one_line(title)[:1] in names[0]
    assert names[1].startswith("title=Um")


def test_escapes() -> None:
    """The characters that mean something in the file are escaped, line breaks become spaces."""
    text = ffmetadata('a=b;c#d\\e\n"f"', "en", [])
    assert 'title=a\\=b\\;c\\#d\\\\e "f"\n' in text


def test_times_are_milliseconds() -> None:
    """Chapters are given in the resolution both file formats have."""
    text = ffmetadata("t", "en", [ChapterTime("Um", 0, 1.2344), ChapterTime("Dois", 1.2344, 5)])
    assert "START=0\nEND=1234\n" in text
    assert "START=1234\nEND=5000\n" in text


def test_long_titles_are_cut_between_characters() -> None:
    """A title fits the chapter list of an MP4 file and stays valid UTF-8."""
    (title,) = [
        line.removeprefix("title=")
        for line in ffmetadata("ção🚀" * 200, "pt", []).splitlines()
        if line.startswith("title=")
    ]
    assert LONGEST_TITLE_BYTES - 8 <= len(title.encode()) <= LONGEST_TITLE_BYTES
    assert title.endswith("…")


@pytest.mark.parametrize(
    ("tag", "code"), [("pt-BR", "por"), ("en", "eng"), ("EN-gb", "eng"), ("tlh", "und")]
)
def test_language_codes(tag: str, code: str) -> None:
    """Languages are named in three letters."""
    assert language_code(tag) == code
    assert f"language={code}\n" in ffmetadata("t", tag, [])
