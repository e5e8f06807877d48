"""FFmpeg as a child process: found, fed, heard out, and never left behind.

Everything that encodes, filters or decodes goes through :func:`run`.  Commands are lists, the
environment handed down is minimal (no secrets, no ``FFREPORT``), and whatever ends the call
early (an exception, Ctrl-C) kills the process and waits for it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import IO

from darkchannel.errors import AudioError, OutputError

LOCAL_ONLY = ("-protocol_whitelist", "file,pipe")
"""Input options: FFmpeg may open local files and pipes, never the network."""

REMEDY = "install FFmpeg 5.1 or later, or pip install 'darkchannel[ffmpeg]'"

NICENESS = 10
"""Of FFmpeg, as of speech workers."""

_GLOBAL = ("-hide_banner", "-nostdin", "-nostats", "-y", "-filter_threads", "1")
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")
_FULL = (errno.ENOSPC, errno.EDQUOT)
# FFmpeg before 6 exits with 0 when the last bytes of a file could not be written.
_UNFINISHED = re.compile(r"(\[[^]]*\] )?Error (writing trailer|closing file)")
_LOG_LINES = 400
_READ_BYTES = 1 << 18


@functools.cache
def find_ffmpeg() -> str:
    """Path of an FFmpeg that can do the work: the one on PATH, else imageio-ffmpeg's own.

    Raises:
        AudioError: there is none, or none that has the filters and encoders needed.
    """
    refused = []
    for candidate in _candidates():
        reason = _shortcoming(candidate)
        if reason is None:
            return candidate
        refused.append(f"{candidate} ({reason})")
    if refused:
        raise AudioError(f"this FFmpeg cannot be used: {'; '.join(refused)}", remedy=REMEDY)
    raise AudioError("FFmpeg is needed to encode audio but was not found", remedy=REMEDY)


def _candidates() -> list[str]:
    found = [path for path in (shutil.which("ffmpeg"),) if path]
    if importlib.util.find_spec("imageio_ffmpeg") is not None:
        import imageio_ffmpeg

        with contextlib.suppress(RuntimeError):  # its way of saying: no binary for this system
            found.append(str(imageio_ffmpeg.get_ffmpeg_exe()))
    return found


def _shortcoming(path: str) -> str | None:
    """Why an FFmpeg will not do, or None: tried on a moment of silence, since options differ."""
    filters = "ebur128=framelog=verbose:peak=true,alimiter=level=0:latency=1"
    encoders = ("-c:a:0", "libmp3lame", "-c:a:1", "aac", "-aac_coder", "fast")
    source = ("-f", "s16le", "-ar", "24000", "-ac", "1", "-i", "pipe:0")
    graph = ("-filter_complex", f"[0:a]{filters},asplit[a][b]", "-map", "[a]", "-map", "[b]")
    command = [path, "-hide_banner", "-loglevel", "error", *source, *graph, *encoders]
    try:
        tried = subprocess.run(
            [*command, "-f", "null", "-"],
            input=bytes(4800),
            capture_output=True,
            env=minimal_environment(),
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if tried.returncode == 0:
        return None
    return _reason(tried.stderr.decode(errors="replace").splitlines())


def run(
    arguments: Sequence[str],
    *,
    blocks: Iterable[bytes | memoryview] | None = None,
    sink: Callable[[bytes], None] | None = None,
) -> str:
    """Run FFmpeg to its end.

    Args:
        arguments: what follows the program's name.
        blocks: written to its standard input, one after the other, as fast as it takes them.
        sink: called with each piece of its standard output.

    Returns:
        The last lines of its log.

    Raises:
        ValueError: both ``blocks`` and ``sink`` were given: each would wait for the other.
        OutputError: there is no space left for what it writes.
        AudioError: it failed for another reason, which the message quotes.
        Exception: whatever ``blocks`` or ``sink`` raise; FFmpeg is gone by then.
    """
    if blocks is not None and sink is not None:
        raise ValueError("feed FFmpeg or read from it, not both")
    process = subprocess.Popen(
        [find_ffmpeg(), *_GLOBAL, *arguments],
        stdin=subprocess.DEVNULL if blocks is None else subprocess.PIPE,
        stdout=subprocess.DEVNULL if sink is None else subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=minimal_environment(),
        process_group=0,  # Ctrl-C reaches this process alone, which then decides
    )
    log = None
    try:
        log = _Log(process.stderr)
        _let_others_go_first(process)
        heard_out = _feed(process.stdin, blocks) if blocks is not None else True
        if sink is not None:
            _drain(process.stdout, sink)
        code = process.wait()
    finally:
        _end(process)
        lines = log.lines() if log is not None else []
    if code != 0 or not heard_out or any(_UNFINISHED.match(line) for line in lines):
        raise _failure(lines, code)
    return "\n".join(lines)


def _let_others_go_first(process: subprocess.Popen[bytes]) -> None:
    """Encoding a book takes minutes; what answers requests beside it takes milliseconds."""
    with contextlib.suppress(OSError):  # it has ended already
        niceness = os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
        os.setpriority(os.PRIO_PGRP, process.pid, niceness)


def filter_command(arguments: Sequence[str]) -> list[str]:
    """The command of an FFmpeg that somebody else runs, in :func:`minimal_environment`.

    Args:
        arguments: what follows the program's name.

    Raises:
        AudioError: there is no FFmpeg.
    """
    return [find_ffmpeg(), *_GLOBAL, "-loglevel", "error", *arguments]


def minimal_environment() -> dict[str, str]:
    """What an FFmpeg is told of this process: no secrets, no ``FFREPORT``."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**kept, "LC_ALL": "C"}


class _Log:
    """Drains standard error in a thread, so that FFmpeg never waits for a reader."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        if stream is None:
            raise ValueError("standard error must be a pipe")
        self._stream = stream
        self._lines: deque[str] = deque(maxlen=_LOG_LINES)
        self._thread = threading.Thread(target=self._read, name="ffmpeg-log", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while line := self._stream.readline(4096):
            self._lines.append(line.decode(errors="replace").rstrip())

    def lines(self) -> list[str]:
        """All that was kept, once the process has ended."""
        self._thread.join()
        self._stream.close()
        return list(self._lines)


def _feed(stdin: IO[bytes] | None, blocks: Iterable[bytes | memoryview]) -> bool:
    """Write all blocks; False if FFmpeg stopped listening: its log then says why."""
    if stdin is None:
        raise ValueError("standard input must be a pipe")
    for block in blocks:
        try:
            stdin.write(block)
        except BrokenPipeError:
            return False
    try:
        stdin.close()
    except BrokenPipeError:
        return False
    return True


def _drain(stdout: IO[bytes] | None, sink: Callable[[bytes], None]) -> None:
    if stdout is None:
        raise ValueError("standard output must be a pipe")
    while data := stdout.read(_READ_BYTES):
        sink(data)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was still to be flushed has no reader
                pipe.close()


def _failure(lines: list[str], code: int) -> AudioError | OutputError:
    if any(os.strerror(number) in line for line in lines for number in _FULL):
        return OutputError(
            "no space is left for the audio where it is written",
            remedy="free some space or write to another place",
        )
    return AudioError(f"FFmpeg failed (exit {code}): {_reason(lines)}")


def _reason(lines: list[str]) -> str:
    """The last lines that say something: the first cause stands a few lines above the end."""
    useful = [
        line.strip()[:300]
        for line in lines
        if line.strip() and line.strip() not in {"Conversion failed!", "Exiting normally"}
    ]
    return " | ".join(useful[-5:]) or "it gave no reason"
