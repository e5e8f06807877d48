"""Graphs that OpenVINO compiles: the decoder, and tiles of the generator's layers.

Both compute as the published graph does, laid out so that the CPU plugin keeps one layout from end
to end: channels are the fastest axis, which its two-dimensional convolutions, its normalisation and
its fused loops all take, where the published one-dimensional form is reordered before and after
each.  The sine of the Snake activation is a polynomial, which fuses into one loop; a sine does not.

In the filters of the blocks, nine tenths of all arithmetic, whole numbers of 8 bits are multiplied:
four times as many at a time as float32 numbers, on CPUs with VNNI.  The weights are published as
such numbers, so only signals are rounded; to a unit of their own in each tile.

The decoder takes a chunk of any length: it is a twentieth of the arithmetic, and holds most of the
weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from darkchannel.speech.kokoro.graph import FloatGraph

if TYPE_CHECKING:
    from openvino import Model, Node

    from darkchannel.speech.kokoro.openvino_tiles import Layer

Array = npt.NDArray[Any]

_DECODER = "/decoder/decoder"
_DECODER_BLOCKS = ("encode", "decode.0", "decode.1", "decode.2", "decode.3")
_EPSILON = 1e-5
_LARGEST = 127.0
"""Whole number of 8 bits."""
_FAINTEST = 1e-6
"""Of a tile that is silent, so that nothing is divided by zero."""

# sin(pi r)^2 = c1 r^2 + ... + c4 r^8 for |r| <= 1/2, by least squares: off by 2.4e-5 at most.
_SINE_SQUARED = (9.86656396, -32.35145689, 41.27932848, -22.95972613)


class _Style(NamedTuple):
    """Gain and shift of a normalisation, each of shape ``[1, channels]``."""

    gain: Node
    shift: Node


def decoder(graph: FloatGraph) -> Model:
    """Features, pitch and loudness to frames for the generator.

    Inputs: ``letters`` ``[1, 512, 1, F]``, ``pitch`` and ``loudness`` ``[1, 1, 1, 2 F]``,
    ``style`` ``[1, 128]``.  Result: ``[1, 512, 1, 2 F]``.
    """
    return _Decoder(graph).build()


def tile(layer: Layer) -> Model:
    """A layer of the generator for a number of places.

    Inputs: rows ``[places + more, inputs]``; an activation's scale and shift ``[inputs]``; signals
    that are added, each ``[places * each, outputs]``.  Results: what was computed, of that shape;
    for a layer that is summed, each column's sum and the root of its sum of squares ``[outputs]``.
    """
    from darkchannel.speech.openvino_library import openvino, opset13

    op = opset13
    inputs = layer.inputs
    rows, result = layer.places + layer.more, (layer.places * layer.each, layer.outputs)
    given = [op.parameter([rows, inputs], np.float32)]
    if layer.alphas is None:
        active = op.prelu(given[0], _floats([layer.slope]))
    else:
        given += [op.parameter([inputs], np.float32) for _ in range(2)]
        active = op.multiply(_snake(*given), _floats(1 / layer.alphas))
    if layer.steps is None:
        weight = op.constant(layer.weight[:, :, None], shared_memory=True)
        made = op.reshape(_convolution(active, weight, layer), _integers(result), False)
    else:
        # The largest number of a tile decides: a unit for all of a chunk would be too coarse for
        # its quiet parts; one for each row or channel cannot be taken out of a convolution's sums.
        unit = _unit(active)
        whole = _rounded(op.divide(active, unit))
        weight = _whole_weight(layer.weight, layer.steps)
        made = op.reshape(_convolution(whole, weight, layer), _integers(result), False)
        made = op.multiply(made, unit)
    for _ in range(layer.plus):
        given.append(op.parameter(result, np.float32))
        made = op.add(made, given[-1])
    results = [made]
    if layer.summed:
        along = _integers([0])
        results += [op.reduce_sum(made, along, False), op.reduce_l2(made, along, False)]
    return openvino.Model([op.result(each) for each in results], given, "tile")


def _convolution(signal: Node, weight: Node, layer: Layer) -> Node:
    """Rows as columns of an image of one line, ``[1, channels, 1, rows]``, and back.

    Channels stay fastest: nothing moves.  Whatever else is computed is so outside, where no other
    layout suggests itself.
    """
    from darkchannel.speech.openvino_library import opset13 as op

    image = op.transpose(op.unsqueeze(signal, _integers([0, 1])), _integers([0, 3, 1, 2]))
    made = op.convolution(image, weight, [1, 1], [0, 0], [0, 0], [1, layer.dilation])
    return op.transpose(made, _integers([0, 2, 3, 1]))


def _unit(signal: Node) -> Node:
    """What 1 stands for if a signal's largest number is to be the largest of 8 bits."""
    from darkchannel.speech.openvino_library import opset13 as op

    # Not of the absolute values: those would be written to memory to be read once.
    axes = _integers(range(len(signal.output(0).get_partial_shape())))
    high, low = (reduced(signal, axes, True) for reduced in (op.reduce_max, op.reduce_min))
    peak = op.maximum(high, op.negative(low))
    return op.multiply(op.maximum(peak, _floats(_FAINTEST)), _floats(1 / _LARGEST))


