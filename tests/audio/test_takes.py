"""The merge gate's look at one take, and where its sentences begin."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkchannel.audio.takes import check_take, sentence_starts
from darkchannel.audio.wav import encode_wav
from darkchannel.errors import MergeError
from darkchannel.models import Chunk
from tests.audio.material import RATE, Samples, material, sine, speech_like


def chunk(tokens: int, *, speed: float = 1.0, index: int = 7) -> Chunk:
    """A chunk of so many tokens."""
    one = material([sine(0.1)]).plan.chunks[0]
    return replace(one, tokens=tokens, speed=speed, index=index)


def quiet(seconds: float) -> Samples:
    """Room tone far under any voice."""
    hiss = np.random.default_rng(3).standard_normal(round(seconds * RATE))
    return (hiss * 0.0005).astype(np.float32)


@pytest.mark.parametrize(
    ("seconds", "tokens", "speed"),
    [
        (7.1, 150, 1.0),
        (3.55, 150, 2.0),
        (14.2, 150, 0.5),
        (1.5, 150, 1.0),
        (6.0, 150, 1.0),
        (0.6, 2, 1.0),
        (1.8, 1, 1.0),
        (0.02, 1, 1.0),
    ],
    ids=["kokoro", "fast", "slow", "tone", "slow tone", "one word", "one letter", "one tone"],
)
def test_plausible_takes_pass(seconds: float, tokens: int, speed: float) -> None:
    """What the engines really give is accepted, at any speed and length."""
    sound = sine(seconds)
    assert check_take(encode_wav(sound, RATE), chunk(tokens, speed=speed)) == len(sound)


@pytest.mark.parametrize(
    ("sound", "tokens", "said"),
    [
        (sine(0.5), 150, "should take"),
        (sine(60), 150, "should take"),
        (np.zeros(0, np.float32), 1, "lasts"),
        (np.zeros(3 * RATE, np.float32), 60, "silent"),
        (sine(3, 0.0005), 60, "silent"),
        (np.clip(sine(3) * 9, -1, 1), 60, "clipped"),
    ],
    ids=["short", "long", "empty", "digital silence", "inaudible", "clipped"],
)
def test_broken_takes_are_named(sound: Samples, tokens: int, said: str) -> None:
    """A take that cannot be a reading of its chunk is refused by the chunk's number."""
    with pytest.raises(MergeError, match=said) as caught:
        check_take(encode_wav(sound, RATE), chunk(tokens))
    assert caught.value.chunk == 7
    assert "chunk 7" in caught.value.message


@pytest.mark.parametrize("data", [b"", b"garbage" * 100, encode_wav(sine(1), RATE)[:-100]])
def test_undecodable_takes_are_named(data: bytes) -> None:
    """So is one that is no WAV file, or only part of one."""
    with pytest.raises(MergeError, match="cannot be decoded") as caught:
        check_take(data, chunk(20))
    assert caught.value.chunk == 7


def test_a_few_samples_at_full_scale_are_no_clipping() -> None:
    """A voice that touches full scale once is not refused."""
    sound = speech_like(2, 0.9)
    sound[[100, 2000]] = 1.0
    assert check_take(encode_wav(sound, RATE), chunk(43)) == len(sound)


@pytest.mark.parametrize("lengths", [(2.0, 3.0), (1.0, 4.0, 1.5), (0.8, 0.8, 0.8, 0.8)])
def test_sentences_are_found_at_the_pauses(lengths: tuple[float, ...]) -> None:
    """Where the text's lengths are off by a tenth, the pause corrects it to within 60 ms."""
    sounds, begins, at = [], [], 0.0
    for number, seconds in enumerate(lengths):
        begins.append(at)
        sounds += [speech_like(seconds, seed=number), quiet(0.25)]
        at += seconds + 0.25
    weights = [seconds * (1.1 if number % 2 else 0.9) for number, seconds in enumerate(lengths)]
    starts = sentence_starts(np.concatenate(sounds), RATE, weights)
    assert starts == pytest.approx(begins, abs=0.06)


def test_without_a_pause_the_share_of_the_text_decides() -> None:
    """In a sound without any quiet place the estimate stays where the lengths put it."""
    assert sentence_starts(sine(4), RATE, [1, 3]) == pytest.approx((0.0, 1.0))


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=8), st.integers(0, 3 * RATE), st.integers(0, 9)
)
@settings(max_examples=50, deadline=None)
def test_starts_are_in_order(weights: list[float], frames: int, seed: int) -> None:
    """Whatever the weights and the sound: one start each, from 0.0, none before the last."""
    sound = np.random.default_rng(seed).normal(0, 0.1, frames).astype(np.float32)
    sound[frames // 3 : frames // 2] = 0
    starts = sentence_starts(sound, RATE, weights)
    assert len(starts) == len(weights)
    assert starts[0] == 0.0
    assert all(before <= after for before, after in pairwise(starts))
    assert starts[-1] <= frames / RATE + 1e-9
