"""What a take must be before it may enter a book, and where its sentences begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from darkchannel.audio.levels import decibels
from darkchannel.audio.wav import decode_wav
from darkchannel.errors import AudioError, MergeError
from darkchannel.models import Chunk

SILENT_DB = -60.0
"""RMS below which a take counts as silent; speech lies near -25 dBFS."""

CLIPPED_SHARE = 0.001
"""Share of samples at full scale above which a take counts as clipped."""

SHORTEST_PER_TOKEN = 0.005
LONGEST_PER_TOKEN = 0.25
SLACK_SECONDS = 2.0
"""A take lasts 5 to 250 ms a token at speed 1, and up to 2 s more.

Kokoro takes 47 ms a token and the tone engine 10 to 40 ms a character; the slack is for chunks
of a word or two, where the silence around a word outweighs it.
"""

_HOP_SECONDS = 0.01
_QUIET_BELOW_SPEECH_DB = 22.0
_WIDEST_SEARCH_SECONDS = 1.5
_LEAD_IN_SECONDS = 0.03


def check_take(data: bytes, chunk: Chunk) -> int:
    """See that bytes are a plausible reading of a chunk.

    Args:
        data: the WAV file.
        chunk: what it should say.

    Returns:
        Its length in samples.

    Raises:
        MergeError: it cannot be decoded, is silent, clipped, or far too short or long for the
            chunk's tokens at its speed; names the chunk.
    """
    try:
        samples, sample_rate = decode_wav(data)
    except AudioError as error:
        raise _refusal(chunk, f"cannot be decoded: {error.message}") from error
    _check_length(len(samples) / sample_rate, chunk)
    _check_level(samples, chunk)
    return len(samples)


def _check_length(seconds: float, chunk: Chunk) -> None:
    tokens = chunk.tokens / chunk.speed
    shortest = SHORTEST_PER_TOKEN * tokens
    longest = LONGEST_PER_TOKEN * tokens + SLACK_SECONDS
    if not max(shortest, 0.001) <= seconds <= longest:
        raise _refusal(
            chunk,
            f"lasts {seconds:.2f} s; {chunk.tokens} tokens at speed {chunk.speed:g} should take "
            f"{shortest:.2f} to {longest:.2f} s",
        )


def _check_level(samples: npt.NDArray[np.int16], chunk: Chunk) -> None:
    floats = samples.astype(np.float32) / 32768
    rms = decibels(float(np.sqrt(np.mean(np.square(floats), dtype=np.float64))))
    if rms < SILENT_DB:
        raise _refusal(chunk, f"is silent ({rms:.0f} dBFS)")
    share = np.count_nonzero(np.abs(floats) >= 32767 / 32768) / len(samples)
    if share > CLIPPED_SHARE:
        raise _refusal(chunk, f"is clipped: {share:.1%} of its samples are at full scale")


def _refusal(chunk: Chunk, problem: str) -> MergeError:
    return MergeError(
        f"the take of chunk {chunk.index} {problem}",
        remedy="render the chunk again",
        chunk=chunk.index,
    )


def sentence_starts(
    samples: npt.NDArray[np.float32], sample_rate: int, weights: Sequence[float]
) -> tuple[float, ...]:
    """Estimate where each sentence of a take begins, for engines that do not know.

    A boundary is expected where the sentences' share of what remains puts it, then moved to the
    end of the longest silence near there (22 dB under the take's loud parts, in hops of 10 ms).
    Without one it stays where it was expected.

    Args:
        samples: mono, shape ``[frames]``.
        sample_rate: in Hz.
        weights: how long each sentence is relative to the others, such as its tokens.

    Returns:
        Seconds from the start, one for each weight; the first is 0.0, none before the last.
    """
    total = len(samples) / sample_rate
    quiet = _silences(samples, sample_rate)
    starts = [0.0]
    for position in range(1, len(weights)):
        previous = starts[-1]
        remaining = sum(weights[position - 1 :]) or 1.0
        expected = previous + (total - previous) * weights[position - 1] / remaining
        reach = min(_WIDEST_SEARCH_SECONDS, 0.4 * min(expected - previous, total - expected))
        starts.append(_nearest_pause(quiet, expected, reach))
    return tuple(starts[: len(weights)])


def _silences(samples: npt.NDArray[np.float32], sample_rate: int) -> list[tuple[float, float]]:
    """Start and end in seconds of each quiet stretch of the samples."""
    hop = max(1, round(sample_rate * _HOP_SECONDS))
    hops = len(samples) // hop
    if not hops:
        return []
    powers = np.square(samples[: hops * hop].reshape(hops, hop)).mean(axis=1)
    loud = float(np.percentile(powers, 90))
    quiet = powers < loud * 10 ** (-_QUIET_BELOW_SPEECH_DB / 10)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], quiet, [False])).astype(np.int8)))
    times = [float(edge) * hop / sample_rate for edge in edges]
    return list(zip(times[::2], times[1::2], strict=True))


def _nearest_pause(quiet: list[tuple[float, float]], expected: float, reach: float) -> float:
    """Where the sentence begins after the silence that is longest for its distance."""
    best, position = 0.0, expected
    for start, end in quiet:
        distance = max(0.0, start - expected, expected - end)
        if distance > reach or reach <= 0:
            continue
        worth = (end - start) * (1 - 0.5 * distance / reach)
        if worth > best:
            best, position = worth, max((start + end) / 2, end - _LEAD_IN_SECONDS)
    return position
