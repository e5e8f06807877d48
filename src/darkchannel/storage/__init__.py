"""Objects and jobs in an S3 store: client, job manager, keys, embedded server, cleanup.

The public names are looked up when first used: importing this package loads no S3 library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darkchannel.storage.client import MinIOClient as MinIOClient
    from darkchannel.storage.jobs import JobManager as JobManager
    from darkchannel.storage.lease import JobLease as JobLease

_HOMES = {"MinIOClient": "client", "JobManager": "jobs", "JobLease": "lease"}

__all__ = ["JobLease", "JobManager", "MinIOClient"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
