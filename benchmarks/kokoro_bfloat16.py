"""The ``openvino`` runtime with bfloat16's rounding, on a CPU that cannot compute in bfloat16.

A CPU with bfloat16 multiplies its numbers and adds the products in float32, so what is lost is lost
where values are rounded: before they go into a layer, and where OpenVINO stores what came out.
Here the same graphs are compiled in float32 with the rounding as operations of their own.  How
much OpenVINO fuses there is its choice, so the truth lies between two bounds: rounded where values
have to be stored, and rounded after every operation.  It tells how the voice sounds in bfloat16,
not how fast it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from darkchannel.speech.kokoro.openvino_buckets import Buckets
from darkchannel.speech.kokoro.openvino_runtime import OpenvinoRuntime
from darkchannel.speech.openvino_library import openvino, opset13

if TYPE_CHECKING:
    from openvino import Model, Node, Output

Array = npt.NDArray[np.float32]

_LAYERS = {"Convolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul"}
"""What they take lies in memory; their result has all bits until what follows them is done."""

_STORED = {"Concat", "Interpolate", "MVN", "ReduceMean", "ReduceSum", "Reshape", "Slice"}
"""What they take and give lies in memory, while a chain of simpler operations is one loop."""

_SPLIT = 2.0**16 + 1
"""Veltkamp's constant (Dekker, "A floating-point technique for extending the available
precision", 1971) that leaves 8 of 24 bits."""


class RoundedRuntime(OpenvinoRuntime):
    """Graphs in float32 that round as they would in bfloat16."""

    def __init__(self, prepared: Path, *, threads: int, everywhere: bool) -> None:
        """Load the parts; see :class:`OpenvinoRuntime`.

        Args:
            prepared: folder of the runtime ``openvino``.
            threads: that share the work on one chunk.
            everywhere: round after every operation, not only what has to be stored.
        """
        super().__init__(prepared, threads=threads, precision="f32")
        self._buckets = _RoundedBuckets(prepared, threads=threads, everywhere=everywhere)


class _RoundedBuckets(Buckets):
    def __init__(self, folder: Path, *, threads: int, everywhere: bool) -> None:
        super().__init__(folder, precision="f32", threads=threads)
        self._everywhere = everywhere

    def read(self, name: str, shapes: dict[str, list[int]] | None = None) -> Model:
        model = super().read(name, shapes)
        round_values(model, everywhere=self._everywhere)
        return model


def round_values(model: Model, *, everywhere: bool) -> None:
    """Make a graph round to bfloat16; see the module.

    Args:
        model: changed in place.
        everywhere: round after every operation, not only what has to be stored.
    """
    for node in model.get_ordered_ops():
        for output in node.outputs():
            is_float = output.get_element_type() == openvino.Type.f32
            if is_float and (everywhere or _is_stored(node, output)):
                _round(node, output)
    model.validate_nodes_and_infer_types()


def rounded(values: Array) -> Array:
    """The nearest numbers of 8 significant bits."""
    split = values * np.float32(_SPLIT)
    return split - (split - values)


def _is_stored(node: Node, output: Output) -> bool:
    if node.get_type_name() in _STORED:
        return True
    users = {target.get_node().get_type_name() for target in output.get_target_inputs()}
    return bool(users & (_LAYERS | _STORED))


def _round(node: Node, output: Output) -> None:
    """Give a node's users the rounded value instead."""
    users = output.get_target_inputs()
    if node.get_type_name() == "Constant":
        value = opset13.constant(rounded(node.get_data())).output(0)
    else:
        split = opset13.multiply(output, opset13.constant(np.float32(_SPLIT)))
        value = opset13.subtract(split, opset13.subtract(split, output)).output(0)
    for user in users:
        user.replace_source_output(value)
