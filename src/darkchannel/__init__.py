"""Self-hosted audiobooks: text or SSML in, a mastered audiobook out of an S3 bucket.

    from darkchannel import MinIOClient, JobManager, render

Names are imported when first used, so that the command line's ``--help`` stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkchannel.composition import render
    from darkchannel.storage import JobManager, MinIOClient

__all__ = ["JobManager", "MinIOClient", "render"]

_HOMES = {
    "JobManager": "darkchannel.storage",
    "MinIOClient": "darkchannel.storage",
    "render": "darkchannel.composition",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
