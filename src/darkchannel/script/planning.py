"""A script becomes a plan: chunks an engine can speak, and an account of everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from darkchannel.errors import ScriptError, SettingError
from darkchannel.models import (
    ChapterMark,
    Chunk,
    Plan,
    Script,
    ScriptWarning,
    TokenCounter,
    Unspoken,
    Utterance,
    chunk_digest,
)
from darkchannel.script import accounting, chunking, pauses, tempo
from darkchannel.script.casting import Casting
from darkchannel.script.chunking import Counted
from darkchannel.script.measuring import Measure
from darkchannel.script.narration import AlignedScript, Source


def make_plan(
    script: Script,
    *,
    count: TokenCounter,
    resolve_voice: Callable[[str | None, str], str],
    engine: str,
    max_tokens: int,
    voice: str | None = None,
    speed: float = 1.0,
    target: tuple[int, int] = (100, 200),
    first_alone: bool = False,
) -> Plan:
    """Divide a script into chunks.

    A chunk never mixes voices, languages or speeds, ends where a pause other than the natural
    one between sentences follows, and never has more than ``max_tokens``.

    Args:
        script: from :func:`darkchannel.script.read_script`.
        count: how many tokens the engine makes of an utterance.
        resolve_voice: the engine's name for a voice asked for (or None) in a language.
        engine: the engine's fingerprint.
        max_tokens: the most tokens the engine takes at once.
        voice: the job's voice, for utterances that name none.
        speed: the job's speed, from 0.5 to 2.0.
        target: the fewest and the most tokens a chunk should have where sentences allow.
        first_alone: make the first utterance a chunk by itself.

    Raises:
        SettingError: the speed or another number is out of bounds.
        ScriptError: nothing can be said, or a substitution is too long to be said at once.
        UnknownVoiceError, UnknownLanguageError: from ``resolve_voice``, with the line where
            SSML asks for it.
    """
    _check_settings(speed, max_tokens, target)
    longest = min(target[1], max_tokens)
    casting = Casting(script, resolve_voice, voice, speed)
    measure = Measure(count, longest=longest, max_tokens=max_tokens, lines=casting.lines)
    sayings = _Sayings(script, measure, casting)
    counted = sayings.counted()
    groups = _groups(counted, casting, min(target[0], longest), longest)
    if first_alone:
        groups = _first_alone(groups)
    chunks = tuple(
        _chunk(index, group, casting, engine) for index, group in enumerate(groups, start=1)
    )
    unspoken = accounting.in_order([*script.unspoken, *sayings.left_out])
    accounting.check(script.characters, (s for chunk in chunks for s in chunk.spans), unspoken)
    return Plan(
        title=script.title,
        engine=engine,
        characters=script.characters,
        chunks=chunks,
        chapters=tuple(_marks(script, chunks, counted)),
        unspoken=unspoken,
        warnings=tuple(sorted([*script.warnings, *sayings.warnings])),
        estimated_seconds=round(sum(map(_seconds, chunks)), 3),
    )


def check_speed(speed: float) -> None:
    """Refuse a speed at which no voice can be understood.

    Raises:
        SettingError: it is out of bounds, or not a number.
    """
    if not tempo.SLOWEST <= speed <= tempo.FASTEST:
        raise SettingError(
            f"speed {speed:g} is out of bounds: expected {tempo.SLOWEST} to {tempo.FASTEST}",
            remedy="1.0 is the voice's own speed",
        )


def _check_settings(speed: float, max_tokens: int, target: tuple[int, int]) -> None:
    check_speed(speed)
    if max_tokens < 1 or not 0 < target[0] <= target[1]:
        raise SettingError(
            f"chunks of {target[0]} to {target[1]} tokens of at most {max_tokens} cannot be made"
        )


class _Sayings:
    """The utterances of a script, counted, with what had to be left out or doubted."""

    def __init__(self, script: Script, measure: Measure, casting: Casting) -> None:
        self.left_out: list[Unspoken] = []
        self.warnings: list[ScriptWarning] = []
        self._script = script
        self._measure = measure
        self._casting = casting
        self._doubted: set[str] = set()

    def counted(self) -> list[Counted]:
        """All that is spoken, in reading order.

        Raises:
            ScriptError: that is nothing.
        """
        for utterance in _utterances(self._script):
            # An unknown voice is a better first complaint than whatever comes of counting.
            self._casting.voice(utterance)
        spoken: list[Counted] = []
        for chapter, utterance, source in _sourced(self._script):
            self._take(spoken, chapter, utterance, source)
        if not spoken:
            raise ScriptError(
                "the engine finds nothing to say in the input: expected at least one word"
            )
        spoken[-1] = _with_pause(spoken[-1], 0.0)
        return spoken

    def _take(
        self, spoken: list[Counted], chapter: int, utterance: Utterance, source: Source | None
    ) -> None:
        measured = self._measure.take(utterance, source)
        self.left_out += measured.left_out
        for warning in measured.warnings:
            self._doubt(*warning)
        spoken += (Counted(*part, chapter) for part in measured.parts)
        if not measured.parts:
            if spoken:
                pause = max(spoken[-1].utterance.pause_after, utterance.pause_after)
                spoken[-1] = _with_pause(spoken[-1], pause)
            return
        wanted, speed = self._casting.wanted_speed(utterance), self._casting.speed(utterance)
        if wanted != speed:
            line = self._casting.line(utterance) or 1
            self._doubt(line, f"speed {wanted:g} is out of bounds; spoken at {speed:g}")

    def _doubt(self, line: int, message: str) -> None:
        """Warn, once for each message."""
        if message not in self._doubted:
            self._doubted.add(message)
            self.warnings.append(ScriptWarning(line, message))


def _utterances(script: Script) -> Iterator[Utterance]:
    for chapter in script.chapters:
        yield from chapter.utterances


def _sourced(script: Script) -> Iterator[tuple[int, Utterance, Source | None]]:
    sources = iter(script.sources) if isinstance(script, AlignedScript) else iter(())
    for number, chapter in enumerate(script.chapters):
        for utterance in chapter.utterances:
            yield number, utterance, next(sources, None)


def _with_pause(counted: Counted, seconds: float) -> Counted:
    return counted._replace(utterance=replace(counted.utterance, pause_after=seconds))


def _groups(
    counted: list[Counted], casting: Casting, shortest: int, longest: int
) -> Iterator[Sequence[Counted]]:
    """The chunks' utterances: stretches that may be spoken together, and are not too long."""
    for _, same in groupby(counted, lambda one: (one.chapter, casting.part(one.utterance))):
        stretch: list[Counted] = []
        for one in same:
            stretch.append(one)
            if one.utterance.pause_after != pauses.SENTENCE:
                yield from chunking.group(stretch, shortest, longest)
                stretch = []
        if stretch:
            yield from chunking.group(stretch, shortest, longest)


