"""What is said of a CPU with bfloat16 on one that has none."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from darkchannel.speech import openvino_session

if find_spec("openvino") is None:
    pytest.skip("there is no OpenVINO for this platform", allow_module_level=True)

Array = npt.NDArray[Any]

COLUMNS = 300


def nearest(values: Array) -> Array:
    """The upper half of each number's bits, rounded to the nearest, halves to even."""
    bits = values.view(np.uint32)
    carried = bits + 0x7FFF + ((bits >> 16) & 1)
    return (carried & np.uint32(0xFFFF0000)).astype(np.uint32).view(np.float32)


def numbers(seed: int, *shape: int) -> Array:
    """Of all magnitudes that a voice has."""
    generator = np.random.default_rng(seed)
    scale = np.exp(generator.uniform(-20, 20, shape))
    return (generator.standard_normal(shape) * scale).astype(np.float32)


def test_numbers_are_those_of_bfloat16() -> None:
    """They are what is left of a float32 without its lower half, rounded to the nearest."""
    from benchmarks.kokoro_bfloat16 import rounded

    values = numbers(1, 100_000)
    np.testing.assert_array_equal(rounded(values), nearest(values))


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_graph_rounds_what_goes_into_a_layer(everywhere: bool) -> None:
    """Signal and weight are rounded; a chain of operations before, only if all are."""
    from benchmarks.kokoro_bfloat16 import round_values

    from darkchannel.speech.openvino_library import openvino, opset13

    weight, third, offset = (np.full(1, value, np.float32) for value in (1.2345678, 1 / 3, 0.77))
    given = opset13.parameter([1, 1, 1, COLUMNS], np.float32)
    chain = opset13.add(opset13.multiply(given, opset13.constant(third)), opset13.constant(offset))
    filters = opset13.constant(weight.reshape(1, 1, 1, 1))
    layer = opset13.convolution(chain, filters, [1, 1], [0, 0], [0, 0], [1, 1])
    model = openvino.Model([opset13.result(layer)], [given], "one layer")
    round_values(model, everywhere=everywhere)
    core = openvino_session.core()
    compiled = openvino_session.compiled(core, model, threads=1, precision="f32")
    values = numbers(2, 1, 1, 1, COLUMNS)

    def kept(numbers: Array) -> Array:
        return nearest(numbers) if everywhere else numbers

    signal = nearest(kept(kept(values) * kept(third)) + kept(offset))
    expected = kept(signal * nearest(weight))
    np.testing.assert_allclose(compiled(values)[0], expected, rtol=1e-6)
