"""Bytes of a file become text, or an error that names the line."""

from __future__ import annotations

import codecs
import re

from darkchannel.errors import ScriptError, SettingError
from darkchannel.script import hygiene

LARGEST_INPUT = 64 * 1024 * 1024
"""Bytes; about sixty times a long novel."""

_DECLARED = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.-]+)")
_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Letters of Western European text where Windows-1252 and Latin-1 agree.
_LATIN_LETTER = re.compile(rb"[\xc0-\xd6\xd8-\xf6\xf8-\xff\xaa\xba]")
_ONLY_WINDOWS = re.compile(rb"[\x80-\x9f]")
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x19\x1c-\x1f\x7f]")


def decode(data: bytes, *, encoding: str | None = None) -> str:
    """Text of an input file.

    A byte order mark stays in the text as its first character, so that offsets are those of
    the file; reading gives it a reason of its own.  Nothing else is changed either.

    Args:
        data: the file's bytes.
        encoding: name of its encoding; None means UTF-8, or what an XML declaration says.

    Raises:
        ScriptError: empty, too large, binary, or not in that encoding; names line and byte.
        SettingError: there is no such encoding.
    """
    if len(data) > LARGEST_INPUT:
        raise ScriptError(
            f"the input has {len(data):,} bytes; expected at most {LARGEST_INPUT:,}",
            remedy="split it into volumes",
        )
    if encoding is not None:
        check_encoding(encoding)
    else:
        _refuse_wide(data)
        _refuse_binary(data)
        encoding = _declared(data)
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        raise _undecodable(data, encoding, error) from None
    _refuse_nul(text)
    refuse_empty(text)
    return text


def check_encoding(name: str) -> None:
    """Refuse the name of an encoding that there is not.

    Raises:
        SettingError: there is none, or it is one of bytes, not of text.
    """
    if not _is_encoding(name):
        raise SettingError(
            f"unknown encoding {name!r}", remedy="for example utf-8, latin-1 or windows-1252"
        )


def refuse_empty(text: str) -> None:
    """Refuse a text that has nothing but space in it.

    Raises:
        ScriptError: it has not.
    """
    start, end = hygiene.trimmed(text, 0, len(text))
    if start == end:
        what = "has nothing but whitespace" if text else "is empty"
        raise ScriptError(f"the input {what}: expected a text to read", remedy="check the file")


def _declared(data: bytes) -> str:
    match = _DECLARED.match(data[:400])
    if match is None or data.startswith(codecs.BOM_UTF8):
        return "utf-8"
    name = match.group(1).decode("ascii", "replace")
    if not _is_encoding(name):
        raise ScriptError(
            f"line 1: the XML declaration names an unknown encoding, {name!r}",
            remedy="write the encoding the file is in, or remove it for UTF-8",
        )
    # An 8-bit reader got this far, so the declaration cannot be true of a wide encoding.
    return "utf-8" if name.lower().startswith(("utf-16", "utf-32", "ucs")) else name


def _is_encoding(name: str) -> bool:
    """Whether bytes can become text by it; ``hex`` and its like are codecs, but not of text."""
    try:
        b"a".decode(name)
    except UnicodeError:
        return True  # one that wants more than a byte
    except (LookupError, ValueError):
        return False
    return True


def _refuse_wide(data: bytes) -> None:
    for mark, name in _WIDE_MARKS:
        if data.startswith(mark):
            raise ScriptError(
                f"line 1: byte 0: the input is {name.upper()}, expected UTF-8",
                remedy=f"say --encoding {name}, or save the file as UTF-8",
            )


def _refuse_binary(data: bytes) -> None:
    place = data.find(b"\0")
    if place >= 0:
        raise ScriptError(
            f"line {_line(data, place)}: the input is binary (a NUL at byte {place}): "
            "expected a text",
            remedy="give a plain text or SSML file",
        )


def _refuse_nul(text: str) -> None:
    place = text.find("\0")
    if place >= 0:
        line = text.count("\n", 0, place) + 1
        raise ScriptError(
            f"line {line}: the input is binary (a NUL at character {place}): expected a text",
            remedy="give a plain text or SSML file, or check --encoding",
        )


def _undecodable(data: bytes, encoding: str, error: UnicodeError) -> ScriptError:
    place = error.start if isinstance(error, UnicodeDecodeError) else 0
    byte = f"0x{data[place]:02X}" if place < len(data) else "missing"
    where = f"line {_line(data, place)}: byte {place} ({byte}) is not {encoding.upper()}"
    if len(_CONTROL.findall(data)) * 50 > len(data):
        return ScriptError(f"{where}: the input is binary", remedy="give a text file")
    if encoding == "utf-8" and not data[:place].isascii():
        return ScriptError(
            f"{where}, though what stands before it is: the file is damaged or cut off",
            remedy="get the file again, or save it as UTF-8",
        )
    better = _likely(data) if encoding == "utf-8" else None
    if better is None:
        return ScriptError(where, remedy="save the file as UTF-8, or name its --encoding")
    return ScriptError(
        f"{where}; it would read as {better[0]}",
        remedy=f"say --encoding {better[1]}, or save the file as UTF-8",
    )


def _likely(data: bytes) -> tuple[str, str] | None:
    """The 8-bit encoding the bytes would make sense in: its name, and what to ask for."""
    if not _ONLY_WINDOWS.search(data):
        return ("Latin-1", "latin-1") if _LATIN_LETTER.search(data) else None
    try:
        data.decode("windows-1252")
    except UnicodeDecodeError:
        return None
    return "Windows-1252", "windows-1252"


def _line(data: bytes, place: int) -> int:
    before = data[:place]
    return before.count(b"\n") + before.replace(b"\r\n", b"").count(b"\r") + 1
