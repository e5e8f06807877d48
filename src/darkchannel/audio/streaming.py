"""Encoding while the audio is still being made: PCM in, and bytes of a file out as they come."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from darkchannel.audio.ffmpeg import LOCAL_ONLY, piped
from darkchannel.errors import AudioError

_READ_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """A format that can be sent before its end is known.

    Attributes:
        media_type: of the answer.
        arguments: FFmpeg's, of the output.
    """

    media_type: str
    arguments: tuple[str, ...]


# 96 kbps is as good as transparent for one voice at 24 kHz; without a Xing header, whose place
# is at the beginning and whose numbers are known only at the end.
STREAM_FORMATS = {
    "mp3": StreamFormat(
        "audio/mpeg", ("-c:a", "libmp3lame", "-b:a", "96k", "-write_xing", "0", "-f", "mp3")
    ),
    "opus": StreamFormat("audio/ogg", ("-c:a", "libopus", "-b:a", "48k", "-f", "ogg")),
    "aac": StreamFormat("audio/aac", ("-c:a", "aac", "-b:a", "96k", "-f", "adts")),
    "flac": StreamFormat("audio/flac", ("-c:a", "flac", "-f", "flac")),
    "pcm": StreamFormat("audio/pcm", ("-c:a", "pcm_s16le", "-f", "s16le")),
}

STREAM_RATE = 24_000
"""In Hz, of all of them: what OpenAI's clients expect of PCM, which does not say it."""


class StreamEncoder:
    """One FFmpeg process; writing and reading block, so each needs a thread of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("standard input and output must be pipes")
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout

    def write(self, pcm: bytes) -> None:
        """Give it samples, 16 bit little-endian mono.

        Raises:
            AudioError: it does not listen any more.
        """
        try:
            self._stdin.write(pcm)
            self._stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise AudioError("FFmpeg ended before the audio did") from error

    def finish(self) -> None:
        """Say that this was all."""
        self._stdin.close()

    def read(self) -> bytes:
        """The next bytes of the file; empty at its end.

        Raises:
            AudioError: FFmpeg failed.
        """
        data = os.read(self._stdout.fileno(), _READ_BYTES)
        if not data and self._process.wait() != 0:
            raise AudioError(f"FFmpeg failed (exit {self._process.returncode})")
        return data


@contextmanager
def stream_encoder(name: str, sample_rate: int) -> Iterator[StreamEncoder]:
    """An encoder that is gone when the context ends, however it ends.

    Args:
        name: one of :data:`STREAM_FORMATS`.
        sample_rate: of the samples written, in Hz.
    """
    source = ["-f", "s16le", "-ar", str(sample_rate), "-ac", "1", *LOCAL_ONLY, "-i", "pipe:0"]
    # The first bytes are wanted before there is a block full of them.
    output = ["-ar", str(STREAM_RATE), "-flush_packets", "1", *STREAM_FORMATS[name].arguments]
    with piped(["-loglevel", "error", *source, *output, "pipe:1"]) as process:
        yield StreamEncoder(process)
