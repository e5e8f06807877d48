"""Titles, language and chapters for FFmpeg, which writes them as ID3 frames and MP4 atoms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from darkchannel.audio.display import one_line
from darkchannel.audio.timeline import ChapterTime

LONGEST_TITLE_BYTES = 255
"""What the chapter list of an MP4 file (``chpl``) can hold of each."""

# ISO 639-2/T, which ID3 and MP4 ask for, by the language part of a BCP 47 tag.
_LANGUAGES = {
    **{"de": "deu", "en": "eng", "es": "spa", "fr": "fra", "hi": "hin", "it": "ita"},
    **{"ja": "jpn", "ko": "kor", "nl": "nld", "pl": "pol", "pt": "por", "zh": "zho"},
}


def language_code(tag: str) -> str:
    """The three letters for a BCP 47 tag; ``und`` (undetermined) for one not known here."""
    return _LANGUAGES.get(tag.split("-", maxsplit=1)[0].lower(), "und")


@dataclass(frozen=True, slots=True)
class Labels:
    """What the files are to say about themselves.

    Attributes:
        metadata: an FFMETADATA file with title, language and chapters.
        language: ISO 639-2/T code of the audio track.
        chapters: how many there are.
    """

    metadata: Path
    language: str
    chapters: int


def write_labels(
    path: Path,
    title: str,
    language: str,
    chapters: Sequence[ChapterTime],
    *,
    comment: str | None = None,
) -> Labels:
    """Write the FFMETADATA file.

    Args:
        path: where to.
        title: of the book.
        language: BCP 47 tag.
        chapters: in order.
        comment: a remark for whoever looks at the files' metadata.

    Raises:
        OSError: it cannot be written.
    """
    text = ffmetadata(title, language, chapters, comment=comment)
    path.write_text(text, encoding="utf-8")
    return Labels(path, language_code(language), len(chapters))


def ffmetadata(
    title: str, language: str, chapters: Iterable[ChapterTime], *, comment: str | None = None
) -> str:
    """The contents of an FFMETADATA file.

    Args:
        title: of the book.
        language: BCP 47 tag.
        chapters: in order; times are rounded to milliseconds, the resolution of both formats.
        comment: a remark; MP3 and M4B both have a place for one.
    """
    lines = [
        ";FFMETADATA1",
        f"title={_value(title)}",
        f"album={_value(title)}",
        "genre=Audiobook",
        f"language={language_code(language)}",
    ]
    if comment is not None:
        lines.append(f"comment={_value(comment)}")
    for chapter in chapters:
        start, end = round(chapter.start * 1000), round(chapter.end * 1000)
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={start}", f"END={end}"]
        lines += [f"title={_value(chapter.title)}"]
    return "\n".join(lines) + "\n"


def _value(text: str) -> str:
    # FFmpeg takes a line break after any backslash, escaped or not, for part of the value: one
    # at the end would swallow the next line of the file.
    shown = _shortened(one_line(text)).rstrip("\\ ")
    return re.sub(r"([=;#\\\n])", r"\\\1", shown)


def _shortened(text: str) -> str:
    raw = text.encode("utf-8", errors="replace")
    if len(raw) <= LONGEST_TITLE_BYTES:
        return raw.decode()
    ellipsis = "…"
    kept = raw[: LONGEST_TITLE_BYTES - len(ellipsis.encode())]
    return kept.decode(errors="ignore").rstrip() + ellipsis
