"""FFmpeg as a filter of a stream, without a thread waiting for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from subprocess import DEVNULL, PIPE

from darkchannel.audio.ffmpeg import minimal_environment
from darkchannel.audio.streaming import encoder_command
from darkchannel.errors import AudioError

_READ_BYTES = 1 << 14


async def encoded(
    blocks: AsyncIterator[bytes], name: str, sample_rate: int
) -> AsyncIterator[bytes]:
    """The bytes of an audio file, as soon as they are known.

    However this ends, FFmpeg is gone afterwards.

    Args:
        blocks: samples, PCM 16 bit little-endian mono.
        name: one of :data:`darkchannel.audio.streaming.STREAM_FORMATS`.
        sample_rate: of the samples, in Hz.

    Raises:
        AudioError: there is no FFmpeg, or it failed.
        Exception: whatever ``blocks`` raises.
    """
    command = await asyncio.to_thread(encoder_command, name, sample_rate)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env=minimal_environment(),
        process_group=0,
    )
    if process.stdin is None or process.stdout is None:
        raise AudioError("FFmpeg has no pipes")
    feeding = asyncio.create_task(_feed(process.stdin, blocks))
    try:
        while data := await process.stdout.read(_READ_BYTES):
            yield data
        await feeding
        if await process.wait() != 0:
            raise AudioError(f"FFmpeg failed (exit {process.returncode})")
    finally:
        feeding.cancel()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.gather(feeding, process.wait(), return_exceptions=True)


async def _feed(stdin: asyncio.StreamWriter, blocks: AsyncIterator[bytes]) -> None:
    try:
        async for block in blocks:
            stdin.write(block)
            await stdin.drain()
    finally:
        stdin.close()  # also when nothing more comes: FFmpeg then ends, and the reader sees it
