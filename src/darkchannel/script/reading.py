"""Text or SSML becomes a script."""

from __future__ import annotations

import re

from darkchannel.errors import ScriptError
from darkchannel.models import Script
from darkchannel.script import encoding
from darkchannel.script.lines import LineTable

_SSML = re.compile(r"[\ufeff\s]*<(?:speak(?![\w:.-])|\?xml\s)")
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_script(
    text: str, *, language: str = "pt-BR", ssml: bool | None = None, strict: bool = False
) -> Script:
    """Understand a text: its chapters, sentences, voices and pauses.

    Args:
        text: the input, as :func:`darkchannel.script.decode` returns it; offsets in the script
            are characters of exactly this text.
        language: BCP 47 tag of what is in no other language.
        ssml: whether it is SSML; None looks whether it begins with ``<speak`` or ``<?xml``.
        strict: refuse SSML that cannot be followed to the letter instead of warning.

    Raises:
        ScriptError: nothing in it can be spoken, or the SSML is malformed or refused; names
            the line.
    """
    _refuse(text)
    if ssml if ssml is not None else _SSML.match(text) is not None:
        from darkchannel.script.ssml import read_ssml

        return read_ssml(text, language, strict=strict)
    from darkchannel.script.plaintext import read_text

    return read_text(text, language)


def _refuse(text: str) -> None:
    if len(text) > encoding.LARGEST_INPUT:
        raise ScriptError(
            f"the input has {len(text):,} characters; expected at most {encoding.LARGEST_INPUT:,}",
            remedy="split it into volumes",
        )
    encoding.refuse_empty(text)
    lone = _SURROGATE.search(text)
    if lone:
        raise ScriptError(
            f"line {LineTable(text).line(lone.start())}: half of a character "
            f"(U+{ord(lone.group()):04X}): expected Unicode text",
            remedy="save the file as UTF-8 again",
        )
