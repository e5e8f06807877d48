"""Chunks to speak, as planning would make them."""

from __future__ import annotations

from darkchannel.models import Chunk, Pronunciation, Utterance
from darkchannel.speech.engine import Engine


def utterance(
    text: str, language: str = "pt-BR", pronunciations: tuple[Pronunciation, ...] = ()
) -> Utterance:
    """One sentence, said as it is written."""
    return Utterance(text, text, language, pronunciations=pronunciations)


def chunk_of(
    engine: Engine,
    *said: str | Utterance,
    language: str = "pt-BR",
    voice: str | None = None,
    speed: float = 1.0,
    index: int = 1,
) -> Chunk:
    """A chunk with the engine's own count of tokens."""
    utterances = tuple(
        utterance(text, language) if isinstance(text, str) else text for text in said
    )
    tokens = sum(map(engine.count_tokens, utterances)) + len(utterances) - 1
    name = engine.resolve_voice(voice, language)
    return Chunk(index, utterances, name, language, speed, tokens, 0.0, "digest")
