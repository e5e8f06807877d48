"""An engine that is somewhere else: one or more speech services, called over HTTP.

Its fingerprint is theirs, so that takes made here and there are the same takes.
"""

from __future__ import annotations

import base64
import functools
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from darkchannel.errors import EngineUnavailableError, SynthesisError
from darkchannel.models import Chunk, Utterance
from darkchannel.speech.engine import Speech, TokenTime, Voice
from darkchannel.speech.limits import check_speed
from darkchannel.speech.replicas import PATIENCE_SECONDS, Replicas

_COUNTS_KEPT = 4096
FRESH_SECONDS = 5.0
"""How long what a voice's name means counts: cloned voices come and go."""


class RemoteEngine:
    """Speaks through speech services; see :class:`darkchannel.speech.engine.Engine`.

    Nothing is asked before it has to be known.  Planning counts the same sentence more than
    once; counts are kept.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        key: str | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Name the services.

        Args:
            addresses: such as ``http://127.0.0.1:8001``; replicas of each other.
            key: an API key, where they want one.
            patience: seconds for which all of them may refuse.

        Raises:
            EngineUnavailableError: httpx is not installed.
        """
        self._arguments = (tuple(addresses), key, patience)
        self._replicas = Replicas(addresses, key, patience=patience)
        self._counts = functools.lru_cache(_COUNTS_KEPT)(self._count)
        self._resolved: dict[tuple[str | None, str], str] = {}
        self._asked = -FRESH_SECONDS

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, self._arguments)

    @property
    def name(self) -> str:
        """The addresses: what ``--engine`` was given."""
        return ",".join(self._arguments[0])

    @property
    def fingerprint(self) -> str:
        """That of the engine which speaks."""
        return self._replicas.facts.fingerprint

    @property
    def sample_rate(self) -> int:
        """In Hz, of all its speech."""
        return self._replicas.facts.sample_rate

    @property
    def max_tokens(self) -> int:
        """The most tokens a chunk may have."""
        return self._replicas.facts.max_tokens

    @property
    def voices(self) -> tuple[Voice, ...]:
        """All voices, sorted by language and name."""
        answer = self._replicas.ask("GET", "/voices")
        try:
            return tuple(Voice(str(made["name"]), str(made["language"])) for made in answer)
        except (KeyError, TypeError) as error:
            raise EngineUnavailableError("the speech service does not name its voices") from error

    @property
    def workers(self) -> int:
        """How many chunks the services speak at a time, all together."""
        return self._replicas.workers()

    def resolve_voice(self, voice: str | None, language: str) -> str:
        """See :meth:`darkchannel.speech.engine.Engine.resolve_voice`."""
        now = time.monotonic()
        if now - self._asked >= FRESH_SECONDS:
            self._resolved.clear()
            self._asked = now
        asked = (voice, language)
        if asked not in self._resolved:
            body = {"voice": voice, "language": language}
            answer = self._replicas.ask("POST", "/engine/voice", body)
            try:
                self._resolved[asked] = str(answer["voice"])
            except (KeyError, TypeError) as error:
                message = "the speech service does not say what a voice means"
                raise EngineUnavailableError(message) from error
        return self._resolved[asked]

    def count_tokens(self, utterance: Utterance) -> int:
        """See :meth:`darkchannel.speech.engine.Engine.count_tokens`."""
        return self._counts(utterance.spoken, utterance.language, utterance.pronunciations)

    def synthesize(self, chunks: Sequence[Chunk]) -> Iterator[Speech]:
        """See :meth:`darkchannel.speech.engine.Engine.synthesize`."""
        for chunk in chunks:
            check_speed(chunk)  # JSON has no infinity to send
            answer = self._replicas.ask("POST", "/engine/speech", _chunk_facts(chunk))
            try:
                yield _speech_of(answer)
            except (KeyError, TypeError, ValueError) as error:
                raise SynthesisError(
                    f"what the speech service made of chunk {chunk.index} is no speech",
                    chunk=chunk.index,
                ) from error

    def load(self) -> None:
        """What speaks is the services' to load."""

    def close(self) -> None:
        """Let go of the connections."""
        self._replicas.close()

    def _count(self, spoken: str, language: str, pronunciations: tuple[Any, ...]) -> int:
        utterance = Utterance(spoken, spoken, language, pronunciations=pronunciations)
        answer = self._replicas.ask("POST", "/engine/tokens", {"utterances": [_facts(utterance)]})
        try:
            return int(answer["counts"][0])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise EngineUnavailableError("the speech service does not count tokens") from error


def _rebuild(addresses: tuple[str, ...], key: str | None, patience: float) -> RemoteEngine:
    return RemoteEngine(addresses, key=key, patience=patience)


def _facts(utterance: Utterance) -> dict[str, Any]:
    return {
        "spoken": utterance.spoken,
        "language": utterance.language,
        "pronunciations": [given._asdict() for given in utterance.pronunciations],
    }


def _chunk_facts(chunk: Chunk) -> dict[str, Any]:
    return {
        "index": chunk.index,
        "utterances": [_facts(utterance) for utterance in chunk.utterances],
        "voice": chunk.voice,
        "language": chunk.language,
        "speed": chunk.speed,
    }


def _speech_of(answer: Any) -> Speech:
    """Samples and times; dividing by what the service multiplied with gives its very numbers."""
    pcm = np.frombuffer(base64.b64decode(answer["pcm"], validate=True), "<i2")
    starts, times = answer["utterance_starts"], answer["token_times"]
    return Speech(
        samples=pcm.astype(np.float32) / np.float32(32767),
        sample_rate=int(answer["sample_rate"]),
        utterance_starts=None if starts is None else tuple(float(start) for start in starts),
        token_times=None
        if times is None
        else tuple(TokenTime(str(t["token"]), float(t["start"]), float(t["end"])) for t in times),
    )
