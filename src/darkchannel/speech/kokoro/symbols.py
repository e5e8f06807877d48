"""From other ways of writing sounds to the symbols Kokoro was trained on."""

from __future__ import annotations

import re
import unicodedata

from darkchannel.errors import ScriptError
from darkchannel.speech.kokoro.espeak import TIE
from darkchannel.speech.kokoro.vocabulary import TOKEN_IDS

Rules = tuple[tuple[str, str], ...]

_PORTUGUESE: Rules = (
    ("a^ɪ", "I"), ("a^ʊ", "W"), ("d^z", "ʣ"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("o^ʊ", "O"),
    ("ə^ʊ", "Q"), ("s^s", "S"), ("t^s", "ʦ"), ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y"),
)  # fmt: skip
_ENGLISH: Rules = (
    ("ʔˌn\u0329", "ʔn"), ("ʔn\u0329", "ʔn"), ("a^ɪ", "I"), ("a^ʊ", "W"), ("d^ʒ", "ʤ"),
    ("e^ɪ", "A"), ("e^ə", "ɛː"), ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y"), ("ə^l", "ᵊl"), ("o^ʊ", "O"),
    ("ə^ʊ", "Q"), ("ʲo", "jo"), ("ʲə", "jə"), ("ʲ", ""), ("e", "A"), ("ɚ", "əɹ"), ("r", "ɹ"),
    ("x", "k"), ("ç", "k"), ("ɐ", "ə"), ("ɬ", "l"), ("o", "ɔ"), ("ɾ", "T"), ("ʔ", "t"),
    ("\u0303", ""), (TIE, ""),
)  # fmt: skip
_AMERICAN: Rules = (("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""))
_BRITISH: Rules = (("iə", "ɪə"),)

FROM_ESPEAK: dict[str, Rules] = {
    "pt-BR": (*_PORTUGUESE, (TIE, "")),
    "en-US": (*_ENGLISH, *_AMERICAN),
    "en-GB": (*_ENGLISH, *_BRITISH),
}
"""espeak-ng's symbols, ties included, and the model's, applied in this order (misaki 0.9).

For Portuguese the ear hardly tells: of 1,078 words read by two voices Whisper base got 5.0 %
wrong with these rules and 5.2 % with espeak-ng's symbols as they are.
"""

_KNOWN = frozenset(TOKEN_IDS)
_SYLLABIC = re.compile(r"(\S)\u0329")

_NEAREST: dict[str, str] = {
    "g": "ɡ", "'": "ˈ", "’": "ˈ", "ˑ": "ː", "ɫ": "l", "ɭ": "l", "ʟ": "l", "ɱ": "m", "ʀ": "ʁ",
    "ħ": "h", "ɦ": "h", "ʑ": "ʒ", "ʐ": "ʒ", "ɺ": "ɾ", "ʍ": "w", "ʷ": "w", "ʉ": "u", "ɘ": "ə",
    "ɵ": "o", "ʏ": "y", "ɞ": "ɜ", "ɶ": "œ", "ɝ": "ɜɹ", "ɓ": "b", "ɗ": "d", "ɠ": "ɡ", "ʄ": "ɟ",
    "ɧ": "ʃ", "ʕ": "ʔ", "ɢ": "ɡ", "ɮ": "l", "ɬ": "l", "ʙ": "b", "ˠ": "", "ʼ": "", "-": "",
    "‿": " ", "|": ",", "‖": ",", "/": "",
}  # fmt: skip
"""IPA the model does not know, and the sound of its own that comes nearest."""

# Without ties an author's tʃ is one sound all the same.
_UNTIED: Rules = (("tʃ", "ʧ"), ("dʒ", "ʤ"))


def from_espeak(sounds: str, language: str) -> str:
    """The model's symbols for what espeak-ng wrote, ties included.

    What the model has no symbol for is left out: espeak-ng 1.52 writes nothing of the kind.
    """
    for theirs, ours in FROM_ESPEAK[language]:
        sounds = sounds.replace(theirs, ours)
    if "\u0329" in sounds:
        sounds = _SYLLABIC.sub(r"ᵊ\1", sounds)
    if _KNOWN.issuperset(sounds):
        return sounds
    return "".join(symbol for symbol in sounds if symbol in _KNOWN)


def from_ipa(ipa: str, language: str) -> str:
    """The model's symbols for a pronunciation that an author gave.

    Ties, syllable dots and fine diacritics are dropped, and a sound the model does not have is
    replaced by the nearest it does.

    Raises:
        ScriptError: a symbol is not IPA.
    """
    sounds = unicodedata.normalize("NFD", ipa).replace("c\u0327", "ç")
    sounds = sounds.replace("\u0361", TIE).replace("\u035c", TIE).replace(".", "")
    for loose, tied in _UNTIED:
        sounds = sounds.replace(loose, tied)
    for theirs, ours in FROM_ESPEAK[language]:
        # The rules that make a foreign sound native are espeak's, not the author's.
        if TIE in theirs:
            sounds = sounds.replace(theirs, ours)
    return "".join(_symbol(character, ipa) for character in sounds)


def _symbol(character: str, ipa: str) -> str:
    if character in TOKEN_IDS:
        return character
    if character in _NEAREST:
        return _NEAREST[character]
    if unicodedata.category(character) in {"Mn", "Lm", "Sk"}:
        return ""
    raise ScriptError(
        f"the pronunciation {ipa[:60]!r} has {character!r}, which is not a symbol of the IPA",
        remedy="write it in the International Phonetic Alphabet",
    )
