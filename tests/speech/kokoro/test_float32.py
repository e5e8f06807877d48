"""The float32 runtime against the published one, and against itself."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from darkchannel.engines import fetch_weights
from darkchannel.speech.kokoro import preparation
from darkchannel.speech.kokoro.float32 import Float32Runtime
from darkchannel.speech.kokoro.prepared import FRAME_SECONDS
from darkchannel.speech.kokoro.published import OnnxRuntime
from darkchannel.speech.kokoro.runtime import Runtime
from darkchannel.speech.kokoro.source import SAMPLE_RATE
from darkchannel.speech.kokoro.vocabulary import encode
from darkchannel.speech.kokoro.weights import KOKORO, STYLE_ROWS, STYLE_WIDTH, WEIGHTS, voice_file
from tests.speech.real_kokoro import settings

SAID = "ɐ pˈɔɾtɐ istˈavɐ abˈɛɾtɐ"

SOME_VOICES = (
    *("pf_dora", "pm_alex", "pm_santa", "af_heart", "af_bella", "am_michael", "am_adam"),
    *("bf_emma", "bm_george"),
)
"""All Portuguese ones and six English."""

pytestmark = pytest.mark.slow

Samples = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@cache
def runtime(threads: int = 1) -> Float32Runtime:
    """On the machine's own weights."""
    fetch_weights(settings(), "kokoro")
    return Float32Runtime(preparation.folder(settings().data_dir), threads=threads)


def style(voice: str, tokens: int) -> Samples:
    """A voice's vector for a number of tokens."""
    table = np.fromfile(KOKORO.folder(settings().data_dir) / voice_file(voice), np.float32)
    row: Samples = table.reshape(STYLE_ROWS, STYLE_WIDTH)[min(tokens, STYLE_ROWS - 1)]
    return row


def level(samples: Samples) -> float:
    """In dBFS RMS."""
    return float(20 * np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))


def require_speech(spoken_by: Runtime, voice: str) -> None:
    """See that a voice gives sound, at a level that speech has."""
    tokens = encode(SAID)
    samples = spoken_by.run(tokens, style(voice, len(tokens)), 1.0).samples
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() < 1.1
    assert -35 < level(samples) < -12


def test_it_speaks_as_long_and_as_loud_as_the_published_graph() -> None:
    """Only the rounding of 8-bit inputs is gone: length within 5 %, level within 0.5 dB."""
    tokens = encode(SAID)
    vector = style("pf_dora", len(tokens))
    ours = runtime().run(tokens, vector, 1.0).samples
    published = OnnxRuntime(KOKORO.folder(settings().data_dir) / WEIGHTS, threads=1)
    theirs = published.run(tokens, vector, 1.0).samples
    assert len(ours) == pytest.approx(len(theirs), rel=0.05)
    assert level(ours) == pytest.approx(level(theirs), abs=0.5)


def test_threads_share_the_work_and_change_nothing_to_be_heard() -> None:
    """Two threads give what one gives, 60 dB and more below the speech."""
    tokens = encode(SAID)
    vector = style("pm_alex", len(tokens))
    one = runtime().run(tokens, vector, 1.0)
    two = runtime(2).run(tokens, vector, 1.0)
    assert one.bounds == two.bounds
    assert level(one.samples - two.samples) < level(one.samples) - 60


def test_a_chunk_sounds_the_same_whatever_was_spoken_before() -> None:
    """Memory kept from a longer chunk leaves no trace in a shorter one."""
    tokens = encode(SAID)
    vector = style("af_heart", len(tokens))
    first = runtime().run(tokens, vector, 1.0).samples
    runtime().run(tokens * 3, style("pm_santa", 3 * len(tokens)), 0.7)
    again = runtime().run(tokens, vector, 1.0).samples
    assert np.array_equal(first, again)


@pytest.mark.parametrize("count", [1, 2, 31, pytest.param(510, marks=pytest.mark.acceptance)])
def test_every_length_has_its_times(count: int) -> None:
    """One bound more than tokens, rising by whole frames, the last before the end of the sound."""
    tokens = (encode(SAID + ". ") * 25)[:count]
    spoken = runtime().run(tokens, style("pf_dora", count), 1.5)
    assert spoken.bounds is not None
    bounds = np.array(spoken.bounds)
    assert len(bounds) == count + 1
    assert (np.diff(bounds) >= FRAME_SECONDS - 1e-9).all()
    assert np.allclose(bounds / FRAME_SECONDS, np.round(bounds / FRAME_SECONDS))
    assert bounds[-1] < len(spoken.samples) / SAMPLE_RATE
    assert np.isfinite(spoken.samples).all()


@pytest.mark.parametrize(
    "voice",
    [
        pytest.param(voice, marks=() if voice[0] == "p" else pytest.mark.acceptance)
        for voice in SOME_VOICES
    ],
)
def test_every_voice_speaks(voice: str) -> None:
    """No voice gives silence, clipping beyond what the engine turns down, or something else."""
    require_speech(runtime(), voice)


def test_a_token_beyond_the_vocabulary_is_a_failure_of_the_run() -> None:
    """It says so, and the next chunk is spoken."""
    with pytest.raises(RuntimeError):
        runtime().run([100_000], style("pf_dora", 1), 1.0)
    assert len(runtime().run(encode("a"), style("pf_dora", 1), 1.0).samples)
