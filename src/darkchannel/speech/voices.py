"""The voices of one engine: which there are, and what a request for one means.

An unknown name is refused with the choices and the nearest name; it is never replaced by
another voice in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from darkchannel.errors import UnknownLanguageError, UnknownVoiceError
from darkchannel.speech.engine import Voice


class VoiceCatalogue:
    """Voices by name, with a default voice for each language spoken."""

    def __init__(
        self,
        voices: tuple[Voice, ...],
        *,
        defaults: Mapping[str, str],
        aliases: Mapping[str, str],
    ) -> None:
        """Make a catalogue.

        Args:
            voices: in any order.
            defaults: name of the default voice by canonical BCP 47 tag; its keys are the
                languages the engine speaks.
            aliases: other tags by which a language may be asked for, such as ``pt``.
        """
        self.voices = tuple(sorted(voices, key=lambda voice: (voice.language, voice.name)))
        self._names = {voice.name for voice in voices}
        self._defaults = dict(defaults)
        self._tags = {tag.casefold(): tag for tag in defaults}
        self._tags |= {alias.casefold(): tag for alias, tag in aliases.items()}

    def language(self, tag: str) -> str:
        """The canonical tag of a language, whatever its case: ``pt-br`` is ``pt-BR``.

        Raises:
            UnknownLanguageError: the engine does not speak it.
        """
        canonical = self._tags.get(tag.replace("_", "-").casefold())
        if canonical is not None:
            return canonical
        raise UnknownLanguageError(
            f"unknown language {_shown(tag)}: expected one of {', '.join(sorted(self._defaults))}",
            remedy=_nearest(tag, self._defaults),
        )

    def resolve(self, voice: str | None, language: str) -> str:
        """The voice to use; see :meth:`darkchannel.speech.engine.Engine.resolve_voice`.

        A voice of another language than the one asked for is allowed: the language decides
        what is said, the voice who says it, with an accent.
        """
        canonical = self.language(language)
        if voice is None:
            return self._defaults[canonical]
        if voice in self._names:
            return voice
        same = [known.name for known in self.voices if known.language == canonical]
        choices = same or [known.name for known in self.voices]
        raise UnknownVoiceError(
            f"unknown voice {_shown(voice)}: expected one of {', '.join(choices)} for {canonical}",
            remedy=_nearest(voice, self._names) or "see all voices with `darkchannel voices`",
        )


def _nearest(asked: str, names: Mapping[str, str] | set[str]) -> str:
    by_folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(asked[:80].casefold(), by_folded, n=1, cutoff=0.5)
    return f"did you mean {by_folded[near[0]]}?" if near else ""


def _shown(asked: str) -> str:
    return repr(asked if len(asked) <= 40 else asked[:40] + "…")
