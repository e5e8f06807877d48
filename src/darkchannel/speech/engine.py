"""What every speech engine is: the protocol, and the values that cross it.

An engine turns chunks into samples.  It knows nothing of jobs, stores or files, so that the
same engine runs in a worker process, behind a service or in a test.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from darkchannel.models import Chunk, Utterance


class Voice(NamedTuple):
    """A voice an engine can speak with: its name and the BCP 47 language it is made for."""

    name: str
    language: str


class TokenTime(NamedTuple):
    """When a token (a phoneme, or a word of them) sounds, in seconds from the first sample."""

    token: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Speech:
    """The audio of one chunk.

    Attributes:
        samples: mono, float32, shape ``[frames]``, within [-1, 1]; begins and ends with speech:
            at most 20 ms of silence at either end, so that pauses are only what the plan says.
        sample_rate: in Hz.
        utterance_starts: seconds at which each utterance of the chunk begins, where the engine
            knows; None where it does not.
        token_times: where the engine knows them; None where it does not.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int
    utterance_starts: tuple[float, ...] | None = None
    token_times: tuple[TokenTime, ...] | None = None

    @property
    def seconds(self) -> float:
        """Length of the samples."""
        return len(self.samples) / self.sample_rate

    @property
    def word_times(self) -> tuple[TokenTime, ...] | None:
        """When each word sounds: tokens that hold a letter, from the space before them on.

        The space is counted in because an onset is heard before its token: without it words
        begin 80 ms after a listener (Whisper) hears them, with it 50 (medians).
        """
        if self.token_times is None:
            return None
        found, space = [], None
        for is_space, group in itertools.groupby(self.token_times, lambda t: t.token.isspace()):
            times = list(group)
            if is_space:
                space = times[0].start
            elif any(time.token.isalpha() for time in times):
                start = times[0].start if space is None else space
                found.append(TokenTime("".join(t.token for t in times), start, times[-1].end))
        return tuple(found)


@runtime_checkable
class Engine(Protocol):
    """A speech synthesiser.

    One engine is used by one thread at a time.  Making one is cheap: weights are loaded when
    the first chunk is synthesised, or by :meth:`load`, so that planning and listing voices never
    pay for them.
    """

    @property
    def name(self) -> str:
        """What ``--engine`` calls it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same chunk would sound different; part of every chunk's digest."""
        ...

    @property
    def sample_rate(self) -> int:
        """In Hz, of all its speech."""
        ...

    @property
    def max_tokens(self) -> int:
        """The most tokens a chunk may have; :meth:`synthesize` refuses more, never truncates."""
        ...

    @property
    def voices(self) -> tuple[Voice, ...]:
        """All voices, sorted by language and name."""
        ...

    def resolve_voice(self, voice: str | None, language: str) -> str:
        """The name of the voice to use for a language.

        Args:
            voice: as asked for, or None for the engine's default of that language.
            language: BCP 47 tag.

        Raises:
            UnknownVoiceError: no such voice; the message lists the choices and the nearest.
            UnknownLanguageError: the engine does not speak it; likewise.
        """
        ...

    def count_tokens(self, utterance: Utterance) -> int:
        """Tokens of one utterance; a chunk has the sum of them plus one between each two.

        Raises:
            UnknownLanguageError: the engine does not speak the utterance's language.
            ScriptError: a pronunciation given by the author is not in its alphabet.
        """
        ...

    def load(self) -> None:
        """Load now what the first chunk would; again, it does nothing.

        Raises:
            EngineUnavailableError: weights or libraries are missing.
        """
        ...

    def synthesize(self, chunks: Sequence[Chunk]) -> Iterator[Speech]:
        """Speak the chunks; one result for each, in order, as soon as it is ready.

        Raises:
            SynthesisError: a chunk has more than :attr:`max_tokens` or cannot be spoken.
            EngineUnavailableError: weights or libraries are missing.
            UnknownVoiceError, UnknownLanguageError: as :meth:`resolve_voice`.
        """
        ...

    def close(self) -> None:
        """Let go of weights and memory; the engine may be used again afterwards."""
        ...
