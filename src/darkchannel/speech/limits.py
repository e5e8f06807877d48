"""What every engine here refuses rather than bends: chunks too long, empty or absurdly paced."""

from __future__ import annotations

from darkchannel.errors import SynthesisError
from darkchannel.models import Chunk

SLOWEST, FASTEST = 0.5, 2.0
"""Speeds an engine accepts: asked for 4.0, Kokoro reads hardly faster than at 2.0."""


def check_chunk(chunk: Chunk, tokens: int, max_tokens: int) -> None:
    """Refuse what cannot be spoken whole.

    Args:
        chunk: as planned.
        tokens: as the engine counts them now.
        max_tokens: the engine's limit.

    Raises:
        SynthesisError: names the chunk, and what was expected.
    """
    if not 0 < tokens <= max_tokens:
        raise SynthesisError(
            f"chunk {chunk.index} has {tokens} tokens: expected 1 to {max_tokens}",
            remedy="plan the text again: chunking keeps within the engine's limit",
            chunk=chunk.index,
        )
    check_speed(chunk)


def check_speed(chunk: Chunk) -> None:
    """Refuse a speed that no engine follows, infinity and what is not a number included.

    Raises:
        SynthesisError: names the chunk, and what was expected.
    """
    if not SLOWEST <= chunk.speed <= FASTEST:
        raise SynthesisError(
            f"chunk {chunk.index} has speed {chunk.speed:g}: expected {SLOWEST:g} to {FASTEST:g}",
            remedy="change --speed or the prosody rate",
            chunk=chunk.index,
        )
