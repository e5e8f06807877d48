"""A small reader of ID3v2.3 tags, so that chapters are checked by another program than wrote them.

Layout: https://id3.org/id3v2.3.0 and the ID3v2 Chapter Frame Addendum.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Chapter(NamedTuple):
    """A CHAP frame: times in milliseconds and the title in it."""

    element: str
    start: int
    end: int
    title: str


class Tag(NamedTuple):
    """Text frames by name, chapters in the order of the file, and the table of contents."""

    texts: dict[str, str]
    chapters: list[Chapter]
    contents: list[str]


def read_tag(path: Path) -> Tag:
    """Read the tag at the start of a file."""
    with path.open("rb") as file:
        head = file.read(10)
        assert head[:4] == b"ID3\x03", "not ID3v2.3"
        size = 0
        for byte in head[6:]:
            assert byte < 128
            size = size << 7 | byte
        body = file.read(size)
        assert file.read(2)[0] == 0xFF, "the tag is not followed by a frame of audio"
    texts, chapters, contents = {}, [], []
    for name, data in _frames(body):
        if name == "CHAP":
            chapters.append(_chapter(data))
        elif name == "CTOC":
            contents = [part.decode() for part in data[data.index(b"\0") + 3 :].split(b"\0")][:-1]
        elif name.startswith("T"):
            texts[name] = _text(data)
    return Tag(texts, chapters, contents)


def _frames(body: bytes) -> Iterator[tuple[str, bytes]]:
    position = 0
    while position + 10 <= len(body) and body[position]:
        name = body[position : position + 4].decode("ascii")
        size = int.from_bytes(body[position + 4 : position + 8])
        yield name, body[position + 10 : position + 10 + size]
        position += 10 + size


def _chapter(data: bytes) -> Chapter:
    element, _, rest = data.partition(b"\0")
    ((_, title),) = [frame for frame in _frames(rest[16:]) if frame[0] == "TIT2"]
    start, end = (int.from_bytes(rest[at : at + 4]) for at in (0, 4))
    return Chapter(element.decode(), start, end, _text(title))


def _text(data: bytes) -> str:
    encoding = {0: "latin-1", 1: "utf-16", 3: "utf-8"}[data[0]]
    return data[1:].decode(encoding).rstrip("\0")
