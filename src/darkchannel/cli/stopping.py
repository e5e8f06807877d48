"""Ctrl-C and SIGTERM: a command stops cleanly, and soon, even when something hangs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

STOP_SECONDS = 1.8
"""Seconds for a clean end; two is what people wait before they press Ctrl-C again."""


def stop_on_signals(last_words: Callable[[], int] | None = None) -> None:
    """Let Ctrl-C and SIGTERM both raise KeyboardInterrupt in the main thread.

    Args:
        last_words: given for commands that may be cut short: called when the clean end has not
            come after :data:`STOP_SECONDS` (a store that hangs, say); says what there is to
            say and returns the exit code.  Nothing is lost: finished takes are in the store,
            and the lease runs out by itself.
    """

    def stop(_number: int, _frame: object) -> NoReturn:
        if last_words is not None:
            watchdog = threading.Timer(STOP_SECONDS, _leave, [last_words])
            watchdog.daemon = True
            watchdog.start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    if last_words is not None:
        signal.signal(signal.SIGINT, stop)


def _leave(last_words: Callable[[], int]) -> NoReturn:
    code = last_words()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
