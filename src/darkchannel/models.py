"""The nouns of the project: plain, frozen values without I/O.

A text travels through them in this order::

    Script (Chapter, Utterance)  --chunking-->  Plan (Chunk)  --engine-->  Take  --audio-->  Book

and a :class:`Job` is one request to make that journey.  Offsets are always characters of the
input file as given (after decoding, before any normalisation); times are seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Span(NamedTuple):
    """Half-open range ``[start, end)`` of characters of the input."""

    start: int
    end: int


class Pronunciation(NamedTuple):
    """Phonemes (IPA) given by the author for ``[start, end)`` of an utterance's ``spoken``."""

    start: int
    end: int
    ipa: str


class Unspoken(NamedTuple):
    """Input that is not said, and why (``markup``, ``comment``, ``whitespace``, ...)."""

    span: Span
    reason: str


class ScriptWarning(NamedTuple):
    """Something doubtful in the input that was read all the same."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """One sentence (or clause of a long one) with its voice and the pause after it.

    Attributes:
        text: the input it comes from, as written, without markup.
        spoken: what the engine is to say: NFC, substitutions and say-as applied, one line.
        language: BCP 47 tag such as ``pt-BR``.
        voice: name of a voice, or None for the job's own.
        rate: speed relative to the voice's own; 1.0 is unchanged.
        pause_after: seconds of silence that follow.
        pronunciations: phonemes given by the author, in order, not overlapping.
        spans: the characters of the input that it says, in order, not overlapping.
    """

    text: str
    spoken: str
    language: str
    voice: str | None = None
    rate: float = 1.0
    pause_after: float = 0.0
    pronunciations: tuple[Pronunciation, ...] = ()
    spans: tuple[Span, ...] = ()


TokenCounter = Callable[[Utterance], int]
"""How many phoneme tokens an engine makes of one utterance; 0 means it has nothing to say."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A run of utterances under one title (None for text before any heading)."""

    title: str | None
    utterances: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """A text read and understood, before any engine is known.

    Attributes:
        title: the work's own title where the input names one.
        chapters: in reading order; never empty.
        unspoken: every character that no utterance covers, with its reason.
        warnings: what is doubtful, by line.
        characters: length of the input.
    """

    title: str | None
    chapters: tuple[Chapter, ...]
    unspoken: tuple[Unspoken, ...]
    warnings: tuple[ScriptWarning, ...]
    characters: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """The unit sent to an engine: one or more utterances of one voice, language and rate.

    Attributes:
        index: from 1, without gaps, in reading order.
        utterances: what is said, in order; nothing but the sentence's own pause between them.
        voice: resolved name of the voice.
        language: BCP 47 tag.
        speed: the utterances' rate times the job's speed.
        tokens: the engine's count: the sum over the utterances plus one between each two.
        pause_after: seconds of silence after the take.
        digest: what the take of this chunk sounds like, as a SHA-256 in hexadecimal: equal
            digests mean interchangeable takes, whatever job or place they come from.
    """

    index: int
    utterances: tuple[Utterance, ...]
    voice: str
    language: str
    speed: float
    tokens: int
    pause_after: float
    digest: str

    @property
    def text(self) -> str:
        """The input as written, without markup."""
        return " ".join(utterance.text for utterance in self.utterances)

    @property
    def spoken(self) -> str:
        """What the engine says."""
        return " ".join(utterance.spoken for utterance in self.utterances)

    @property
    def spans(self) -> tuple[Span, ...]:
        """The characters of the input that it says, in order."""
        return tuple(span for utterance in self.utterances for span in utterance.spans)

    @property
    def span(self) -> Span:
        """From its first character of the input to its last; markup in between included."""
        spans = self.spans
        return Span(spans[0].start, spans[-1].end)


def chunk_digest(
    utterances: tuple[Utterance, ...], *, voice: str, language: str, speed: float, engine: str
) -> str:
    """Digest of all that decides how a take sounds, and of nothing else.

    Args:
        utterances: what is said.
        voice: resolved name of the voice.
        language: BCP 47 tag.
        speed: relative to the voice's own.
        engine: the engine's fingerprint, which changes with its weights and its code.
    """
    said = [
        [utterance.spoken, [list(given) for given in utterance.pronunciations]]
        for utterance in utterances
    ]
    return _sha256([engine, voice, language, round(speed, 6), said])


