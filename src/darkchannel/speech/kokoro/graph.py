"""The published graph, with its weights as floats, and cut where the parts of a reading meet.

The published file holds 8-bit weights, and a graph that quantises every input again as it runs:
that is where most of its distance to the float model comes from.  Here the weights become floats
once, so that nothing is rounded while speaking.  Only preparation reads graphs (with the ``onnx``
package); speaking needs the prepared parts alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]

LSTM_UNITS = 256


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor that a part takes in: its name in the graph, and its shape (a str is any size)."""

    name: str
    shape: tuple[int | str, ...]
    integer: bool = False


class FloatGraph:
    """The published graph with float weights, in the original's order.

    Nodes keep the names and outputs of the float layers they were quantised from, so that
    :meth:`cut` and :meth:`weights` find them by those.
    """

    def __init__(self, published: Path) -> None:
        """Read the published file and turn its weights into floats.

        Args:
            published: an ONNX file as onnxruntime's dynamic quantisation writes it.

        Raises:
            ValueError: it is no such file, or has a pattern of nodes that is not known here.
        """
        import onnx
        from google.protobuf.message import DecodeError
        from onnx import numpy_helper

        try:
            self._model = onnx.load(str(published))
        except DecodeError as error:
            raise ValueError("it is not an ONNX file") from error
        if not self._model.graph.node:
            raise ValueError("it holds no graph")
        self._steps: dict[str, Array] = {}
        self._constants: dict[str, Array] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in self._model.graph.initializer
        }
        self._nodes: list[onnx.NodeProto] = list(self._model.graph.node)
        self._index()
        try:
            self._replace_quantised()
        except (IndexError, KeyError, StopIteration) as error:
            raise ValueError(f"a quantised layer lacks a part: {error}") from error
        self._drop_unused([output.name for output in self._model.graph.output])

    def constant(self, name: str) -> Array:
        """An initialiser.

        Raises:
            KeyError: there is none of that name.
        """
        return self._constants[name]

    def constants_like(self, mark: str) -> Iterator[tuple[str, Array]]:
        """Initialisers whose name contains a mark."""
        return ((name, value) for name, value in self._constants.items() if mark in name)

    def node(self, name: str) -> onnx.NodeProto:
        """A node by its name.

        Raises:
            KeyError: there is none of that name.
        """
        for node in self._nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def weights(self, name: str) -> tuple[Array, Array]:
        """Weight and bias of a layer; a bias that is added by a node of its own counts too.

        Args:
            name: of the layer's node, as in the published graph.

        Returns:
            The weight in the graph's layout, and the bias.

        Raises:
            KeyError: there is no such layer.
            ValueError: it has no bias, or one that is not a constant.
        """
        node = self.node(name)
        weight = self._constants[node.input[1]]
        if len(node.input) > 2:
            return weight, self._constants[node.input[2]]
        (user,) = self._users[node.output[0]]
        bias = [self._constants[i] for i in user.input if i in self._constants]
        if user.op_type == "Add" and bias:
            return weight, bias[0]
        raise ValueError(f"{name} has no constant bias")

    def whole(self, name: str) -> tuple[Array, float]:
        """The weight of a layer as the whole numbers that it was published in.

        Args:
            name: of the layer's node, as in the published graph.

        Returns:
            The weight (int8) in the graph's layout, and what 1 stands for in it.

        Raises:
            KeyError: there is no such layer, or its weight was published as floats.
            ValueError: it has several steps, or its numbers lie too far from zero for int8.
        """
        weight = self.node(name).input[1]
        step = self._steps[weight].item()
        numbers = np.rint(self._constants[weight] / step)
        limits = np.iinfo(np.int8)
        if numbers.min() < limits.min or numbers.max() > limits.max:
            raise ValueError(f"{name}: its weight does not fit in 8 bits around zero")
        return numbers.astype(np.int8), step

    def cut(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> bytes:
        """The part of the graph between some tensors, as an ONNX file.

        Args:
            inputs: where it begins; one that turns out not to be needed is left out.
            outputs: names of what it computes.
        """
        from onnx import TensorProto, helper, numpy_helper

        nodes = self._between({tensor.name for tensor in inputs}, outputs)
        used = {name for node in nodes for name in node.input}
        values = [
            helper.make_tensor_value_info(
                tensor.name,
                TensorProto.INT64 if tensor.integer else TensorProto.FLOAT,
                list(tensor.shape),
            )
            for tensor in inputs
            if tensor.name in used
        ]
        results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
        constants = [
            numpy_helper.from_array(value, name)
            for name, value in self._constants.items()
            if name in used
        ]
        part = helper.make_graph(nodes, "part", values, results, constants)
        model = helper.make_model(
            part, opset_imports=self._model.opset_import, ir_version=self._model.ir_version
        )
        return bytes(model.SerializeToString())

    def _between(self, begin: set[str], outputs: Sequence[str]) -> list[onnx.NodeProto]:
        needed, pending = set(), list(outputs)
        while pending:
            name = pending.pop()
            if name in begin or name not in self._maker:
                continue
            node = self._maker[name]
            if node.output[0] not in needed:
                needed.add(node.output[0])
                pending.extend(node.input)
        return [node for node in self._nodes if node.output[0] in needed]

    def _index(self) -> None:
        self._maker = {output: node for node in self._nodes for output in node.output}
        self._users: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self._nodes:
            for name in node.input:
                self._users[name].append(node)

    def _replace_quantised(self) -> None:
        instead: dict[str, onnx.NodeProto] = {}
        gone: set[str] = set()
        for node in self._nodes:
            if node.op_type in {"ConvInteger", "MatMulInteger"}:
                chain, layer = self._float_layer(node)
                gone.update(link.output[0] for link in chain)
                instead[chain[-1].output[0]] = layer
            elif node.op_type == "DynamicQuantizeLSTM":
                instead[node.output[0]] = self._float_lstm(node)
        nodes = []
        for node in self._nodes:
            if node.output[0] in instead:
                nodes.append(instead[node.output[0]])
            elif node.output[0] not in gone:
                nodes.append(node)
        self._nodes = nodes
        self._index()

    def _float_layer(self, node: onnx.NodeProto) -> tuple[list[onnx.NodeProto], onnx.NodeProto]:
        """The nodes that a quantised layer consists of, and the float layer for all of them.

        ``x -> DynamicQuantizeLinear -> ConvInteger [-> Add bias] -> Cast -> Mul scales``: the
        scales are the input's, computed as it runs, times the weight's, a constant.
        """
        from onnx import helper

        quantise = self._maker[node.input[0]]
        _expect(quantise, "DynamicQuantizeLinear")
        chain, bias = [node], []
        if self._only_user(node).op_type == "Add":
            add = self._only_user(node)
            chain.append(add)
            (other,) = (name for name in add.input if name != node.output[0])
            # The bias is a float constant at the far end of its own quantisation.
            while other not in self._constants:
                other = self._maker[other].input[0]
            bias = [other]
        cast = self._only_user(chain[-1])
        _expect(cast, "Cast")
        rescale = self._only_user(cast)
        _expect(rescale, "Mul")
        chain += [cast, rescale]
        scales = self._maker[next(i for i in rescale.input if i != cast.output[0])]
        scale = next(self._constants[i] for i in scales.input if i in self._constants)
        weight = self._constants[node.input[1]].astype(np.float32)
        zero = self._constants[node.input[3]].astype(np.float32)
        name = f"{node.input[1]}.float"
        self._constants[name] = ((weight - zero) * scale).astype(np.float32)
        self._steps[name] = scale
        layer = helper.make_node(
            node.op_type.removesuffix("Integer"),
            [quantise.input[0], name, *bias],
            [rescale.output[0]],
            name=node.name.removesuffix("_quant"),
        )
        layer.attribute.extend(node.attribute)
        return chain, layer

    def _float_lstm(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """A float LSTM; its initial states are zeros everywhere, which is its default."""
        from onnx import helper

        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if (given.get("direction"), given.get("hidden_size")) != (b"bidirectional", LSTM_UNITS):
            raise ValueError(f"{node.name}: expected both directions of {LSTM_UNITS} units")
        names = []
        for weight, scale, zero in ((1, 8, 9), (2, 10, 11)):
            # One scale and zero point for each direction: [2, in, 4 units] to [2, 4 units, in].
            steps, offset = (
                self._constants[node.input[i]].astype(np.float32).reshape(-1, 1, 1)
                for i in (scale, zero)
            )
            value = (self._constants[node.input[weight]].astype(np.float32) - offset) * steps
            name = f"{node.input[weight]}.float"
            self._constants[name] = np.ascontiguousarray(value.transpose(0, 2, 1))
            names.append(name)
        return helper.make_node(
            "LSTM",
            [node.input[0], *names, node.input[3]],
            list(node.output),
            name=node.name.removesuffix("_quant"),
            direction="bidirectional",
            hidden_size=LSTM_UNITS,
        )

    def _only_user(self, node: onnx.NodeProto) -> onnx.NodeProto:
        users = self._users[node.output[0]]
        if len(users) != 1:
            raise ValueError(f"{node.name}: its result is used {len(users)} times, expected once")
        return users[0]

    def _drop_unused(self, outputs: Sequence[str]) -> None:
        self._nodes = self._between(set(), outputs)
        used = {name for node in self._nodes for name in node.input}
        self._constants = {name: v for name, v in self._constants.items() if name in used}
        self._index()


def _expect(node: onnx.NodeProto, kind: str) -> None:
    if node.op_type != kind:
        raise ValueError(f"{node.name} is {node.op_type}, expected {kind}")
