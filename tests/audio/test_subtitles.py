"""Subtitles, read back as a player would."""

from __future__ import annotations

import html
import re
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkchannel.audio.subtitles import LINE_WIDTH, LINES, subtitles, write_srt, write_vtt
from darkchannel.audio.timeline import Cue

TIMES = re.compile(r"(\d{2,}):(\d\d):(\d\d)[.,](\d{3}) --> (\d{2,}):(\d\d):(\d\d)[.,](\d{3})")
Shown = tuple[int, int, list[str]]


def parse(block: str) -> Shown:
    """Start and end in milliseconds and the lines of one cue."""
    times, *lines = block.split("\n")
    matched = TIMES.fullmatch(times)
    assert matched, times
    h1, m1, s1, f1, h2, m2, s2, f2 = map(int, matched.groups())
    start, end = ((h1 * 60 + m1) * 60 + s1) * 1000 + f1, ((h2 * 60 + m2) * 60 + s2) * 1000 + f2
    return start, end, lines


def read_srt(path: Path) -> list[Shown]:
    """All cues of a SubRip file, whose numbers must count from 1."""
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    assert blocks.pop() == ""
    cues = []
    for number, block in enumerate(blocks, 1):
        first, _, rest = block.partition("\n")
        assert first == str(number)
        cues.append(parse(rest))
    return cues


def read_vtt(path: Path) -> list[Shown]:
    """All cues of a WebVTT file, unescaped."""
    header, *blocks = path.read_text(encoding="utf-8").split("\n\n")
    assert header == "WEBVTT"
    assert blocks.pop() == ""
    for block in blocks:
        text = block.partition("\n")[2]
        assert "<" not in text
        assert "-->" not in text
        assert not re.search(r"&(?!amp;|lt;|gt;)", text)
    return [
        (start, end, [html.unescape(line) for line in lines])
        for start, end, lines in map(parse, blocks)
    ]


def squeezed(text: str) -> str:
    """A text without white space and control characters."""
    return "".join(c for c in text if not (c.isspace() or ord(c) < 32 or 127 <= ord(c) < 160))


texts = st.text(
    st.characters(codec="utf-8") | st.sampled_from("ab,. \n\t\r\0&<>-\u2028\x85\u00a0"),
    max_size=400,
)
lengths = st.lists(st.tuples(texts, st.floats(0, 20), st.floats(0, 2)), max_size=12)


def cues_of(parts: list[tuple[str, float, float]]) -> list[Cue]:
    """Cues one after the other: text, length and the gap after each."""
    cues, time = [], 0.7
    for text, length, gap in parts:
        cues.append(Cue(time, time + length, text))
        time += length + gap
    return cues


@given(lengths)
@settings(max_examples=60, deadline=None)
def test_both_formats_read_back(parts: list[tuple[str, float, float]]) -> None:
    """Whatever the text, nothing of it is lost, and cues follow one another without overlap."""
    cues = cues_of(parts)
    with TemporaryDirectory() as folder:
        srt, vtt = Path(folder, "a.srt"), Path(folder, "a.vtt")
        write_srt(cues, srt)
        write_vtt(cues, vtt)
        from_srt, from_vtt = read_srt(srt), read_vtt(vtt)
    said = "".join(squeezed(text) for text, _, _ in parts)
    assert squeezed("".join(line for _, _, lines in from_vtt for line in lines)) == said
    assert squeezed("".join(line for _, _, lines in from_srt for line in lines)) == said
    for shown in (from_srt, from_vtt):
        assert all(start < end for start, end, _ in shown)
        assert all(before[1] <= after[0] for before, after in pairwise(shown))
        assert all(1 <= len(lines) <= LINES for _, _, lines in shown)
    assert all(len(line) <= LINE_WIDTH for _, _, lines in from_vtt for line in lines)


def test_a_sentence_keeps_its_times() -> None:
    """A short sentence is shown from its start to its end, to the millisecond."""
    (shown,) = subtitles([Cue(1.2344, 3.5, "  Bom\n dia,\tHelena. ")])
    assert shown == (1234, 3500, ("Bom dia, Helena.",))


def test_long_sentences_are_shown_in_parts() -> None:
    """Each part holds whole words and lasts as long as its share of the characters."""
    sentence = " ".join(["palavra"] * 40)
    shown = list(subtitles([Cue(10, 30, sentence)]))
    assert len(shown) > 2
    assert shown[0].start == 10_000
    assert shown[-1].end == 30_000
    assert " ".join(line for part in shown for line in part.lines) == sentence
    for part in shown:
        characters = sum(len(line) for line in part.lines)
        share = characters / sum(len(line) for each in shown for line in each.lines)
        assert part.end - part.start == pytest.approx(20_000 * share, abs=2)
    assert all(before.end == after.start for before, after in pairwise(shown))


def test_sentences_without_text_are_not_shown() -> None:
    """A cue of nothing but white space or control characters is left out."""
    assert list(subtitles([Cue(0, 1, " \n\0"), Cue(1, 2, "Olá.")])) == [(1000, 2000, ("Olá.",))]


def test_more_than_a_hundred_hours(tmp_path: Path) -> None:
    """Hours are not cut to two digits."""
    cues = [Cue(360_000.5, 360_001.0, "Fim.")]
    write_srt(cues, tmp_path / "a.srt")
    write_vtt(cues, tmp_path / "a.vtt")
    assert "100:00:00,500 --> 100:00:01,000" in (tmp_path / "a.srt").read_text()
    assert "100:00:00.500 --> 100:00:01.000" in (tmp_path / "a.vtt").read_text()


def test_markup_is_shown_as_it_is(tmp_path: Path) -> None:
    """WebVTT escapes what would be a tag or the arrow between times."""
    write_vtt([Cue(0, 1, "a < b && c --> d")], tmp_path / "a.vtt")
    assert "a &lt; b &amp;&amp; c --&gt; d" in (tmp_path / "a.vtt").read_text()


def test_the_arrow_cannot_stand_in_a_line_of_subrip(tmp_path: Path) -> None:
    """SubRip has no escapes: the arrow is taken apart, the rest stays."""
    write_srt([Cue(0, 1, "a --> b")], tmp_path / "a.srt")
    assert tmp_path.joinpath("a.srt").read_text().count("-->") == 1
