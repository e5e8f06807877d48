"""Decoder and generator as OpenVINO graphs: what the ``openvino`` runtime compiles.

The same network as the published graph's (a StyleTTS 2 decoder and an iSTFTNet), laid out so that
the CPU plugin keeps one layout from end to end: signals are ``[1, channels, 1, columns]``, which
its two-dimensional convolutions and its normalisation both take channels-last, where the
published one-dimensional form is reordered before and after each.  The square of the sine in the
Snake activation is a polynomial, which fuses into one kernel; a sine does not.

Chunks have any size.  The decoder takes each as it is: it is a twentieth of the arithmetic, and
holds most of the weights, which each compiled size would copy.  The generator would take twice as
long for that, so it is compiled for some numbers of frames and takes fewer: inputs are filled up,
and two things keep what is behind the end from being heard:

- Convolutions see zeros where an unpadded signal would end: a mask zeroes the first
  :data:`HALO` columns behind the end before each of them.  Further behind, the mirrored signal
  goes on, so that the statistics stay near those of the signal.
- Instance normalisation takes mean and variance over all columns; from its result they are then
  taken again over the columns before the end, by two sums: over those columns or over the others,
  whichever are fewer.

What the generator takes in beside its signals, for each of its levels (``0``, ``1``), of T columns
with n before the end:

    mask.0    [1, 1, 1, T]  1, and 0 in the first HALO columns behind the end
    summed.0  [2]           the columns that are summed: from, and to before
    weight.0  [1, 1]        1 / n, or -1 / n if those behind the end are summed
    rest.0    [1, 1]        0, or T / n if those behind the end are summed

How many columns are summed is no part of the compiled graph: sums over all of them, most of which
count for nothing, would take as long as a seventh of the convolutions, and far more of those in
bfloat16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from darkchannel.speech.kokoro.graph import FloatGraph

if TYPE_CHECKING:
    from openvino import Model, Node

Array = npt.NDArray[Any]

HALO = 32
"""Columns behind the end that a convolution can reach: 5 taps of dilation 5 are 25."""

COLUMNS = ((20, 0), (120, 1))
"""Columns of each level of the generator: so many a frame, and so many more."""

_DECODER = "/decoder/decoder"
_GENERATOR = "/decoder/decoder/generator"
_PARAMETERS = "decoder.decoder.generator"
_DECODER_BLOCKS = ("encode", "decode.0", "decode.1", "decode.2", "decode.3")
_EPSILON = 1e-5
_SAMPLE = 32
"""Of so many columns, one is enough to tell how a signal was scaled."""
_ALL = 2**31 - 1
"""As the end of a slice: to the last column."""
_LEAST_VARIANCE = 2e-3
"""Of the columns before the end, relative to all: rounding must not make it negative."""

# sin(pi r)^2 = c1 r^2 + ... + c4 r^8 for |r| <= 1/2, by least squares: off by 2.4e-5 at most.
_SINE_SQUARED = (9.86656396, -32.35145689, 41.27932848, -22.95972613)


class _Level(NamedTuple):
    """What the generator is told of one of its sampling rates; see the module."""

    mask: Node
    summed: Node
    weight: Node
    rest: Node


class _Style(NamedTuple):
    """Gain and shift of a normalisation, each of shape ``[1, channels]``."""

    gain: Node
    shift: Node


def decoder(graph: FloatGraph) -> Model:
    """Features, pitch and loudness to frames for the generator.

    Inputs: ``letters`` ``[1, 512, 1, F]``, ``pitch`` and ``loudness`` ``[1, 1, 1, 2 F]``,
    ``style`` ``[1, 128]``.  Result: ``[1, 512, 1, 2 F]``.
    """
    return _Builder(graph).decoder()


def generator(graph: FloatGraph) -> Model:
    """Frames and the harmonic source to a spectrum.

    Inputs: ``frames`` ``[1, 512, 1, 2 F]``, ``source`` ``[1, 22, 1, 120 F + 1]``, ``style``
    ``[1, 128]``, and what the module says.  Result: ``[1, 22, 1, 120 F + 1]``.
    """
    return _Builder(graph).generator()


class _Builder:
    """One graph being built."""

    def __init__(self, graph: FloatGraph) -> None:
        from darkchannel.speech.openvino_library import opset13

        self._graph = graph
        self._op = opset13
        self._inputs: list[Node] = []
        self._styles: dict[str, _Style] = {}
        self._level: _Level | None = None
        self._small: dict[tuple[object, ...], Node] = {}

    def decoder(self) -> Model:
        op = self._op
        letters = self._input("letters", 1, 512, 1, -1)
        pitch, loudness = (self._input(name, 1, 1, 1, -1) for name in ("pitch", "loudness"))
        norms = [f"{_DECODER}/{block}/norm{i}" for block in _DECODER_BLOCKS for i in (1, 2)]
        self._read_styles(norms)
        pitch = self._convolution(pitch, f"{_DECODER}/F0_conv")
        loudness = self._convolution(loudness, f"{_DECODER}/N_conv")
        beside = self._convolution(letters, f"{_DECODER}/asr_res/asr_res.0")
        signal = self._block(op.concat([letters, pitch, loudness], 1), "encode")
        for block in _DECODER_BLOCKS[1:]:
            joined = op.concat([signal, beside, pitch, loudness], 1)
            signal = self._block(joined, block, doubled=block == _DECODER_BLOCKS[-1])
        return self._model(signal, "decoder")

    def generator(self) -> Model:
        op = self._op
        signal = self._input("frames", 1, 512, 1, -1)
        source = self._input("source", 1, 22, 1, -1)
        names = [f"noise_res.{level}" for level in (0, 1)] + [f"resblocks.{i}" for i in range(6)]
        norms = [f"{n}/adain{which}.{i}" for n in names for i in range(3) for which in (1, 2)]
        self._read_styles([f"{_GENERATOR}/{norm}" for norm in norms])
        for number, level in enumerate(self._levels()):
            signal = self._masked(signal)  # as the level before ended
            self._level = level
            heard = self._convolution(source, f"{_GENERATOR}/noise_convs.{number}")
            heard = self._snake_block(heard, f"noise_res.{number}")
            signal = self._transposed(self._leaky(signal, 0.1), f"{_GENERATOR}/ups.{number}")
            if number:  # one column more, mirrored, so that both ends of the source have theirs
                second = op.slice(signal, *map(self._integers, ([1], [2], [1], [3])))
                signal = op.concat([second, signal], 3)
            signal = op.add(signal, heard)
            three = [self._snake_block(signal, f"resblocks.{3 * number + i}") for i in range(3)]
            signal = op.multiply(op.add(op.add(*three[:2]), three[2]), self._floats([1 / 3]))
        signal = self._masked(self._leaky(signal, 0.01))
        return self._model(self._convolution(signal, f"{_GENERATOR}/conv_post"), "generator")

    def _input(self, name: str, *shape: int, kind: type = np.float32) -> Node:
        from darkchannel.speech.openvino_library import openvino

        made = self._op.parameter(openvino.PartialShape(list(shape)), kind)
        made.set_friendly_name(name)
        made.output(0).set_names({name})
        self._inputs.append(made)
        return made

    def _levels(self) -> list[_Level]:
        return [
            _Level(
                self._input(f"mask.{i}", 1, 1, 1, -1),
                self._input(f"summed.{i}", 2, kind=np.int64),
                self._input(f"weight.{i}", 1, 1),
                self._input(f"rest.{i}", 1, 1),
            )
            for i in (0, 1)
        ]

    def _model(self, result: Node, name: str) -> Model:
        from darkchannel.speech.openvino_library import openvino

        return openvino.Model([self._op.result(result)], self._inputs, name)

    def _read_styles(self, norms: Sequence[str]) -> None:
        """Gains and shifts of all normalisations, by one product of matrices."""
        op = self._op
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
        product = op.matmul(style, self._floats(weight), False, False)
        parts = op.variadic_split(
            op.add(product, self._floats(bias[None])), self._integers(1), self._integers(lengths)
        )
        for i, norm in enumerate(norms):
            self._styles[norm] = _Style(parts.output(2 * i), parts.output(2 * i + 1))

    def _normalised(self, signal: Node, norm: str) -> Node:
        """Instance normalisation over what is heard, with the style's gain and shift."""
        op = self._op
        style = self._styles[norm]
        normal = op.mvn(signal, self._integers([2, 3]), True, _EPSILON, "inside_sqrt")
        if self._level is not None:
            style = self._corrected(style, signal, normal, self._level)
        gain, shift = (op.reshape(each, self._integers([1, -1, 1, 1]), False) for each in style)
        return op.add(op.multiply(normal, gain), shift)

    def _corrected(self, style: _Style, signal: Node, normal: Node, level: _Level) -> _Style:
        """Gain and shift that undo what the columns behind the end did to mean and variance.

        On ``[1, channels]``: on whole signals OpenVINO would fuse the root and the division into
        each column's work.
        """
        op = self._op
        everywhere, along = self._integers([2, 3]), self._integers([3])
        begin, end = op.split(level.summed, self._integers(0), 2).outputs()
        summed = op.slice(normal, begin, end, self._integers([1]), along)
        mean = op.multiply(op.reduce_sum(summed, everywhere, False), level.weight)
        square = op.reduce_sum(op.multiply(summed, summed), everywhere, False)
        damping = self._damping(signal, normal)
        # All columns together have a mean square of 1, but for the epsilon.
        rest = op.multiply(level.rest, op.subtract(self._floats([[1.0]]), damping))
        square = op.add(op.multiply(square, level.weight), rest)
        variance = op.subtract(square, op.multiply(mean, mean))
        variance = op.maximum(variance, self._floats([[_LEAST_VARIANCE]]))
        variance = op.add(variance, damping)
        gain = op.divide(style.gain, op.sqrt(variance))
        return _Style(gain, op.subtract(style.shift, op.multiply(mean, gain)))

    def _damping(self, signal: Node, normal: Node) -> Node:
        """What the epsilon of a normalisation is, relative to the variance over all columns.

        It has to count in the variance over some of them as well, or a nearly constant channel
        comes out too loud.  How much signal and result vary over some columns tells the scale.
        """
        op = self._op

        def variation(values: Node) -> Node:
            some = op.slice(values, *map(self._integers, ([0], [_ALL], [_SAMPLE], [3])))
            middle = op.reduce_mean(some, self._integers([2, 3]), True)
            spread = op.reduce_mean(
                op.abs(op.subtract(some, middle)), self._integers([2, 3]), False
            )
            return op.add(spread, self._floats([[1e-9]]))

        scale = op.divide(variation(signal), variation(normal))
        damping = op.divide(self._floats([[_EPSILON]]), op.multiply(scale, scale))
        return op.minimum(damping, self._floats([[1.0]]))

    def _block(self, signal: Node, name: str, *, doubled: bool = False) -> Node:
        """A residual block of the decoder; one of them doubles the columns."""
        op = self._op
        place = f"{_DECODER}/{name}"
        inner = self._leaky(self._normalised(signal, f"{place}/norm1"), 0.2)
        beside = self._convolution(signal, f"{place}/conv1x1")
        if doubled:
            inner = self._transposed(inner, f"{place}/pool", suffix="ConvTranspose")
            beside = op.interpolate(
                beside,
                self._floats([2.0]),
                "nearest",
                "scales",
                axes=self._integers([3]),
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        inner = self._convolution(inner, f"{place}/conv1")
        inner = self._leaky(self._normalised(inner, f"{place}/norm2"), 0.2)
        inner = self._convolution(inner, f"{place}/conv2")
        return op.multiply(op.add(inner, beside), self._floats([np.sqrt(0.5)]))

    def _snake_block(self, signal: Node, name: str) -> Node:
        """A residual block of the generator."""
        for i in range(3):
            inner = signal
            for which in (1, 2):
                inner = self._normalised(inner, f"{_GENERATOR}/{name}/adain{which}.{i}")
                alpha = self._graph.constant(f"{_PARAMETERS}.{name}.alpha{which}.{i}")
                inner = self._masked(self._snake(inner, alpha.reshape(1, -1, 1, 1)))
                inner = self._convolution(inner, f"{_GENERATOR}/{name}/convs{which}.{i}")
            signal = self._op.add(signal, inner)
        return signal

    def _snake(self, signal: Node, alpha: Array) -> Node:
        """``x + sin(alpha x)^2 / alpha``."""
        op = self._op
        turns = op.multiply(signal, self._floats(alpha / np.pi))
        rest = op.subtract(turns, op.round(turns, "half_to_even"))
        square = op.multiply(rest, rest)
        *lower, highest = _SINE_SQUARED
        power = op.multiply(square, self._floats([[[[highest]]]]))
        for coefficient in reversed(lower):
            power = op.multiply(op.add(power, self._floats([[[[coefficient]]]])), square)
        return op.add(signal, op.multiply(power, self._floats(1 / alpha)))

    def _leaky(self, signal: Node, slope: float) -> Node:
        return self._op.prelu(signal, self._floats([slope]))

    def _masked(self, signal: Node) -> Node:
        """Silence behind the end, once there is one."""
        return signal if self._level is None else self._op.multiply(signal, self._level.mask)

    def _convolution(self, signal: Node, name: str) -> Node:
        weight, bias, given = self._layer(f"{name}/Conv")
        begin, end = given.get("pads", (0, 0))
        made = self._op.convolution(
            signal,
            self._floats(weight[:, :, None]),
            [1, given["strides"][0]],
            [0, begin],
            [0, end],
            [1, given["dilations"][0]],
        )
        return made if bias is None else self._op.add(made, self._floats(bias.reshape(1, -1, 1, 1)))

    def _transposed(self, signal: Node, name: str, suffix: str = "ConvTranspose") -> Node:
        weight, bias, given = self._layer(f"{name}/{suffix}")
        begin, end = given["pads"]
        strides, dilations = [1, given["strides"][0]], [1, 1]
        shape = {
            "pads_begin": [0, begin],
            "pads_end": [0, end],
            "output_padding": [0, given.get("output_padding", [0])[0]],
        }
        if given["group"] == 1:
            made = self._op.convolution_backprop_data(
                signal, self._floats(weight[:, :, None]), strides, dilations=dilations, **shape
            )
        else:  # one filter a channel
            filters = self._floats(weight[:, :, None, None])
            made = self._op.group_convolution_backprop_data(
                signal, filters, strides, dilations=dilations, **shape
            )
        return made if bias is None else self._op.add(made, self._floats(bias.reshape(1, -1, 1, 1)))

    def _layer(self, name: str) -> tuple[Array, Array | None, dict[str, Any]]:
        """Weight, bias and attributes of a layer of the published graph."""
        from onnx import helper

        given = {a.name: helper.get_attribute_value(a) for a in self._graph.node(name).attribute}
        try:
            return *self._graph.weights(name), given
        except ValueError:
            weight = self._graph.constant(self._graph.node(name).input[1])
            return weight, None, given

    def _floats(self, values: Any) -> Node:
        return self._constant(np.asarray(values, np.float32))

    def _integers(self, values: Any) -> Node:
        return self._constant(np.asarray(values, np.int64))

    def _constant(self, values: Array) -> Node:
        """A constant; the same one again for small values, since compiling takes time for each."""
        if values.size > 4:
            return self._op.constant(values)
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._small:
            self._small[key] = self._op.constant(values)
        return self._small[key]
