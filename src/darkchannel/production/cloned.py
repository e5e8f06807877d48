"""What a job must say and know of the cloned voices in its plan."""

from __future__ import annotations

from darkchannel.models import Plan
from darkchannel.speech.openvoice.voice import short_name


def disclosure(plan: Plan) -> str | None:
    """A sentence for the files' metadata where cloned voices speak; None where none does."""
    names = sorted({name for chunk in plan.chunks if (name := short_name(chunk.voice))})
    if not names:
        return None
    return f"Synthetic speech; cloned voices: {', '.join(names)}. Made with DarkChannel (OpenVoice)"


def sounds_of(plan: Plan) -> str:
    """What the plan sounds like beyond its text: the engine, and which recordings were cloned.

    The same command after a recording was replaced is another job, as after a new engine.
    """
    return " ".join([plan.engine, *sorted({c.voice for c in plan.chunks if short_name(c.voice)})])
