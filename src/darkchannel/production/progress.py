"""What a long run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["planning", "rendering", "checking", "mastering", "publishing", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    Attributes:
        stage: what is being done.
        job_id: whose run it is; empty while planning.
        chunks_total: chunks of the plan.
        chunks_done: takes there are, made or found.
        chunks_reused: those of them that were found.
        audio_seconds: length of the takes made by this run.
        fraction: of the stage, 0 to 1.
        note: one sentence for people, such as why it waits; usually empty.
    """

    stage: Stage
    job_id: str = ""
    chunks_total: int = 0
    chunks_done: int = 0
    chunks_reused: int = 0
    audio_seconds: float = 0.0
    fraction: float = 0.0
    note: str = ""


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """For callers who do not watch."""
