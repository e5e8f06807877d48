"""Text and SSML become a script, and a script becomes chunks.  Pure functions, no engine.

::

    bytes --decode--> text --read_script--> Script --make_plan--> Plan

The three are loaded when they are first asked for, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkchannel.script.encoding import decode
    from darkchannel.script.planning import make_plan
    from darkchannel.script.reading import read_script

__all__ = ["decode", "make_plan", "read_script"]

_HOMES = {"decode": "encoding", "make_plan": "planning", "read_script": "reading"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
