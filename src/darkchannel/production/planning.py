"""From bytes to a plan: the script stage, given an engine's count and voices."""

from __future__ import annotations

from darkchannel.models import Plan
from darkchannel.production.request import RenderOptions
from darkchannel.script import make_plan
from darkchannel.speech.engine import Engine

TARGET = (100, 200)
"""Tokens of a chunk: what voices sound best at."""


def plan_text(
    data: bytes,
    options: RenderOptions,
    engine: Engine,
    *,
    ssml: bool | None = None,
    target: tuple[int, int] = TARGET,
    first_alone: bool = False,
) -> Plan:
    """Plan what an engine will say of a text; renders nothing.

    Args:
        data: the input file's bytes.
        options: how to read it.
        engine: whose tokens are counted and whose voices are checked.
        ssml: whether it is SSML; None looks at the content.
        target: the fewest and the most tokens a chunk should have where sentences allow.
        first_alone: make the first sentence a chunk by itself, for whoever waits to hear it.

    Raises:
        ScriptError: the text cannot be read.
        SettingError: the speed is out of range.
        UnknownVoiceError, UnknownLanguageError: asked for by the options or the text.
    """
    # Asked for on the command line, a wrong voice must be refused even where the text
    # happens to name voices of its own throughout.
    engine.resolve_voice(options.voice, options.language)
    return make_plan(
        options.read(data, ssml=ssml),
        count=engine.count_tokens,
        resolve_voice=engine.resolve_voice,
        engine=engine.fingerprint,
        max_tokens=engine.max_tokens,
        voice=options.voice,
        speed=options.speed,
        target=target,
        first_alone=first_alone,
    )
