"""Which voice speaks an utterance, and how fast.

Without a voice asked for, the whole text is read by one narrator: the engine's default for the
language the text begins in.  A foreign phrase changes the pronunciation, not the person.
"""

from __future__ import annotations

from collections.abc import Callable

from darkchannel.errors import InputError
from darkchannel.models import Script, Utterance
from darkchannel.script import tempo
from darkchannel.script.narration import AlignedScript


class Casting:
    """Who speaks an utterance, and how fast."""

    def __init__(
        self,
        script: Script,
        resolve_voice: Callable[[str | None, str], str],
        voice: str | None,
        speed: float,
    ) -> None:
        self._resolve = resolve_voice
        self._voice = voice
        self._speed = speed
        self.lines = script.lines if isinstance(script, AlignedScript) else None
        self._language = next((u.language for c in script.chapters for u in c.utterances), "")
        self._known: dict[tuple[str | None, str], str] = {}

    def voice(self, utterance: Utterance) -> str:
        """The engine's name of the voice that speaks it."""
        asked = utterance.voice, utterance.language
        if asked not in self._known:
            try:
                narrator = self._voice or self._resolve(None, self._language)
                self._known[asked] = self._resolve(asked[0] or narrator, asked[1])
            except InputError as error:
                raise self._located(error, utterance) from None
        return self._known[asked]

    def _located(self, error: InputError, utterance: Utterance) -> InputError:
        """The same error with the line, where it is the text that asks for the voice."""
        line = self.line(utterance)
        if line is None or (utterance.voice is None and utterance.language == self._language):
            return error
        return type(error)(f"line {line}: {error.message}", remedy=error.remedy)

    def line(self, utterance: Utterance) -> int | None:
        """Where the utterance begins, from 1."""
        return self.lines.line(utterance.spans[0].start) if self.lines else None

    def wanted_speed(self, utterance: Utterance) -> float:
        """Rate times speed, whether or not it can be had."""
        return round(utterance.rate * self._speed, 6)

    def speed(self, utterance: Utterance) -> float:
        """Rate times speed, kept within bounds."""
        return tempo.bounded(self.wanted_speed(utterance))

    def part(self, utterance: Utterance) -> tuple[str, str, float]:
        """All that a chunk never mixes."""
        return self.voice(utterance), utterance.language, self.speed(utterance)