def _rounded(scaled: Node) -> Node:
    """Whole numbers of 8 bits."""
    from darkchannel.speech.openvino_library import opset13 as op

    ends = _floats(-_LARGEST - 1), _floats(_LARGEST)
    return op.fake_quantize(scaled, *ends, *ends, 256)


def _whole_weight(weight: Array, steps: Array) -> Node:
    from darkchannel.speech.openvino_library import opset13 as op

    numbers = op.constant(weight[:, :, None], shared_memory=True)
    return op.multiply(op.convert(numbers, np.float32), _floats(steps.reshape(-1, 1, 1, 1)))


def _snake(signal: Node, scale: Node, shift: Node) -> Node:
    """See :class:`.generator.Activation`."""
    from darkchannel.speech.openvino_library import opset13 as op

    angle = op.add(op.multiply(signal, scale), shift)
    turns = op.multiply(angle, _floats([1 / np.pi]))
    rest = op.subtract(turns, op.round(turns, "half_to_even"))
    square = op.multiply(rest, rest)
    *lower, highest = _SINE_SQUARED
    power = op.multiply(square, _floats([highest]))
    for coefficient in reversed(lower):
        power = op.multiply(op.add(power, _floats([coefficient])), square)
    return op.add(angle, power)


def _floats(values: Any) -> Node:
    from darkchannel.speech.openvino_library import opset13

    return opset13.constant(np.asarray(values, np.float32))


def _integers(values: Any) -> Node:
    from darkchannel.speech.openvino_library import opset13

    return opset13.constant(np.asarray(values, np.int64))


