"""XML in tokens that know which characters of the input they are.

The parser is the standard library's expat with everything refused that reaches beyond the
document itself: document types, and with them entities and external subsets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import NamedTuple
from xml.parsers import expat

from darkchannel.errors import ScriptError
from darkchannel.script.lines import LineTable

DEEPEST_NESTING = 64
"""Elements inside one another; hand-written SSML has less than ten."""

_NOTHING: Mapping[str, str] = {}


class Kind(Enum):
    """What a token is."""

    START = auto()
    END = auto()
    TEXT = auto()
    COMMENT = auto()
    INSTRUCTION = auto()
    OTHER = auto()


class Token(NamedTuple):
    """A piece of the document.

    Attributes:
        kind: what it is.
        start: its first character of the input.
        end: one past its last; an empty element's end tag has no characters of its own.
        name: of the element, for tags.
        attributes: of the element, for start tags.
        text: for text, what is written with references resolved; as long as the range unless
            the whole text stands for the whole range.
    """

    kind: Kind
    start: int
    end: int
    name: str = ""
    attributes: Mapping[str, str] = _NOTHING
    text: str = ""


def tokens(text: str) -> Iterator[Token]:
    """The document in tokens, which together cover all of its characters in order.

    Raises:
        ScriptError: malformed, nested too deeply, or with a document type; names line and
            column.
    """
    return _joined(text, _Parser(text).parse())


def _joined(text: str, events: list[Token]) -> Iterator[Token]:
    """Give each token its end, and join texts that expat hands over line by line."""
    first: int | None = None
    for at, event in enumerate(events):
        end = events[at + 1].start if at + 1 < len(events) else len(text)
        plain = event.kind is Kind.TEXT and _as_written(text[event.start : end]) == event.text
        if plain:
            first = event.start if first is None else first
            continue
        if first is not None:
            yield Token(Kind.TEXT, first, event.start, text=text[first : event.start])
            first = None
        yield event._replace(end=end)
    if first is not None:
        yield Token(Kind.TEXT, first, len(text), text=text[first:])


def _as_written(text: str) -> str:
    """Line ends as XML reads them."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


class _Parser:
    """Listens to expat and notes where everything begins."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = LineTable(text)
        # A declaration must come first; space before it is forgiven.
        self._skipped = len(text) - len(text.lstrip("\ufeff \t\r\n"))
        self._data = text[self._skipped :].encode()
        self._place = (0, self._skipped)
        self._open: list[tuple[str, int]] = []
        self._events: list[Token] = []
        self._parser = self._listening()

    def _listening(self) -> expat.XMLParserType:
        parser = expat.ParserCreate("UTF-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = lambda data: self._note(Kind.TEXT, text=data)
        parser.CommentHandler = lambda _: self._note(Kind.COMMENT)
        parser.ProcessingInstructionHandler = lambda *_: self._note(Kind.INSTRUCTION)
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        # Whatever else there is: the declaration, space outside the root, CDATA marks.
        parser.DefaultHandlerExpand = lambda _: self._note(Kind.OTHER)
        return parser

    def parse(self) -> list[Token]:
        if self._skipped:
            self._events.append(Token(Kind.OTHER, 0, 0))
        try:
            self._parser.Parse(self._data, True)
        except expat.ExpatError as error:
            raise self._malformed(error) from None
        return self._events

    def _offset(self) -> int:
        """The character at which the current event begins; events come in order."""
        byte, character = self._place
        now = self._parser.CurrentByteIndex
        self._place = now, character + len(self._data[byte:now].decode())
        return self._place[1]

    def _note(
        self, kind: Kind, name: str = "", attributes: Mapping[str, str] = _NOTHING, text: str = ""
    ) -> int:
        start = self._offset()
        self._events.append(Token(kind, start, start, name, attributes, text))
        return start

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        start = self._note(Kind.START, name, attributes)
        self._open.append((name, start))
        if len(self._open) > DEEPEST_NESTING:
            raise self._error(
                start, f"more than {DEEPEST_NESTING} elements inside one another", "flatten it"
            )

    def _end(self, name: str) -> None:
        self._open.pop()
        self._note(Kind.END, name)

    def _refuse_doctype(self, *_: object) -> None:
        raise self._error(
            max(self._text.rfind("<!DOCTYPE", 0, self._offset() + 1), 0),
            "a document type or entity declaration is refused",
            "remove the <!DOCTYPE ...>; SSML needs none, and characters can stand for themselves",
        )

    def _error(self, offset: int, message: str, remedy: str = "") -> ScriptError:
        where = f"line {self._lines.line(offset)}, column {self._lines.column(offset)}"
        return ScriptError(f"{where}: {message[:300]}", remedy=remedy)

    def _malformed(self, error: expat.ExpatError) -> ScriptError:
        byte = max(self._parser.ErrorByteIndex, 0)
        offset = self._skipped + len(self._data[:byte].decode(errors="ignore"))
        codes = expat.errors.codes
        if error.code == codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]:
            return self._error(
                offset,
                f"unknown entity {self._text[offset : offset + 40].split(';')[0]};",
                "write the character itself, or its number such as &#160;",
            )
        if error.code == codes[expat.errors.XML_ERROR_INVALID_TOKEN]:
            return self._error(
                offset,
                "this is not well-formed XML",
                "in text, write & as &amp; and < as &lt;, and put quotes around attributes",
            )
        if error.code == codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]:
            return self._error(offset, "text after </speak>", "put everything inside <speak>")
        if self._open:
            if self._text.endswith("</", 0, offset):
                offset -= 2
            name, start = self._open[-1]
            return self._error(
                offset,
                f"expected </{name}>, which closes the <{name}> of line {self._lines.line(start)}",
                "close every element that is opened",
            )
        return self._error(offset, f"{expat.ErrorString(error.code)}: expected <speak>")
