"""A generator with a few channels of each layer: all lengths there are, in minutes.

How a signal is cut, what is around it and where it ends do not depend on the number of channels.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from darkchannel.speech import openvino_session
from darkchannel.speech.kokoro import openvino_graph, openvino_tiles
from darkchannel.speech.kokoro.float32 import SpectralLayers
from darkchannel.speech.kokoro.generator import SPECTRUM_ROWS, STRIDES, Layers, blocks, level_of
from darkchannel.speech.kokoro.openvino_tiles import TiledLayers, Tiles
from darkchannel.speech.openvino_session import Graphs

Array = npt.NDArray[np.float32]

FRAMES, CHANNELS = 16, (8, 4)
"""Channels of the decoder's frames, and of each level."""

POST_TAPS = 7


def weights() -> dict[str, Array]:
    """At random, in the shapes of the real ones for products of matrices.

    Those of the blocks also as ``whole`` numbers, as they are published and compiled.
    """
    draw = np.random.default_rng(0)

    def some(*shape: int) -> Array:
        made: Array = draw.standard_normal(shape, np.float32)
        return made / np.float32(np.sqrt(np.prod(shape[:-1])))

    made: dict[str, Array] = {}
    styles = 0
    for name, taps in blocks().items():
        channels = CHANNELS[level_of(name)]
        whole = draw.integers(-64, 64, (6, channels, channels, taps), np.int8)
        steps = draw.uniform(0.5, 2, 6) / (37 * np.sqrt(taps * channels))
        alphas = draw.uniform(0.5, 2, (6, channels)).astype(np.float32)
        made |= {f"{name}.whole": whole, f"{name}.steps": steps.astype(np.float32)}
        made[f"{name}.alphas"] = alphas
        filters = whole * steps[:, None, None, None] / alphas[:, None, :, None]
        made[f"{name}.taps"] = filters.transpose(0, 3, 2, 1).astype(np.float32)
        made[f"{name}.bias"] = some(channels)
        styles += 12 * channels
    for number, channels in enumerate(CHANNELS):
        inputs = (FRAMES, CHANNELS[0])[number]
        made[f"ups.{number}"] = _whole(2, inputs, STRIDES[number] * channels)
        made[f"bias.{number}"] = some(channels)
    made["noise.0"] = some(2 * STRIDES[1] * SPECTRUM_ROWS, CHANNELS[0])
    made["noise.1"] = some(SPECTRUM_ROWS, CHANNELS[1])
    made["post.weight"] = some(CHANNELS[1], POST_TAPS * SPECTRUM_ROWS)
    made["post.bias"] = some(SPECTRUM_ROWS)
    made["style.weight"] = some(128, styles)
    made["style.bias"] = np.ones(styles, np.float32)
    return made


def _whole(*shape: int) -> Array:
    """Multiples of one step, for each of the last axis, so that none is lost in 8 bits."""
    made = np.random.default_rng(1).integers(-127, 128, shape).astype(np.float32)
    made[0, 0] = 127
    return made / np.float32(75 * np.sqrt(np.prod(shape[:-1])))


def spectral(given: dict[str, Array]) -> Layers:
    """Layers as the runtime ``float32`` computes them."""
    return SpectralLayers(given)


def tiled_floats(given: dict[str, Array], size: int = 2**11) -> Layers:
    """Layers as the runtime ``openvino`` would compute them in float32, to compare exactly."""
    return tiled(given, size, whole=False)


def tiled(given: dict[str, Array], size: int = 2**11, *, whole: bool = True) -> Layers:
    """Layers as the runtime ``openvino`` computes them.

    Args:
        given: the weights.
        size: of a tile: small, so that short signals are several.
        whole: whether the products of the blocks' filters are of whole numbers.
    """
    core = openvino_session.core()
    published = {f"{name}.taps": given[f"{name}.whole"] for name in blocks()}
    arranged = given | openvino_tiles.arranged(given) | published
    layers = openvino_tiles.layers(arranged, size=size)
    if not whole:
        for name, layer in layers.items():
            if layer.steps is not None:
                weight = layer.weight * layer.steps[:, None, None]
                layers[name] = layer._replace(weight=weight, steps=None)
    graphs = {name: partial(openvino_graph.tile, layer) for name, layer in layers.items()}
    compiled = partial(openvino_session.compiled, core, threads=1, precision="f32")
    return TiledLayers(Tiles(layers, Graphs(graphs, lambda read: compiled(read()))))


def difference(ours: Array, theirs: Array) -> float:
    """Power of the difference in dB, relative to that of the second."""
    power = np.square(ours - theirs, dtype=np.float64).mean()
    return float(10 * np.log10(power / np.square(theirs, dtype=np.float64).mean()))
