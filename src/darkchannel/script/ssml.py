"""SSML 1.1 becomes a script.

What can be spoken is spoken: an element that is unknown or cannot be followed to the letter
costs a warning, never its text.  A strict reader refuses instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from darkchannel.script import headings, hygiene, pauses, ssml_values, tempo
from darkchannel.script.alignment import Run
from darkchannel.script.markup import Kind, Token, tokens
from darkchannel.script.narration import AlignedScript, Narration, Style
from darkchannel.script.sayas import say_as

_BLANK_LINES = re.compile(r"(?:\r\n|[\r\n])(?:[ \t]*(?:\r\n|[\r\n]))+")
_CHAPTER = re.compile(r"chapter(?: ?[:_-] ?(?P<title>.+)?)?", re.IGNORECASE)

# Elements whose text is not part of the reading, and why it is left out.
_SILENT = {"desc": "description", "metadata": "metadata", "meta": "metadata", "title": "metadata"}
# Elements whose text is said as one piece, in another way than it is written.
_REPLACED = frozenset({"sub", "say-as", "phoneme"})
# Elements that change nothing about how the text in them is read here, and need not.
_TRANSPARENT = frozenset({"speak", "emphasis", "token", "w", "lang"})
_NOT_APPLIED = {
    "prosody": ("pitch", "volume", "contour", "range", "duration"),
    "voice": ("gender", "age", "variant", "languages"),
}


def read_ssml(text: str, language: str, *, strict: bool) -> AlignedScript:
    """Read an SSML document.

    Args:
        text: the document.
        language: BCP 47 tag of what ``xml:lang`` does not name.
        strict: raise where there would be a warning.

    Raises:
        ScriptError: malformed or refused; names the line.
    """
    reader = _Reader(text, language, strict)
    for token in tokens(text):
        reader.read(token)
    return reader.finish()


@dataclass(frozen=True, slots=True)
class _Element:
    """An open element, and how the text in it is read."""

    name: str
    style: Style
    silent: str | None = None
    whole: bool = False
    in_paragraph: bool = False


@dataclass(slots=True)
class _Replaced:
    """An element whose text is said as one piece, while its content is read."""

    tag: Token
    texts: list[str] = field(default_factory=list)
    depth: int = 1


class _Reader:
    """Follows the tokens of a document and tells a narration what they mean."""

    def __init__(self, text: str, language: str, strict: bool) -> None:
        self._text = text
        self._strict = strict
        self._narration = Narration(text)
        self._outermost = _Element("", Style(language))
        self._open: list[_Element] = []
        self._replaced: _Replaced | None = None
        self._paragraph: list[str] = []
        self._title: list[str] = []
        self._begin: dict[str, Callable[[Token, _Element], _Element]] = {
            "p": self._begin_paragraph,
            "s": self._begin_sentence,
            "break": self._break,
            "prosody": self._prosody,
            "voice": self._voice,
            "mark": self._mark,
        }

    def finish(self) -> AlignedScript:
        self._end_paragraph()
        self._narration.title = hygiene.clean("".join(self._title)) or None
        return self._narration.finish()

    def read(self, token: Token) -> None:
        if token.kind is Kind.START:
            self._start(token)
        elif token.kind is Kind.END:
            self._end(token)
        elif token.kind is Kind.TEXT:
            self._say(token)
        elif self._replaced is None and not hygiene.blank(self._text[token.start : token.end]):
            # Space outside the root gets its reason with all other space.
            self._narration.leave_out(token.start, token.end, _REASONS[token.kind])

    @property
    def _here(self) -> _Element:
        return self._open[-1] if self._open else self._outermost

    def _doubt(self, token: Token, message: str) -> None:
        """Warn, or refuse when strict."""
        if self._strict:
            raise self._narration.error(token.start, message, "change it, or read without --strict")
        self._narration.warn(token.start, message)

    # Text

    def _say(self, token: Token) -> None:
        here = self._here
        if self._replaced is not None:
            self._replaced.texts.append(token.text)
        elif here.silent:
            self._narration.leave_out(token.start, token.end, here.silent)
            if here.name == "title":
                self._title.append(token.text)
        elif here.in_paragraph or len(token.text) != token.end - token.start:
            self._say_run(Run(token.start, token.end, token.text))
        else:
            self._say_paragraphs(token)

    def _say_paragraphs(self, token: Token) -> None:
        """Text outside paragraphs, where blank lines mean what they mean in plain text."""
        last = 0
        for blank in _BLANK_LINES.finditer(token.text):
            self._say_piece(token, last, blank.start())
            self._end_paragraph()
            last = blank.end()
        self._say_piece(token, last, len(token.text))

    def _say_piece(self, token: Token, start: int, end: int) -> None:
        if start < end:
            self._say_run(Run(token.start + start, token.start + end, token.text[start:end]))

    def _say_run(self, run: Run) -> None:
        here = self._here
        self._paragraph.append(run.text)
        self._narration.say(run, here.style, whole=here.whole)

    def _end_paragraph(self) -> None:
        title = _short("".join(self._paragraph))
        self._paragraph.clear()
        if title and headings.is_heading(title):
            self._narration.end_paragraph(heading=True, chapter=title.rstrip("."))
        else:
            self._narration.end_paragraph()

    # Elements

    def _start(self, tag: Token) -> None:
        if not self._open and tag.name != "speak":
            raise self._narration.error(
                tag.start, f"the document is <{tag.name}>: expected <speak>", "give SSML or text"
            )
        if self._replaced is not None:
            self._replaced.depth += 1
            self._doubt(tag, f"<{tag.name}> inside <{self._replaced.tag.name}> has no effect")
            return
        inner = replace(self._here, name=tag.name, style=self._in_language(tag))
        if inner.silent is None and tag.name in _REPLACED:
            self._replaced = _Replaced(tag)
        else:
            self._narration.leave_out(tag.start, tag.end, "markup")
        if inner.silent is None:
            inner = self._enter(tag, inner)
        self._open.append(inner)

    def _enter(self, tag: Token, inner: _Element) -> _Element:
        name = tag.name
        for attribute in _NOT_APPLIED.get(name, ()):
            if attribute in tag.attributes:
                self._doubt(tag, f"<{name} {attribute}> is not applied")
        if name in _SILENT:
            return replace(inner, silent=_SILENT[name])
        if name in self._begin:
            return self._begin[name](tag, inner)
        if name == "audio":
            self._doubt(tag, "<audio> is not played; the text inside is read")
        elif name in {"lexicon", "lookup"}:
            self._doubt(tag, f"<{name}> is not applied")
        elif name not in _TRANSPARENT | _REPLACED or (name == "speak" and self._open):
            self._doubt(tag, f"<{name}> is not known; the text inside is read")
        return inner

    def _in_language(self, tag: Token) -> Style:
        style, value = self._here.style, tag.attributes.get("xml:lang")
        if value is None:
            return style
        language = ssml_values.language(value)
        if language is None:
            self._doubt(tag, f"xml:lang={value!r} is not a language tag such as pt-BR")
            return style
        return style._replace(language=language)

    def _end(self, tag: Token) -> None:
        if self._replaced is not None:
            self._replaced.depth -= 1
            if self._replaced.depth:
                return
            replaced, self._replaced = self._replaced, None
            self._say_replaced(replaced, tag)
        element = self._open.pop()
        self._narration.leave_out(tag.start, tag.end, "markup")
        if element.silent is None and tag.name == "p":
            self._end_paragraph()
        elif element.silent is None and tag.name == "s":
            self._narration.end_sentence()

    def _begin_paragraph(self, _: Token, inner: _Element) -> _Element:
        self._end_paragraph()
        return replace(inner, in_paragraph=True)

    def _begin_sentence(self, _: Token, inner: _Element) -> _Element:
        self._narration.end_sentence()
        return replace(inner, in_paragraph=True, whole=True)

    def _break(self, tag: Token, inner: _Element) -> _Element:
        self._narration.pause(self._break_seconds(tag))
        return inner

    def _break_seconds(self, tag: Token) -> float:
        time, strength = tag.attributes.get("time"), tag.attributes.get("strength", "medium")
        seconds = ssml_values.seconds(time) if time is not None else None
        if time is not None and seconds is None:
            self._doubt(tag, f"<break time={time!r}> is not a time such as 500ms or 1.5s")
        if strength not in pauses.STRENGTHS:
            known = ", ".join(pauses.STRENGTHS)
            self._doubt(tag, f"<break strength={strength!r}> is not one of {known}")
        if seconds is None:
            seconds = pauses.STRENGTHS.get(strength, pauses.STRENGTHS["medium"])
        if seconds > pauses.LONGEST_BREAK:
            longest = pauses.LONGEST_BREAK
            self._doubt(tag, f"a break of {seconds:g} s is shortened to {longest:g} s")
            return longest
        return seconds

    def _prosody(self, tag: Token, inner: _Element) -> _Element:
        value = tag.attributes.get("rate")
        if value is None:
            return inner
        rate = ssml_values.rate(value, inner.style.rate)
        if rate is None:
            self._doubt(tag, f"<prosody rate={value!r}> is not a rate such as slow, 90% or 1.1")
            return inner
        near = tempo.bounded(rate)
        if near != rate:
            self._doubt(tag, f"a rate of {rate:g} is out of bounds; {near:g} is used")
        return replace(inner, style=inner.style._replace(rate=round(near, 4)))

    def _voice(self, tag: Token, inner: _Element) -> _Element:
        names = tag.attributes.get("name", "").split()
        if len(names) > 1:
            self._doubt(tag, f"of the voices {' '.join(names)!r} only {names[0]!r} is tried")
        if not names:
            return inner
        return replace(inner, style=inner.style._replace(voice=names[0]))

    def _mark(self, tag: Token, inner: _Element) -> _Element:
        match = _CHAPTER.fullmatch(hygiene.clean(tag.attributes.get("name", "")))
        if match:
            self._end_paragraph()
            title = match["title"] or str(self._narration.titled_chapters + 1)
            if title.isdecimal():
                word = "Capítulo" if inner.style.language.startswith("pt") else "Chapter"
                title = f"{word} {title}"
            self._narration.begin_chapter(title)
        return inner

    # Text said in another way

    def _say_replaced(self, replaced: _Replaced, end: Token) -> None:
        tag, text = replaced.tag, "".join(replaced.texts)
        said, ipa = self._reading(tag, text)
        start, stop = tag.end, end.start
        if start == stop and said:
            # Nothing is written inside, so the words stand in the tag itself.
            self._say_run(Run(tag.start, tag.end, said, said, ipa))
            return
        self._narration.leave_out(tag.start, tag.end, "markup")
        if start == stop:
            return
        if said is None:
            self._say_run(Run(start, stop, text))
            return
        # The spaces at its ends go on parting it from its neighbours.
        if text[:1].isspace():
            self._say_run(Run(start, start, " "))
        self._say_run(Run(start, stop, text, said, ipa))
        if text[-1:].isspace():
            self._say_run(Run(stop, stop, " "))

    def _reading(self, tag: Token, text: str) -> tuple[str | None, str | None]:
        """What to say instead of the text, and its phonemes; None where it stays as it is."""
        if tag.name == "sub":
            return self._alias(tag), None
        if tag.name == "phoneme":
            ipa = self._phonemes(tag)
            return (hygiene.clean(text) or ipa, ipa) if ipa else (None, None)
        kind = tag.attributes.get("interpret-as", "")
        said = say_as(kind, tag.attributes.get("format", ""), text, self._here.style.language)
        if said is None and hygiene.speakable(text):
            self._doubt(
                tag, f"{hygiene.clean(text)[:40]!r} cannot be said as {kind!r}; read as written"
            )
        return said, None

    def _alias(self, tag: Token) -> str | None:
        alias = hygiene.clean(tag.attributes.get("alias", ""))
        if not hygiene.speakable(alias):
            self._doubt(tag, "<sub> without an alias; read as written")
            return None
        return alias

    def _phonemes(self, tag: Token) -> str | None:
        alphabet = tag.attributes.get("alphabet", "ipa")
        ipa = hygiene.clean(tag.attributes.get("ph", ""))
        if alphabet.lower() != "ipa":
            self._doubt(tag, f"<phoneme alphabet={alphabet!r}> is not ipa; read as written")
            return None
        if not ipa:
            self._doubt(tag, "<phoneme> without ph; read as written")
            return None
        return ipa


_REASONS = {
    Kind.COMMENT: "comment",
    Kind.INSTRUCTION: "processing instruction",
    Kind.OTHER: "markup",
}


def _short(text: str) -> str:
    """The text on one line, if it is short enough to be a heading."""
    return hygiene.clean(text) if len(text) <= 4 * headings.LONGEST_HEADING else ""
