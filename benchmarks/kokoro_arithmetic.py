"""The arithmetic of a graph: multiplications and additions of its products, each an operation.

Activations and normalisations are not counted, though they take time: what is compared with a
machine's best is what a machine is best at.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]


def operations(graph: Path, inputs: Mapping[str, Array]) -> float:
    """GFLOP of a graph, run once on these inputs: shapes depend on them.

    Args:
        graph: an ONNX file.
        inputs: by name.
    """
    import onnx

    # Weights stay where they are: onnx refuses to read files that are shared by hard links.
    model = onnx.load(str(graph), load_external_data=False)
    nodes = [node for node in model.graph.node if node.op_type in _COUNTED]
    constants = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    wanted = {name for node in nodes for name in (*node.input[:3], node.output[0]) if name}
    shapes = constants | _computed(model, graph.parent, wanted - set(constants), inputs)
    return sum(2 * _COUNTED[node.op_type](node, shapes) for node in nodes) / 1e9


def _computed(
    model: onnx.ModelProto, folder: Path, names: set[str], inputs: Mapping[str, Array]
) -> dict[str, tuple[int, ...]]:
    """Shapes of tensors that are computed, or given; the folder has the weights."""
    import onnxruntime
    from onnx import TensorProto, helper

    names = names - set(inputs)
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in sorted(names - known)
    )
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(folder)
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = session.run(sorted(names), dict(inputs))
    return {
        **{name: value.shape for name, value in inputs.items()},
        **{name: value.shape for name, value in zip(sorted(names), found, strict=True)},
    }


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))


def _convolution(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    weight = shapes[node.input[1]]  # [out, in of a group, taps]
    return _size(shapes[node.output[0]]) * _size(weight[1:])


def _transposed(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    weight = shapes[node.input[1]]  # [in, out of a group, taps]
    return _size(shapes[node.input[0]]) * _size(weight[1:])


def _product(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    return _size(shapes[node.output[0]]) * shapes[node.input[0]][-1]


def _recurrent(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    steps = shapes[node.input[0]][0]
    return steps * sum(_size(shapes[name]) for name in node.input[1:3])


_COUNTED = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "MatMul": _product,
    "Gemm": _product,
    "LSTM": _recurrent,
}