class _Decoder:
    """The decoder's graph being built."""

    def __init__(self, graph: FloatGraph) -> None:
        from darkchannel.speech.openvino_library import opset13

        self._graph = graph
        self._op = opset13
        self._inputs: list[Node] = []
        self._styles: dict[str, _Style] = {}

    def build(self) -> Model:
        from darkchannel.speech.openvino_library import openvino

        op = self._op
        letters = self._input("letters", 1, 512, 1, -1)
        pitch, loudness = (self._input(name, 1, 1, 1, -1) for name in ("pitch", "loudness"))
        self._read_styles()
        pitch = self._convolution(pitch, f"{_DECODER}/F0_conv")
        loudness = self._convolution(loudness, f"{_DECODER}/N_conv")
        beside = self._convolution(letters, f"{_DECODER}/asr_res/asr_res.0")
        signal = self._block(op.concat([letters, pitch, loudness], 1), "encode")
        for block in _DECODER_BLOCKS[1:]:
            joined = op.concat([signal, beside, pitch, loudness], 1)
            signal = self._block(joined, block, doubled=block == _DECODER_BLOCKS[-1])
        return openvino.Model([op.result(signal)], self._inputs, "decoder")

    def _input(self, name: str, *shape: int) -> Node:
        from darkchannel.speech.openvino_library import openvino

        made = self._op.parameter(openvino.PartialShape(list(shape)), np.float32)
        made.set_friendly_name(name)
        made.output(0).set_names({name})
        self._inputs.append(made)
        return made

    def _read_styles(self) -> None:
        """Gains and shifts of all normalisations, by one product of matrices."""
        op = self._op
        norms = [f"{_DECODER}/{block}/norm{i}" for block in _DECODER_BLOCKS for i in (1, 2)]
        weights, biases, lengths = [], [], []
        for norm in norms:
            weight, bias = self._graph.weights(f"{norm}/fc/Gemm_MatMul")
            channels = len(bias) // 2
            weights.append(weight)
            # The first half are gains, as differences from 1.
            biases.append(bias + np.repeat(np.array([1, 0], np.float32), channels))
            lengths += [channels, channels]
        style = self._input("style", 1, 128)
        weight, bias = np.concatenate(weights, axis=1), np.concatenate(biases)
        product = op.matmul(style, _floats(weight), False, False)
        parts = op.variadic_split(
            op.add(product, _floats(bias[None])), _integers(1), _integers(lengths)
        )
        for i, norm in enumerate(norms):
            self._styles[norm] = _Style(parts.output(2 * i), parts.output(2 * i + 1))

    def _normalised(self, signal: Node, norm: str) -> Node:
        """Instance normalisation with the style's gain and shift."""
        op = self._op
        normal = op.mvn(signal, _integers([2, 3]), True, _EPSILON, "inside_sqrt")
        gain, shift = (
            op.reshape(each, _integers([1, -1, 1, 1]), False) for each in self._styles[norm]
        )
        return op.add(op.multiply(normal, gain), shift)

    def _block(self, signal: Node, name: str, *, doubled: bool = False) -> Node:
        """A residual block of the decoder; one of them doubles the columns."""
        op = self._op
        place = f"{_DECODER}/{name}"
        inner = self._leaky(self._normalised(signal, f"{place}/norm1"), 0.2)
        beside = self._convolution(signal, f"{place}/conv1x1")
        if doubled:
            inner = self._doubled(inner, f"{place}/pool")
            beside = op.interpolate(
                beside,
                _floats([2.0]),
                "nearest",
                "scales",
                axes=_integers([3]),
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        inner = self._convolution(inner, f"{place}/conv1")
        inner = self._leaky(self._normalised(inner, f"{place}/norm2"), 0.2)
        inner = self._convolution(inner, f"{place}/conv2")
        return op.multiply(op.add(inner, beside), _floats([np.sqrt(0.5)]))

    def _leaky(self, signal: Node, slope: float) -> Node:
        return self._op.prelu(signal, _floats([slope]))

    def _convolution(self, signal: Node, name: str) -> Node:
        """A layer, by whole numbers if its weight was published as such."""
        weight, bias, given = self._layer(f"{name}/Conv")
        begin, end = given.get("pads", (0, 0))

        def convolved(signal: Node, weight: Node) -> Node:
            return self._op.convolution(
                signal,
                weight,
                [1, given["strides"][0]],
                [0, begin],
                [0, end],
                [1, given["dilations"][0]],
            )

        try:
            whole, step = self._graph.whole(f"{name}/Conv")
        except KeyError:
            made = convolved(signal, _floats(weight[:, :, None]))
        else:
            made = self._in_two(
                signal, partial(convolved, weight=_whole_weight(whole, np.array([step])))
            )
        return made if bias is None else self._op.add(made, _floats(bias.reshape(1, -1, 1, 1)))

    def _in_two(self, signal: Node, convolved: Callable[[Node], Node]) -> Node:
        """A convolution of whole numbers of 16 bits: of the upper half and, beside it, the lower.

        With the upper alone the sound would be 0.3 dB further from the float model's; the decoder
        is a twentieth of the arithmetic.
        """
        op = self._op
        unit = _unit(signal)
        scaled = op.divide(signal, unit)
        rest = op.subtract(scaled, op.round(scaled, "half_to_even"))
        halves = _rounded(op.concat([scaled, op.multiply(rest, _floats(2 * _LARGEST))], 0))
        upper, lower = op.split(convolved(halves), _integers(0), 2).outputs()
        return op.multiply(op.add(upper, op.multiply(lower, _floats(0.5 / _LARGEST))), unit)

    def _doubled(self, signal: Node, name: str) -> Node:
        """Twice as many columns, by one transposed filter for each channel."""
        weight, bias, given = self._layer(f"{name}/ConvTranspose")
        begin, end = given["pads"]
        made = self._op.group_convolution_backprop_data(
            signal,
            _floats(weight[:, :, None, None]),
            [1, given["strides"][0]],
            pads_begin=[0, begin],
            pads_end=[0, end],
            dilations=[1, 1],
            output_padding=[0, given["output_padding"][0]],
        )
        return made if bias is None else self._op.add(made, _floats(bias.reshape(1, -1, 1, 1)))

    def _layer(self, name: str) -> tuple[Array, Array | None, dict[str, Any]]:
        """Weight, bias and attributes of a layer of the published graph."""
        from onnx import helper

        given = {a.name: helper.get_attribute_value(a) for a in self._graph.node(name).attribute}
        try:
            return *self._graph.weights(name), given
        except ValueError:
            weight = self._graph.constant(self._graph.node(name).input[1])
            return weight, None, given