class ChapterMark(NamedTuple):
    """Where a chapter begins: its title and the index of its first chunk."""

    title: str
    first_chunk: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All that will be said, in what pieces, and what will not.

    Written once as ``plan.json``; its :attr:`digest` stands in the job's metadata, so that a
    plan that was changed afterwards is noticed.
    """

    title: str | None
    engine: str
    characters: int
    chunks: tuple[Chunk, ...]
    chapters: tuple[ChapterMark, ...]
    unspoken: tuple[Unspoken, ...]
    warnings: tuple[ScriptWarning, ...]
    estimated_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The shape of ``plan.json`` and of ``darkchannel plan --json``."""
        return {
            "title": self.title,
            "engine": self.engine,
            "characters": self.characters,
            "chunks": [_chunk_to_dict(chunk) for chunk in self.chunks],
            "chapters": [mark._asdict() for mark in self.chapters],
            "unspoken": [{"span": list(u.span), "reason": u.reason} for u in self.unspoken],
            "warnings": [warning._asdict() for warning in self.warnings],
            "estimated_seconds": self.estimated_seconds,
        }

    def to_json(self) -> bytes:
        """Canonical bytes: equal plans give equal bytes."""
        return _canonical(self.to_dict())

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`to_json` in hexadecimal."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def from_json(cls, data: bytes) -> Plan:
        """Read :meth:`to_json` back.

        Raises:
            ValueError, KeyError, TypeError: these are not the bytes of a plan.
        """
        raw = json.loads(data)
        return cls(
            title=raw["title"],
            engine=raw["engine"],
            characters=raw["characters"],
            chunks=tuple(_chunk_from_dict(chunk) for chunk in raw["chunks"]),
            chapters=tuple(ChapterMark(**mark) for mark in raw["chapters"]),
            unspoken=tuple(Unspoken(Span(*u["span"]), u["reason"]) for u in raw["unspoken"]),
            warnings=tuple(ScriptWarning(**warning) for warning in raw["warnings"]),
            estimated_seconds=raw["estimated_seconds"],
        )


def _chunk_to_dict(chunk: Chunk) -> dict[str, Any]:
    return {
        "index": chunk.index,
        "text": chunk.text,
        "spoken": chunk.spoken,
        "voice": chunk.voice,
        "language": chunk.language,
        "speed": chunk.speed,
        "tokens": chunk.tokens,
        "span": list(chunk.span),
        "pause_after_seconds": chunk.pause_after,
        "digest": chunk.digest,
        "utterances": [asdict(utterance) for utterance in chunk.utterances],
    }


def _chunk_from_dict(raw: dict[str, Any]) -> Chunk:
    return Chunk(
        index=raw["index"],
        utterances=tuple(_utterance_from_dict(utterance) for utterance in raw["utterances"]),
        voice=raw["voice"],
        language=raw["language"],
        speed=raw["speed"],
        tokens=raw["tokens"],
        pause_after=raw["pause_after_seconds"],
        digest=raw["digest"],
    )


def _utterance_from_dict(raw: dict[str, Any]) -> Utterance:
    fields = dict(raw)
    fields["pronunciations"] = tuple(Pronunciation(*given) for given in raw["pronunciations"])
    fields["spans"] = tuple(Span(*span) for span in raw["spans"])
    return Utterance(**fields)


@dataclass(frozen=True, slots=True)
class Take:
    """Facts about the rendered audio of one chunk; the audio itself lies in the store.

    Attributes:
        index: the chunk's.
        digest: the chunk's.
        key: object key in the jobs bucket.
        sha256: of the object's bytes, in hexadecimal.
        frames: length in samples of one channel.
        sample_rate: in Hz.
        sentence_starts: seconds from the take's start at which each utterance begins.
        reused: whether it was there already.
        render_seconds: how long speaking it took; no part of what it is.
    """

    index: int
    digest: str
    key: str
    sha256: str
    frames: int
    sample_rate: int
    sentence_starts: tuple[float, ...] = ()
    reused: bool = False
    render_seconds: float = field(default=0.0, compare=False)

    @property
    def seconds(self) -> float:
        """Length of the take."""
        return self.frames / self.sample_rate


class JobStatus(StrEnum):
    """Where a job stands; the last three are final until somebody resumes it."""

    PENDING = "pending"
    PROCESSING = "processing"
    MERGING = "merging"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nobody works on a job in this state."""
        return self in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job until it expires, by the store's clock.

    Attributes:
        owner: who holds it.
        expires_at: POSIX seconds by the store's clock.
        fencing: grows by one each time the job changes hands; older holders' writes fail.
    """

    owner: str
    expires_at: float
    fencing: int


class Check(NamedTuple):
    """Something that was proven or not, and what to do where it was not."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def _canonical(value: object) -> bytes:
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def _sha256(value: object) -> str:
    return hashlib.sha256(_canonical(value)).hexdigest()
