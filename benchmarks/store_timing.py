"""Times of calls, and what is told of many of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import ParamSpec

P = ParamSpec("P")


def seconds(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    """How long a call with these arguments takes."""
    began = time.perf_counter()
    call(*args, **kwargs)
    return time.perf_counter() - began


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def milliseconds(values: Sequence[float], *percents: float) -> str:
    """Percentiles of seconds, shown as ``3.1, 4.0, 9.8 ms``."""
    shown = (f"{percentile(values, percent) * 1000:.1f}" for percent in percents)
    return f"{', '.join(shown)} ms"
