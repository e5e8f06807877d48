"""SSML 1.1 becomes a script.

What can be spoken is spoken: an element that is unknown or cannot be followed to the letter
costs a warning, never its text.  A strict reader refuses instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from darkchannel.errors import ScriptError
from darkchannel.script import headings, hygiene, pauses, ssml_values
from darkchannel.script.alignment import Run
from darkchannel.script.markup import Kind, Token, tokens
from darkchannel.script.narration import AlignedScript, Narration, Style
from darkchannel.script.planning import FASTEST, SLOWEST
from darkchannel.script.sayas import say_as

_BLANK_LINE = re.compile(r"(?:\r\n|[\r\n])[ \t]*(?:\r\n|[\r\n])\s*")
_CHAPTER = re.compile(r"chapter(?:\s*[:_-]\s*(?P<title>.*\S))?\s*", re.IGNORECASE)
_LANGUAGE = "xml:lang"

# Elements whose text is not part of the reading, and why it is left out.
_SILENT = {"desc": "description", "metadata": "metadata", "meta": "metadata", "title": "metadata"}
# Elements that change nothing about how their text is read here.
_PLAIN = {"emphasis", "token", "w", "speak", "s", "p", "lang", "voice", "prosody"}
_WHOLE = {"sub", "say-as", "phoneme"}
_UNAPPLIED = {
    "prosody": ("pitch", "volume", "contour", "range", "duration"),
    "voice": ("gender", "age", "variant", "required", "ordering", "onlangfailure"),
}


def read_ssml(text: str, language: str, *, strict: bool) -> AlignedScript:
    """Read an SSML document.

    Args:
        text: the document.
        language: BCP 47 tag of what ``xml:lang`` does not say.
        strict: raise where a warning would be given.

    Raises:
        ScriptError: malformed or refused; names line and column.
    """
    reader = _Reader(text, language, strict)
    for token in tokens(text):
        reader.read(token)
    return reader.finish()


@dataclass(frozen=True, slots=True)
class _Element:
    """An open element, and how the text in it is read."""

    tag: Token
    style: Style
    silent: str | None = None
    whole: bool = False
    in_paragraph: bool = False


@dataclass(slots=True)
class _Piece:
    """An element whose text is said as one piece, while it is read."""

    tag: Token
    texts: list[Token] = field(default_factory=list)
    depth: int = 1


class _Reader:
    """Follows the tokens of a document and tells a narration what they mean."""

    def __init__(self, text: str, language: str, strict: bool) -> None:
        self._text = text
        self._strict = strict
        self._narration = Narration(text)
        self._open: list[_Element] = []
        self._outer = Style(language)
        self._piece: _Piece | None = None
        self._paragraph: list[str] = []
        self._title: list[str] = []
        self._start: dict[str, Callable[[Token, _Element], _Element]] = {
            "p": self._start_paragraph,
            "s": self._start_sentence,
            "break": self._break,
            "prosody": self._prosody,
            "voice": self._voice,
            "mark": self._mark,
            "audio": self._audio,
            "lexicon": self._lexicon,
        }
