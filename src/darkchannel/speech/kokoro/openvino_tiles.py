"""The generator's layers on OpenVINO, a tile of some hundred rows of the signal at a time.

A compiled graph takes signals of one length.  A chunk has any, and what is computed for it should
not depend on the chunks beside it; so a graph is a layer, not the network, and its length that of
a tile: chunks are as many tiles as they need, and only the last of a layer is not full.  A layer
that normalises needs the sums over all tiles of the layer before, which is why tiles cannot go
through several.  What a tile's layer reads and writes stays in a core's caches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Condition
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from darkchannel.speech.kokoro.generator import (
    SPECTRUM_ROWS,
    STRIDES,
    Activation,
    Array,
    Buffers,
    Moments,
    blocks,
    dilation,
    level_of,
    moments,
)
from darkchannel.speech.openvino_session import Graphs

if TYPE_CHECKING:
    from openvino import CompiledModel

TILE = 2**17
"""Numbers that a tile takes or makes, at most.  These are half a megabyte, so that both stay in a
core's caches; a smaller tile would spend more of its time on beginning."""


class Layer(NamedTuple):
    """One layer, computed a tile at a time.

    Attributes:
        weight: of the convolution, shape ``[each * outputs, inputs, taps]``; whole numbers (int8)
            if there are steps.
        steps: what 1 stands for in a weight of whole numbers, shape ``[each * outputs]`` or
            ``[1]``: the products are of such.
        slope: below zero, of the leaky rectifier before it.
        alphas: of the :class:`.generator.Activation` before it, which is divided by them; shape
            ``[inputs]``. None if there is a slope.
        dilation: of the convolution.
        each: rows of the result for each place of the convolution.
        plus: signals that are added.
        summed: whether sums over the result are wanted.
        size: numbers that a tile takes or makes, at most.
    """

    weight: npt.NDArray[Any]
    steps: Array | None = None
    slope: float | None = None
    alphas: Array | None = None
    dilation: int = 1
    each: int = 1
    plus: int = 0
    summed: bool = True
    size: int = TILE

    @property
    def places(self) -> int:
        """Of the convolution, in a tile."""
        return self.size // max(len(self.weight), self.inputs)

    @property
    def more(self) -> int:
        """Rows that a tile takes beyond one a place."""
        return int(self.weight.shape[2] - 1) * self.dilation

    @property
    def inputs(self) -> int:
        """Channels."""
        return int(self.weight.shape[1])

    @property
    def outputs(self) -> int:
        """Channels."""
        return len(self.weight) // self.each


def arranged(weights: Mapping[str, Array]) -> dict[str, npt.NDArray[Any]]:
    """The filters of the upsampling and of the last layer as they are compiled.

    Args:
        weights: those of :func:`.parts.write`, in the shapes that products of matrices take.

    Returns:
        By the same names, of shape ``[outputs, inputs, taps]``; those of the upsampling as whole
        numbers, with their steps.
    """
    made: dict[str, npt.NDArray[Any]] = {}
    for name in (f"ups.{level}" for level in range(len(STRIDES))):
        # What is behind a sample's own tap comes from the sample before.
        weight = weights[name][::-1].transpose(2, 1, 0)
        steps = np.abs(weight).max(axis=(1, 2)) / np.float32(np.iinfo(np.int8).max)
        made[name] = np.rint(weight / steps[:, None, None]).astype(np.int8)
        made[f"{name}.steps"] = steps
    # Not this one: what is a little off in the logarithm of a magnitude is 3 dB off in the sound.
    post = weights["post.weight"]
    made["post.weight"] = post.reshape(len(post), -1, SPECTRUM_ROWS).transpose(2, 0, 1)
    return {name: np.ascontiguousarray(value) for name, value in made.items()}


