"""The ``openvoice`` engine: another engine's speech in the voices of reference recordings."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from darkchannel.errors import SynthesisError, UnknownVoiceError
from darkchannel.models import Chunk, Utterance
from darkchannel.speech.edges import Edges, find_edges
from darkchannel.speech.engine import Engine, Speech, TokenTime, Voice
from darkchannel.speech.openvoice import source
from darkchannel.speech.openvoice.converter import TAU, Array, Converter, read_description
from darkchannel.speech.openvoice.voice import ClonedVoice
from darkchannel.speech.resampling import resample
from darkchannel.speech.voices import VoiceCatalogue

VERSION = "1"
"""Changes whenever the same base speech and voice would sound different."""

FRESH_SECONDS = 5.0
"""How long the voices found count as those there are: services live for weeks, and people add
voices meanwhile."""

VoiceSource = Callable[[], Sequence[ClonedVoice]]


class OpenVoiceEngine:
    """Speaks as its base does: the same words, tokens, times and rate; the voice is another's.

    A voice may be asked for by its name or its full name (``maria@3f2a9c1b2d``); what it
    resolves to is the full name, whose digest changes with the recording.  A voice that was met is
    kept, so that a plan which names it can be spoken to the end whatever becomes of its
    recording.  Pickling takes along how voices are found; the copy finds them anew, and loads
    the networks itself.
    """

    name = "openvoice"

    def __init__(
        self,
        base: Engine,
        folder: Path,
        find_voices: VoiceSource = tuple,
        *,
        threads: int = 1,
        precision: str | None = None,
    ) -> None:
        """Make an engine; nothing is loaded yet.

        Args:
            base: what speaks first.
            folder: of the exported networks; sources are kept there too.
            find_voices: tells the voices there are now.
            threads: of one inference.
            precision: see :class:`.converter.Converter`.
        """
        self._base = base
        self._folder = folder
        self._threads = threads
        self._precision = precision
        self._find_voices = find_voices
        self._met: dict[str, ClonedVoice] = {}
        self._current: dict[str, str] = {}
        self._looked = -FRESH_SECONDS
        self._converter: Converter | None = None
        self._sources: dict[str, Array] = {}

    def __reduce__(self) -> tuple[object, ...]:
        given = (self._base, self._folder, self._find_voices, self._threads, self._precision)
        return (_rebuild, given)

    @property
    def fingerprint(self) -> str:
        """Of the networks, what computes them, the base and this code.

        The voices' digests are in their names.

        Raises:
            EngineUnavailableError: the networks were not exported.
        """
        networks = read_description(self._folder).digest[:12]
        sounds = f"tau-{TAU}-source-{source.VERSION}"
        if self._precision is not None:
            sounds += f"-openvino-{self._precision}"
        return f"openvoice-{VERSION}-{networks}-{sounds}-on-{self._base.fingerprint}"

    @property
    def sample_rate(self) -> int:
        """The base's, in Hz."""
        return self._base.sample_rate

    @property
    def max_tokens(self) -> int:
        """The base's."""
        return self._base.max_tokens

    @property
    def voices(self) -> tuple[Voice, ...]:
        """All cloned voices by their full names, sorted by language and name.

        Raises:
            StoreError, StoreUnavailableError: where they lie cannot be looked at; so it is with
                all that must know them.
        """
        self._look()
        voices = (Voice(full, self._met[full].language) for full in self._current.values())
        return tuple(sorted(voices, key=lambda voice: (voice.language, voice.name)))

    def resolve_voice(self, voice: str | None, language: str) -> str:
        """See :meth:`darkchannel.speech.engine.Engine.resolve_voice`.

        The default of a language is the first voice added for it, by name; there may be none.
        """
        canonical = self._language(language)
        if voice in self._met:
            return voice
        self._look()
        if voice in self._current:
            return self._current[voice]
        if not self._current:
            raise UnknownVoiceError(
                "the openvoice engine has no voice yet",
                remedy="add one of a recording with `darkchannel voices add NAME FILE`",
            )
        defaults = {made.language: made.name for made in reversed(self.voices)}
        if voice is None and canonical not in defaults:
            raise UnknownVoiceError(
                f"no voice was added for {canonical}: expected one of "
                f"{', '.join(sorted(self._current))} to be asked for",
                remedy="choose one with --voice: each of them speaks every language",
            )
        defaults = {canonical: ""} | defaults
        return VoiceCatalogue(self.voices, defaults=defaults, aliases={}).resolve(voice, canonical)

    def count_tokens(self, utterance: Utterance) -> int:
        """As the base counts them."""
        return self._base.count_tokens(utterance)

    def synthesize(self, chunks: Sequence[Chunk]) -> Iterator[Speech]:
        """See :meth:`darkchannel.speech.engine.Engine.synthesize`."""
        for chunk in chunks:
            voice = self._met[self.resolve_voice(chunk.voice, chunk.language)]
            base_voice = self._base.resolve_voice(voice.base, chunk.language)
            speech = next(iter(self._base.synthesize([replace(chunk, voice=base_voice)])))
            yield self._converted(chunk, speech, base_voice, voice)

    def load(self) -> None:
        """Load the base, which speaks first; the networks are at the first voice's."""
        self._base.load()

    def close(self) -> None:
        """Let go of the networks, and of the base's memory."""
        self._base.close()
        self._converter = None
        self._sources.clear()

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < FRESH_SECONDS:
            return
        found = self._find_voices()
        self._met |= {voice.full_name: voice for voice in found}
        self._current = {voice.name: voice.full_name for voice in found}
        self._looked = now

    def _language(self, tag: str) -> str:
        """The canonical tag of a language, by the voice the base would take for it."""
        default = self._base.resolve_voice(None, tag)
        return next(voice.language for voice in self._base.voices if voice.name == default)

    def _converted(
        self, chunk: Chunk, speech: Speech, base_voice: str, voice: ClonedVoice
    ) -> Speech:
        if self._converter is None:
            self._converter = Converter(
                self._folder, threads=self._threads, precision=self._precision
            )
        converter, rate = self._converter, self._converter.about.sample_rate
        if base_voice not in self._sources:
            self._sources[base_voice] = source.embedding(
                self._base, base_voice, converter, self._folder / "sources"
            )
        heard = resample(speech.samples, speech.sample_rate, rate)
        seed = hashlib.sha256(chunk.digest.encode()).digest()
        try:
            recast = converter.convert(heard, self._sources[base_voice], voice.vector, seed=seed)
        except RuntimeError as error:
            raise SynthesisError(
                f"chunk {chunk.index} could not be converted: {error}",
                remedy="change the sentence's wording a little",
                chunk=chunk.index,
            ) from error
        samples = resample(recast, rate, speech.sample_rate)[: len(speech.samples)]
        return _finished(samples, speech, chunk)