def _first_alone(groups: Iterator[Sequence[Counted]]) -> Iterator[Sequence[Counted]]:
    first = next(groups)
    yield first[:1]
    if len(first) > 1:
        yield first[1:]
    yield from groups


def _chunk(index: int, group: Sequence[Counted], casting: Casting, engine: str) -> Chunk:
    utterances = tuple(one.utterance for one in group)
    voice, language, speed = casting.part(utterances[0])
    return Chunk(
        index=index,
        utterances=utterances,
        voice=voice,
        language=language,
        speed=speed,
        tokens=chunking.tokens_of(group),
        pause_after=utterances[-1].pause_after,
        digest=chunk_digest(utterances, voice=voice, language=language, speed=speed, engine=engine),
    )


def _marks(
    script: Script, chunks: Sequence[Chunk], counted: Sequence[Counted]
) -> Iterator[ChapterMark]:
    """Where each titled chapter of which something is said begins."""
    at, marked = 0, -1
    for chunk in chunks:
        number = counted[at].chapter
        at += len(chunk.utterances)
        title = script.chapters[number].title
        if number != marked and title is not None:
            yield ChapterMark(title, chunk.index)
        marked = number


def _seconds(chunk: Chunk) -> float:
    return chunk.tokens / tempo.TOKENS_A_SECOND / chunk.speed + chunk.pause_after
