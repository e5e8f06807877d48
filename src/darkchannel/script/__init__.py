"""Text and SSML become a script, and a script becomes chunks.  Pure functions, no engine."""

from __future__ import annotations

from darkchannel.script.encoding import decode
from darkchannel.script.planning import make_plan
from darkchannel.script.reading import read_script

__all__ = ["decode", "make_plan", "read_script"]