def _rebuild(
    base: Engine, folder: Path, find_voices: VoiceSource, threads: int, precision: str | None
) -> OpenVoiceEngine:
    return OpenVoiceEngine(base, folder, find_voices, threads=threads, precision=precision)


def _finished(samples: Array, speech: Speech, chunk: Chunk) -> Speech:
    """Trimmed again, within [-1, 1], with the base's times: conversion keeps every moment."""
    edges = find_edges(samples, speech.sample_rate) if np.isfinite(samples).all() else _NOTHING
    kept = edges.cut(samples)
    if len(kept) == 0:
        raise SynthesisError(
            f"chunk {chunk.index} came out of the conversion silent or broken",
            remedy="listen to the reference recording, and add a better one",
            chunk=chunk.index,
        )
    peak = float(np.abs(kept).max())
    kept = kept if peak <= 1.0 else kept / np.float32(peak)
    offset, length = edges.start / speech.sample_rate, len(kept) / speech.sample_rate

    def moved(at: float) -> float:
        return min(max(0.0, at - offset), length)

    starts, times = speech.utterance_starts, speech.token_times
    return Speech(
        kept,
        speech.sample_rate,
        None if starts is None else tuple(moved(start) for start in starts),
        None
        if times is None
        else tuple(TokenTime(t.token, moved(t.start), moved(t.end)) for t in times),
    )


_NOTHING = Edges(0, 0, 0, 0)
