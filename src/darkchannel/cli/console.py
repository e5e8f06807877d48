"""How the command line speaks: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from darkchannel.errors import DarkChannelError

if TYPE_CHECKING:
    from darkchannel.production.progress import Progress

CANCELLED = 3
_PLAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Console:
    """Options every command shares.

    Attributes:
        quiet: no progress.
        debug: tracebacks.
    """

    quiet: bool = False
    debug: bool = False

    @contextmanager
    def progress(self) -> Iterator[Callable[[Progress], None]]:
        """A place to show progress: a bar on a terminal, now and then a line elsewhere."""
        if self.quiet:
            yield lambda _: None
        elif sys.stderr.isatty():
            from darkchannel.cli.bars import render_bars

            with render_bars() as show:
                yield show
        else:
            yield PlainProgress().show

    @contextmanager
    def download(self) -> Iterator[Callable[[Any], None]]:
        """A place to show a download's progress."""
        if self.quiet:
            yield lambda _: None
        elif sys.stderr.isatty():
            from darkchannel.cli.bars import download_bars

            with download_bars() as show:
                yield show
        else:
            yield PlainDownload().show

    def say(self, line: str) -> None:
        """A line for people, on stderr."""
        if not self.quiet:
            click.echo(line, err=True)


class PlainProgress:
    """Progress as lines, for logs: at most one each ten seconds, and one for each new stage."""

    def __init__(self) -> None:
        self._last = 0.0
        self._stage = ""
        self._began = time.monotonic()

    def show(self, progress: Progress) -> None:
        """Print a line if it is time for one."""
        now = time.monotonic()
        last_chunk = progress.stage == "rendering" and progress.fraction == 1.0
        early = now - self._last < _PLAIN_SECONDS
        if progress.stage == self._stage and early and not last_chunk:
            return
        if progress.stage != self._stage and progress.stage == "rendering":
            self._began = now
        self._stage, self._last = progress.stage, now
        click.echo(describe_progress(progress, now - self._began), err=True)


class PlainDownload:
    """A download's progress as lines, for logs: at most one each ten seconds."""

    def __init__(self) -> None:
        self._last = -_PLAIN_SECONDS

    def show(self, progress: Any) -> None:
        """Print a line if it is time for one."""
        now = time.monotonic()
        whole = progress.done_bytes >= progress.total_bytes
        if whole or now - self._last >= _PLAIN_SECONDS:
            self._last = now
            done, total = progress.done_bytes / 1e6, progress.total_bytes / 1e6
            click.echo(f"fetching {progress.name}: {done:.0f} of {total:.0f} MB", err=True)


def describe_progress(progress: Progress, elapsed: float) -> str:
    """One line on where a run stands.

    Args:
        progress: of the run.
        elapsed: seconds since rendering began.
    """
    if progress.note:
        return f"{progress.stage}: {progress.note}"
    if progress.stage != "rendering":
        return f"{progress.stage} {progress.fraction:.0%}" if progress.fraction else progress.stage
    line = f"rendering {progress.chunks_done}/{progress.chunks_total} chunks"
    made = progress.chunks_done - progress.chunks_reused
    if progress.chunks_reused:
        line += f" ({progress.chunks_reused} reused)"
    if made and elapsed > 0:
        left = elapsed / made * (progress.chunks_total - progress.chunks_done)
        line += (
            f", {progress.audio_seconds:.0f} s of audio,"
            f" {progress.audio_seconds / elapsed:.1f}x real time, {left:.0f} s left"
        )
    return line


def print_json(value: object) -> None:
    """One JSON object on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def report_error(error: BaseException, *, debug: bool) -> int:
    """Say what went wrong in one line, and return the exit code for it."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if debug:
        traceback.print_exception(error)
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return report_cancelled()
    click.echo(f"error: {describe_error(error)}", err=True)
    return error.exit_code if isinstance(error, DarkChannelError) else 1


def report_cancelled() -> int:
    """Say that a command was stopped, and return the exit code for it."""
    click.echo("cancelled; run the same command again to go on", err=True)
    return CANCELLED


def describe_error(error: BaseException) -> str:
    """An error in one line, with what to do about it."""
    if isinstance(error, DarkChannelError):
        return f"{error.message}; {error.remedy}" if error.remedy else error.message
    return (
        f"unexpected {type(error).__name__}: {error}; this is a fault of the program: run again"
        " with --debug and report it"
    )
