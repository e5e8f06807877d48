"""Text to phonemes: what Kokoro reads instead of letters.

Sounds come from espeak-ng, clause by clause; punctuation is kept, because the model takes its
melody from it.  espeak's symbols are then rewritten to the set the model was trained on, by the
rules of misaki (the front end Kokoro was trained with): its ``EspeakG2P`` for Portuguese and its
``EspeakFallback`` for English.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from darkchannel.models import Pronunciation, Utterance
from darkchannel.speech.kokoro import english, espeak, portuguese
from darkchannel.speech.kokoro.symbols import from_espeak, from_ipa
from darkchannel.speech.kokoro.vocabulary import PUNCTUATION

VERSION = "1"
"""Changes whenever the same text would get other phonemes."""

LANGUAGES = tuple(espeak.VOICES)
"""Canonical BCP 47 tags of the languages read here."""

CACHE_SIZE = 4096
"""Utterances whose phonemes are remembered, about 5 MB: planning counts one several times."""

_ONE_KIND = {
    "«": "“", "»": "”", "„": "“", "‟": "“", "‹": "“", "›": "”",
    "[": "(", "]": ")", "{": "(", "}": ")",
    "‘": "'", "’": "'", "‛": "'", "ʼ": "'", "`": "'", "´": "'",
    "–": "—", "―": "—", "‒": "—", "⸺": "—", "‑": "-", "‐": "-", "−": "-",
    "¿": "", "¡": "", "⋯": "…",
}  # fmt: skip


class _Typography(dict[int, str]):
    """A table for ``str.translate``, filled as characters turn up."""

    def __missing__(self, codepoint: int) -> str:
        character = chr(codepoint)
        category = unicodedata.category(character)
        # A NUL would end the text for a C library, and control characters command espeak.
        if category in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}:
            plain = " "
        elif category in {"Cf", "Mn"}:
            plain = ""
        else:
            plain = _ONE_KIND.get(character, character)
        self[codepoint] = plain
        return plain


_TYPOGRAPHY = _Typography()
_ELLIPSIS = re.compile(r"\.{2,}")

# A hyphen that stands alone or opens a line of dialogue is a dash.
_DASH_HYPHEN = re.compile(r"(?<!\S)-+(?!\S)|(?<!\S)-(?=[^\W\d])|-{2,}")
_QUOTING_APOSTROPHE = re.compile(r"(?<!\w)'|'(?!\w)")

# 3.14, a.com, 1.250,00 and 15:30 are one word each; elsewhere these marks end a clause.
_MARK = r"""(?: [;!?—…"()“”] | \.(?!(?<=[^\W_]\.)[^\W_]) | [,:](?!(?<=\d[,:])\d) )"""
_MARKS = re.compile(rf"(?:\s*{_MARK})+\s*", re.VERBOSE)

_CLOSING_AT_START = re.compile(r"^[;:,.!?—…)” ]+")


class Phonemizer:
    """Phonemes of utterances in one of :data:`LANGUAGES`, remembered for the next asker."""

    def __init__(self) -> None:
        self._remembered = lru_cache(maxsize=CACHE_SIZE)(_of_utterance)

    def __call__(self, utterance: Utterance, language: str) -> str:
        """Symbols of the vocabulary; empty if there is nothing to say.

        Args:
            utterance: what is said; its given pronunciations replace what espeak would say.
            language: canonical BCP 47 tag, one of :data:`LANGUAGES`.

        Raises:
            ScriptError: a given pronunciation has a symbol the model does not know.
            EngineUnavailableError: espeak-ng is missing.
        """
        return self._remembered(utterance.spoken, language, utterance.pronunciations)


def _of_utterance(spoken: str, language: str, given: tuple[Pronunciation, ...]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end, ipa in given:
        pieces += [_of_text(spoken[position:start], language), from_ipa(ipa, language)]
        position = end
    pieces.append(_of_text(spoken[position:], language))
    phonemes = " ".join("".join(pieces).split())
    # Nothing precedes what would be closed here: the dash of a dialogue, a stray comma.
    phonemes = _CLOSING_AT_START.sub("", phonemes)
    return phonemes if any(symbol not in PUNCTUATION for symbol in phonemes) else ""


def _of_text(text: str, language: str) -> str:
    """Phonemes of a stretch of text, with the spaces and punctuation at its ends."""
    text = _plain(text)
    text = portuguese.read_out(text) if language == "pt-BR" else english.read_out(text)
    text = _QUOTING_APOSTROPHE.sub("", _DASH_HYPHEN.sub("—", text))
    pieces: list[str] = []
    position = 0
    for marks in _MARKS.finditer(text):
        pieces += [_of_clause(text[position : marks.start()], language), marks.group()]
        position = marks.end()
    pieces.append(_of_clause(text[position:], language))
    return "".join(pieces)


def _plain(text: str) -> str:
    """NFC, one kind of each mark, and no character that is neither seen nor said."""
    return _ELLIPSIS.sub("…", unicodedata.normalize("NFC", text).translate(_TYPOGRAPHY))


def _of_clause(text: str, language: str) -> str:
    if not text.strip():
        return text
    sounds = from_espeak(espeak.phonemize(text, language), language)
    if language == "pt-BR":
        sounds = portuguese.unstressed_end(text, sounds)
    before = " " if text[0].isspace() else ""
    after = " " if text[-1].isspace() else ""
    return f"{before}{sounds}{after}"
