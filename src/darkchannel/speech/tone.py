"""The ``tone`` engine: instant, deterministic speech that a program can read back.

Its sound is its text (:mod:`darkchannel.speech.tone_code`), so that a test of anything
downstream can prove that the right sentence, by the right voice, is in the right place.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from darkchannel.models import Chunk, Utterance
from darkchannel.speech import tone_code
from darkchannel.speech.engine import Speech, Voice
from darkchannel.speech.limits import check_chunk
from darkchannel.speech.tone_code import Samples
from darkchannel.speech.voices import VoiceCatalogue

VERSION = "1"
"""Changes whenever the same chunk would sound different."""

LANGUAGES = ("pt-BR", "en-US", "en-GB")
VOICES = (
    Voice("tone-a", "pt-BR"),
    Voice("tone-b", "pt-BR"),
    Voice("tone-c", "en-US"),
    Voice("tone-d", "en-US"),
    Voice("tone-e", "en-GB"),
    Voice("tone-f", "en-GB"),
)
DEFAULT_VOICES = {"pt-BR": "tone-a", "en-US": "tone-c", "en-GB": "tone-e"}
ALIASES = {"pt": "pt-BR", "en": "en-US"}

MAX_TOKENS = 510
"""As Kokoro's, so that a plan made for this engine is cut much as a real one."""

GAP_SECONDS = 0.05
"""Silence between the utterances of a chunk, as a real engine leaves some."""


class ToneEngine:
    """Speaks text as tones, some thousand times faster than real time.

    A token is a character.  A character of UTF-8 text lasts 32 ms for each of its bytes at
    speed 1.0, about half of what a reader needs.
    """

    name = "tone"
    sample_rate = tone_code.SAMPLE_RATE
    max_tokens = MAX_TOKENS
    fingerprint = f"tone-{VERSION}"

    def __init__(self) -> None:
        self._catalogue = VoiceCatalogue(VOICES, defaults=DEFAULT_VOICES, aliases=ALIASES)

    @property
    def voices(self) -> tuple[Voice, ...]:
        """All voices, sorted by language and name."""
        return self._catalogue.voices

    def resolve_voice(self, voice: str | None, language: str) -> str:
        """See :meth:`darkchannel.speech.engine.Engine.resolve_voice`."""
        return self._catalogue.resolve(voice, language)

    def count_tokens(self, utterance: Utterance) -> int:
        """Characters of the utterance, or 0 if it is nothing but punctuation and space."""
        self._catalogue.language(utterance.language)
        spoken = utterance.spoken
        return len(spoken) if any(_says_something(character) for character in spoken) else 0

    def synthesize(self, chunks: Sequence[Chunk]) -> Iterator[Speech]:
        """See :meth:`darkchannel.speech.engine.Engine.synthesize`."""
        for chunk in chunks:
            yield self._speak(chunk)

    def load(self) -> None:
        """There is nothing to load."""

    def close(self) -> None:
        """There is nothing to let go of."""

    def _speak(self, chunk: Chunk) -> Speech:
        voice = _number(self.resolve_voice(chunk.voice, chunk.language))
        language = LANGUAGES.index(self._catalogue.language(chunk.language))
        tokens = sum(map(self.count_tokens, chunk.utterances)) + len(chunk.utterances) - 1
        check_chunk(chunk, tokens, MAX_TOKENS)
        gap = np.zeros(round(GAP_SECONDS * self.sample_rate), np.float32)
        pieces: list[Samples] = []
        starts: list[float] = []
        length = 0
        for utterance in chunk.utterances:
            if pieces:
                pieces.append(gap)
                length += len(gap)
            starts.append(length / self.sample_rate)
            pieces.append(
                tone_code.encode(
                    utterance.spoken, voice=voice, language=language, speed=chunk.speed
                )
            )
            length += len(pieces[-1])
        return Speech(np.concatenate(pieces), self.sample_rate, utterance_starts=tuple(starts))


def decode_tones(samples: Samples, sample_rate: int) -> list[str]:
    """The spoken text of every utterance in the samples, in order.

    Args:
        samples: mono, float32, at any level and at 16 kHz or more: decoded from any encoding.
        sample_rate: in Hz.

    Raises:
        AudioError: something sounds that is not a whole utterance; the message says where.
    """
    return [reading.text for reading in tone_code.decode(samples, sample_rate)]


@lru_cache(maxsize=4096)
def _says_something(character: str) -> bool:
    # Punctuation, separators and control characters are silent; letters, digits and symbols speak.
    return unicodedata.category(character)[0] not in "PZC"


def _number(voice: str) -> int:
    return [known.name for known in VOICES].index(voice)
