"""The figures of the Kokoro voice's runtimes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import kokoro, kokoro_fidelity
from darkchannel.speech.kokoro.runtime import RUNTIMES


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_each_figure_is_taken() -> None:
    """A small run fills every row, and the float runtime sounds like the float model."""
    # The limit is on the mean level, and the first sentence's is the furthest off.
    small = kokoro.Counts(pairs=2, rounds=1, minutes=0.1, text="Bom dia.")
    rows = kokoro.run(small)
    assert len(rows) > 10
    for row in rows:
        assert tuple(row.figures) == RUNTIMES
        assert any(row.figures.values()), row.what
    sound = [row for row in rows if "float model" in row.what]
    assert all(row.met for row in sound)


def test_distance_follows_the_pace() -> None:
    """A sound is no distance from itself, and little from itself drawn out, much from noise."""
    generator = np.random.default_rng(1)
    tones = [np.sin(np.arange(12_000) * step) for step in (0.05, 0.2, 0.6, 0.1)]
    sound = np.concatenate(tones).astype(np.float32)
    slow = np.concatenate([np.concatenate([tone, tone[:2400]]) for tone in tones])
    noise = generator.standard_normal(len(sound)).astype(np.float32)
    distance = kokoro_fidelity.distance
    assert distance(sound, sound) == 0
    assert distance(slow.astype(np.float32), sound) < 0.2 * distance(noise, sound)
