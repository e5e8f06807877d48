"""Where a chunk ends in its bucket changes nothing that it says, at every length there is.

The real network would take hours for that.  A small one takes its place: the same graph, built by
the same code from the same file, with a few channels of each layer.  What padding does to a signal
depends on the graph, on lengths and on sizes, not on how many channels there are.  That the real
one agrees, at some of the lengths, is a test of :mod:`.test_openvino`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from darkchannel.engines import fetch_weights
from darkchannel.speech import openvino_session
from darkchannel.speech.kokoro import buckets, openvino_graph
from darkchannel.speech.kokoro.graph import FloatGraph
from darkchannel.speech.kokoro.openvino_buckets import Bucket, shapes
from darkchannel.speech.kokoro.weights import KOKORO, WEIGHTS
from darkchannel.speech.openvino_session import Requests
from tests.speech.kokoro.test_openvino import difference
from tests.speech.real_kokoro import settings

if find_spec("openvino") is None:
    pytest.skip("there is no OpenVINO for this platform", allow_module_level=True)

if TYPE_CHECKING:
    from openvino import Model, Node

Array = npt.NDArray[Any]

FRAMES_A_TOKEN = 2.1
"""At a usual pace."""
MOST_FRAMES = round(510 * FRAMES_A_TOKEN)
PLANNED = (128, 416, buckets.rounded(MOST_FRAMES))
"""Sizes as a book's are, so that chunks fill from a twelfth to all of a bucket."""
LAST = 1200
"""Columns at the end of a chunk: nearly all that a wrong end is heard in."""
LAST_DB = -110
"""-155 to -118 measured in the last columns; -59 without the mask, about -95 with one of 20."""
WHOLE_DB = -95
"""-106 at worst measured in all columns: sums over long chunks are rounded more."""

KEPT = {
    128: [*range(4)],
    256: [*range(8)],
    512: [*range(16)],
}
"""The channels that are left, of each number of them."""


def small(values: Array) -> Array:
    """A layer's weights or bias; what it does along the columns is kept."""
    for axis in range(min(2, values.ndim)):
        if values.shape[axis] in KEPT:
            values = values.take(KEPT[values.shape[axis]], axis)
    return values


def narrow(shape: Sequence[int]) -> list[int]:
    """The shape of an input, with as many channels as are kept."""
    return [
        len(KEPT[512]) if (at, length) == (1, 512) else length for at, length in enumerate(shape)
    ]


class SmallGraph(FloatGraph):
    """The published graph with a few channels of each layer."""

    def constant(self, name: str) -> Array:
        return small(super().constant(name))

    def weights(self, name: str) -> tuple[Array, Array]:
        weight, bias = super().weights(name)
        if "/fc/" not in name:
            return small(weight), small(bias)
        # From a style, which stays as it is, to gains and then as many shifts.
        columns = KEPT[len(bias) // 2]
        both = [*columns, *(len(bias) // 2 + column for column in columns)]
        return weight[:, both], bias[both]


class SmallBuilder(openvino_graph._Builder):
    def _input(self, name: str, *shape: int, kind: type = np.float32) -> Node:
        return super()._input(name, *narrow(shape), kind=kind)


class UnpaddedBuilder(SmallBuilder):
    """Takes statistics over all columns it is given, as the published graph does."""

    def _corrected(self, style: Any, *_: Any) -> Any:
        return style


@cache
def model(builder: type[SmallBuilder]) -> Model:
    fetch_weights(settings(), "kokoro")
    return builder(SmallGraph(KOKORO.folder(settings().data_dir) / WEIGHTS)).generator()


def compiled(model: Model) -> Requests:
    core = openvino_session.core()
    return Requests(openvino_session.compiled(core, model, threads=2, precision="f32"), lanes=1)


@cache
def bucket(size: int) -> Bucket:
    """The small network, compiled for a size as the real one is."""
    sized = model(SmallBuilder).clone()
    sized.reshape({name: narrow(shape) for name, shape in shapes(size).items()})
    return Bucket(size, compiled(sized))


@cache
def unpadded() -> Requests:
    """The small network for whatever size it is given."""
    return compiled(model(UnpaddedBuilder))


def spectrum(place: Bucket, frames: int) -> Array:
    """What is made of a made-up chunk, which fades: unlike the padding, its mirror image."""
    rng = np.random.default_rng(frames)
    style = rng.normal(0, 0.1, 256).astype(np.float32)[:128]
    fading = np.linspace(2, 0, frames, dtype=np.float32).clip(0.02, 1)
    decoded = rng.standard_normal((1, len(KEPT[512]), 1, 2 * frames), np.float32)
    decoded *= np.repeat(fading, 2)
    source = rng.standard_normal((120 * frames + 1, 22), np.float32)
    source[1:] *= np.repeat(fading, 120)[:, None]
    return place.generate(decoded, source, style)


def require_unheard(frames: int) -> None:
    """Padding changes nothing that can be heard in a chunk of so many frames."""
    size = buckets.smallest(PLANNED, frames) or buckets.rounded(frames)
    wanted = spectrum(Bucket(frames, unpadded()), frames)
    found = spectrum(bucket(size), frames)
    assert found.shape == wanted.shape == (120 * frames + 1, 22)
    assert difference(found[-LAST:], wanted[-LAST:]) < LAST_DB, (frames, size)
    assert difference(found, wanted) < WHOLE_DB, (frames, size)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [1, 32, 415])
def test_padding_is_not_heard_at_some_lengths(frames: int) -> None:
    """The shortest chunk, one that fills its size, and a long one."""
    require_unheard(frames)


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
def test_padding_is_not_heard_at_any_length() -> None:
    """Chunks of 1 to 510 tokens, at the usual pace, and of any few frames."""
    usual = {round(tokens * FRAMES_A_TOKEN) for tokens in range(1, 511)}
    for frames in sorted(usual | set(range(1, PLANNED[0] + 1))):
        require_unheard(frames)
