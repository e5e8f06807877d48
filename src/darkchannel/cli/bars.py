"""Progress bars for terminals, by rich."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from darkchannel.production.progress import Progress as RunProgress


@contextmanager
def render_bars() -> Iterator[Callable[[RunProgress], None]]:
    """Bars for a run: chunks, audio rendered, speed against real time, time left."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<11}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=False,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def show(progress: RunProgress) -> None:
            if progress.stage not in tasks:
                for task in tasks.values():
                    bars.update(task, completed=1.0)
                tasks[progress.stage] = bars.add_task(progress.stage, total=1.0, detail="")
            task = tasks[progress.stage]
            elapsed = bars.tasks[list(tasks).index(progress.stage)].elapsed or 0.0
            bars.update(task, completed=progress.fraction, detail=_detail(progress, elapsed))

        yield show


def _detail(progress: RunProgress, elapsed: float) -> str:
    if progress.note:
        return progress.note
    if progress.stage != "rendering":
        return ""
    detail = f"{progress.chunks_done}/{progress.chunks_total} chunks"
    if progress.chunks_reused:
        detail += f", {progress.chunks_reused} reused"
    if progress.audio_seconds and elapsed:
        speed = progress.audio_seconds / elapsed
        detail += f", {progress.audio_seconds:.0f} s audio, {speed:.1f}x"
    return detail


@contextmanager
def download_bars() -> Iterator[Callable[[Any], None]]:
    """A bar for a download."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bars:
        task = None

        def show(progress: Any) -> None:
            nonlocal task
            if task is None:
                task = bars.add_task(progress.name, total=progress.total_bytes)
            bars.update(
                task,
                description=progress.name,
                total=progress.total_bytes,
                completed=progress.done_bytes,
            )

        yield show