def layers(weights: Mapping[str, npt.NDArray[Any]], *, size: int = TILE) -> dict[str, Layer]:
    """The generator's, by name, in the order of their use.

    Args:
        weights: by name, as preparation wrote them.
        size: of a tile.
    """
    made: dict[str, Layer] = {}
    for level in range(len(STRIDES)):
        names = [name for name in blocks() if level_of(name) == level]
        noise, *residual = names
        made |= _block(weights, noise, plus=1)
        made[f"ups.{level}"] = Layer(
            weights[f"ups.{level}"],
            weights[f"ups.{level}.steps"],
            slope=0.1,
            each=STRIDES[level],
            plus=1,
        )
        for number, name in enumerate(residual):
            made |= _block(weights, name, plus=min(number, 1) + 1)
    made["post"] = Layer(weights["post.weight"], slope=0.01, summed=False)
    return {name: layer._replace(size=size) for name, layer in made.items()}


def _block(weights: Mapping[str, npt.NDArray[Any]], name: str, *, plus: int) -> dict[str, Layer]:
    taps = weights[f"{name}.taps"]
    steps, alphas = weights[f"{name}.steps"], weights[f"{name}.alphas"]
    added = [0, 1] * (len(taps) // 2)
    added[-1] = plus
    return {
        f"{name}.{i}": Layer(
            filter_, steps[i : i + 1], alphas=alphas[i], dilation=dilation(i), plus=added[i]
        )
        for i, filter_ in enumerate(taps)
    }


class TiledLayers:
    """See :class:`.generator.Layers`."""

    def __init__(self, tiles: Tiles) -> None:
        """Take what computes them, which others may use as well."""
        self._tiles = tiles
        self._buffers = Buffers()

    def convolve(
        self,
        layer: str,
        signal: Array,
        samples: int,
        activation: Activation,
        out: Array,
        *,
        plus: Sequence[Array] = (),
    ) -> Moments:
        """See :meth:`.generator.Layers.convolve`."""
        tile = self._tiles[layer]
        return tile.run(
            signal[:samples],
            out[:samples],
            plus,
            activation=activation,
            ahead=tile.layer.more // 2,
            buffers=self._buffers,
        )

    def upsample(self, level: int, signal: Array, onto: Array) -> Moments:
        """See :meth:`.generator.Layers.upsample`."""
        tile = self._tiles[f"ups.{level}"]
        cropped = tile.layer.each // 2
        return tile.run(signal, onto, (onto,), ahead=1, cropped=cropped, buffers=self._buffers)

    def spectrum(self, signal: Array) -> Array:
        """See :meth:`.generator.Layers.spectrum`."""
        out = np.empty((len(signal), SPECTRUM_ROWS), np.float32)
        tile = self._tiles["post"]
        tile.run(signal, out, ahead=tile.layer.more // 2, buffers=self._buffers)
        return out


class Tiles:
    """What computes layers, by name, for any number of threads; so each graph is there once."""

    def __init__(self, layers: Mapping[str, Layer], graphs: Graphs) -> None:
        """Take layers, and their graphs: of :func:`.openvino_graph.tile`, by name."""
        self._layers = layers
        self._graphs = graphs
        self._tiles: dict[str, _Tile] = {}

    def __getitem__(self, name: str) -> _Tile:
        """What computes a layer; waits for its graph at first."""
        if name not in self._tiles:
            self._tiles.setdefault(name, _Tile(self._layers[name], self._graphs[name]))
        return self._tiles[name]


class Turns:
    """A lock that goes to whoever has least to do with it.

    So a short chunk overtakes a long one that it comes up to, instead of taking as long; and of two
    alike one waits at one layer and is behind from then on, instead of both waiting at each.
    """

    def __init__(self) -> None:
        """Nobody has it."""
        self._changed = Condition()
        self._is_taken = False
        self._waiting: list[int] = []

    @contextmanager
    def turn(self, left: int) -> Iterator[None]:
        """Have it once.

        Args:
            left: how many times more it is wanted for the same, with this one.
        """
        with self._changed:
            self._waiting.append(left)
            self._changed.wait_for(lambda: not self._is_taken and left <= min(self._waiting))
            self._waiting.remove(left)
            self._is_taken = True
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()


class _Tile:
    """A layer's graph, and what it computes with: a tile at a time.

    What is done in Python for each of 160 tiles a second of audio is one lane's at a time, so it is
    little: what stays from tile to tile is given once.
    """

    def __init__(self, layer: Layer, graph: CompiledModel) -> None:
        from darkchannel.speech.openvino_library import openvino

        self.layer = layer
        self._turns = Turns()
        self._request = graph.create_infer_request()
        self._tensor = partial(openvino.Tensor, shared_memory=True)  # not copied
        self._activation: Activation | None = None
        self._sums = np.zeros((2, layer.outputs), np.float32)
        if layer.summed:
            for i, sums in enumerate(self._sums):
                self._request.set_output_tensor(1 + i, self._tensor(sums))

    def run(
        self,
        signal: Array,
        out: Array,
        plus: Sequence[Array] = (),
        *,
        activation: Activation | None = None,
        ahead: int,
        cropped: int = 0,
        buffers: Buffers,
    ) -> Moments:
        """Compute the layer.

        Args:
            signal: shape ``[samples, inputs]``.
            out: written; shape ``[rows, outputs]``.
            plus: as many as the layer adds, of the shape of ``out``, which may be one.
            activation: of the signal, if the layer has no slope.
            ahead: rows before the first that the first place of the convolution takes.
            cropped: rows of the first place's result that lie before ``out``.
            buffers: of the thread.

        Returns:
            Sums over ``out``, zero if the layer has none.
        """
        layer, places = self.layer, self.layer.places
        taken, rows = places + layer.more, places * layer.each
        silence = 0.0 if activation is None else _silence(activation)
        plus = [each[: len(out)] for each in plus]
        cut = partial(_cut, buffers=buffers)
        total = np.zeros((2, layer.outputs))
        starts = range(-cropped, len(out), rows)
        for number, start in enumerate(starts):
            given = [cut(signal, number * places - ahead, taken, beyond=silence, name="signal")]
            given += [cut(x, start, rows, beyond=0.0, name=f"plus {i}") for i, x in enumerate(plus)]
            stop = start + rows
            is_whole = start >= 0 and stop <= len(out)
            made = out[start:stop] if is_whole else buffers.take("out", rows, layer.outputs)
            with self._turns.turn(len(starts) - number):
                self._infer(given, activation, made)
                if is_whole and layer.summed:
                    total[0] += self._sums[0]
                    total[1] += np.square(self._sums[1], dtype=np.float64)
            if not is_whole:
                kept = slice(max(0, start), min(stop, len(out)))
                inside = made[kept.start - start : kept.stop - start]
                out[kept] = inside
                if layer.summed:
                    total += moments(inside)
        return total

    def _infer(self, given: Sequence[Array], activation: Activation | None, made: Array) -> None:
        """Compute a tile, into what is to be made and into its sums."""
        request, tensor = self._request, self._tensor
        signal, *plus = given
        request.set_input_tensor(0, tensor(signal))
        first = 1
        if activation is not None:
            first += len(activation)
            if activation is not self._activation:
                for i, each in enumerate(activation, 1):
                    request.set_input_tensor(i, tensor(each))
                self._activation = activation
        for i, each in enumerate(plus, first):
            request.set_input_tensor(i, tensor(each))
        request.set_output_tensor(0, tensor(made))
        request.infer(share_outputs=True)


def _cut(
    signal: Array, begin: int, rows: int, *, beyond: Array | float, buffers: Buffers, name: str
) -> Array:
    """Rows of a signal; those that it does not have are something else, in a buffer."""
    end = begin + rows
    if begin >= 0 and end <= len(signal):
        return signal[begin:end]
    cut = buffers.take(name, rows, signal.shape[1])
    inside = slice(max(0, begin) - begin, min(end, len(signal)) - begin)
    cut[: inside.start] = beyond
    cut[inside] = signal[begin + inside.start : begin + inside.stop]
    cut[inside.stop :] = beyond
    return cut


def _silence(activation: Activation) -> Array:
    """What the activation makes zero of: a filter sees silence around an activated signal."""
    scale = np.where(activation.scale == 0, 1, activation.scale)
    silence: Array = (-activation.shift / scale).clip(-1e30, 1e30)  # finite, whatever the scale
    return silence
