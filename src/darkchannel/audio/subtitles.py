"""Subtitles in SubRip (SRT) and WebVTT, one sentence a cue, long ones in several.

Lines hold at most 42 characters and cues two lines, as the common subtitling guidelines have
it (Netflix and BBC: 37 to 42).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from darkchannel.audio.display import one_line
from darkchannel.audio.timeline import Cue

LINE_WIDTH = 42
LINES = 2


class Subtitle(NamedTuple):
    """What is shown at once: whole milliseconds, and one or two lines."""

    start: int
    end: int
    lines: tuple[str, ...]


def subtitles(cues: Iterable[Cue]) -> Iterator[Subtitle]:
    """Cut cues into what fits the screen.

    A sentence of more than two lines is shown in parts, each for its share of the time by
    characters.  Each subtitle lasts at least 1 ms and none begins before the last has ended.
    """
    free = 0
    for cue in cues:
        lines = textwrap.wrap(one_line(cue.text), LINE_WIDTH, break_on_hyphens=False)
        parts = [tuple(lines[at : at + LINES]) for at in range(0, len(lines), LINES)]
        whole = sum(len(line) for line in lines)
        shown = 0
        for part in parts:
            start = cue.start + (cue.end - cue.start) * shown / whole
            shown += sum(len(line) for line in part)
            end = cue.start + (cue.end - cue.start) * shown / whole
            first = max(free, round(start * 1000))
            free = max(first + 1, round(end * 1000))
            yield Subtitle(first, free, part)


def write_srt(cues: Iterable[Cue], path: Path) -> None:
    """Write SubRip.

    The format has no escapes; only the arrow that separates its times is taken apart.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        for number, shown in enumerate(subtitles(cues), 1):
            text = "\n".join(line.replace("-->", "-- >") for line in shown.lines)
            times = f"{_clock(shown.start, ',')} --> {_clock(shown.end, ',')}"
            file.write(f"{number}\n{times}\n{text}\n\n")


def write_vtt(cues: Iterable[Cue], path: Path) -> None:
    """Write WebVTT (W3C), escaping what would be markup.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        file.write("WEBVTT\n\n")
        for shown in subtitles(cues):
            text = "\n".join(_escape(line) for line in shown.lines)
            times = f"{_clock(shown.start, '.')} --> {_clock(shown.end, '.')}"
            file.write(f"{times}\n{text}\n\n")


def _escape(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{rest:03}"
