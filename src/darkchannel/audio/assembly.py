"""Takes flow in as WAV files and out as one stream of samples, pauses included."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np

from darkchannel.audio.timeline import Segment, Timeline
from darkchannel.audio.wav import decode_wav
from darkchannel.errors import AudioError, MergeError
from darkchannel.models import Take

_BLOCK_BYTES = 1 << 16
_SILENCE = bytes(_BLOCK_BYTES)


def pcm_blocks(
    timeline: Timeline,
    takes: Sequence[Take],
    read_takes: Callable[[], Iterator[bytes]],
    on_frames: Callable[[int], None] | None = None,
) -> Generator[bytes | memoryview, None, None]:
    """The whole book as PCM 16 bit little-endian mono, at the takes' rate.

    Every take is compared with the facts about it: bytes that changed since it was rendered
    never enter a book.

    Args:
        timeline: made of the same takes.
        takes: facts about each, in order.
        read_takes: yields the WAV file of each, in order.
        on_frames: told how many frames of the book have been passed on.

    Raises:
        MergeError: a take is missing, too many, or not what the facts say.
    """
    yield from _silence(timeline.head)
    wavs = read_takes()
    try:
        for take, segment in zip(takes, timeline.segments, strict=True):
            data = next(wavs, None)
            if data is None:
                raise _problem(take, "is missing")
            yield _samples(data, take)
            yield from _silence(segment.pause)
            if on_frames is not None:
                on_frames(_end(segment))
        if next(wavs, None) is not None:
            raise MergeError(f"expected {len(takes)} takes, found more")
    finally:
        if isinstance(wavs, Generator):
            wavs.close()
    yield from _silence(timeline.tail)


def _end(segment: Segment) -> int:
    return segment.start + segment.frames + segment.pause


def _silence(frames: int) -> Iterator[bytes | memoryview]:
    whole, rest = divmod(2 * frames, _BLOCK_BYTES)
    for _ in range(whole):
        yield _SILENCE
    yield memoryview(_SILENCE)[:rest]


def _samples(data: bytes, take: Take) -> memoryview:
    if hashlib.sha256(data).hexdigest() != take.sha256:
        raise _problem(take, "is not the one that was rendered: its SHA-256 differs")
    try:
        samples, sample_rate = decode_wav(data)
    except AudioError as error:
        raise _problem(take, f"cannot be decoded: {error.message}") from error
    if (len(samples), sample_rate) != (take.frames, take.sample_rate):
        raise _problem(
            take,
            f"has {len(samples)} samples at {sample_rate} Hz, "
            f"expected {take.frames} at {take.sample_rate} Hz",
        )
    return samples.view(np.uint8).data


def _problem(take: Take, problem: str) -> MergeError:
    return MergeError(
        f"the take of chunk {take.index} {problem}",
        remedy="render the chunk again",
        chunk=take.index,
    )
