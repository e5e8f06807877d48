"""The processes that speak."""

from __future__ import annotations

import os

from darkchannel.production.pool import NICENESS, speech_workers


def test_workers_let_short_work_go_first() -> None:
    """Requests, the store and a person's own programs get their core before hours of speech."""
    with speech_workers(1) as executor:
        theirs = executor.submit(os.getpriority, os.PRIO_PROCESS, 0).result()
    assert theirs == min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
