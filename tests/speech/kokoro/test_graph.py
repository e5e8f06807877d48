"""A quantised graph is read as the float graph it was made from, and cut where one likes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from darkchannel.speech.kokoro.graph import LSTM_UNITS, FloatGraph, Tensor

Array = npt.NDArray[np.float32]

SIGNAL = Tensor("signal", (1, 3, "time"))
FEATURES = Tensor("features", (1, 4, "time"))
ROWS = Tensor("rows", (1, "time", 4))


def parameters() -> dict[str, Array]:
    """Weights of a small network, by the names they have in its graph."""
    draw = np.random.default_rng(5)
    shapes = {
        "conv.weight": (4, 3, 3),
        "conv.bias": (4,),
        "fc.weight": (4, 5),
        "fc.bias": (5,),
        "plain.weight": (4, 2),
        "lstm.input": (2, 4 * LSTM_UNITS, 4),
        "lstm.state": (2, 4 * LSTM_UNITS, LSTM_UNITS),
        "lstm.bias": (2, 8 * LSTM_UNITS),
    }
    drawn = {name: draw.normal(0, 0.3, shape) for name, shape in shapes.items()}
    drawn["lstm.state"] *= 0.1
    return {name: value.astype(np.float32) for name, value in drawn.items()}


def network(weights: dict[str, Array], *, biased: bool = True) -> onnx.ModelProto:
    """A convolution, and behind it two products, one with a bias, and an LSTM both ways.

    Args:
        weights: of :func:`parameters`.
        biased: whether the convolution has a bias.
    """
    convolved = ["signal", "conv.weight", "conv.bias"]
    nodes = [
        helper.make_node(
            "Conv",
            convolved if biased else convolved[:2],
            ["features"],
            name="/conv/Conv",
            kernel_shape=[3],
            dilations=[2],
            pads=[2, 2],
        ),
        helper.make_node("Transpose", ["features"], ["rows"], perm=[0, 2, 1], name="/rows"),
        helper.make_node("MatMul", ["rows", "fc.weight"], ["product"], name="/fc/MatMul"),
        helper.make_node("Add", ["fc.bias", "product"], ["scores"], name="/fc/Add"),
        helper.make_node("MatMul", ["rows", "plain.weight"], ["plain"], name="/plain/MatMul"),
        helper.make_node("Neg", ["plain"], ["negative"], name="/plain/Neg"),
        helper.make_node("Transpose", ["features"], ["steps"], perm=[2, 0, 1], name="/steps"),
        helper.make_node(
            "LSTM",
            ["steps", "lstm.input", "lstm.state", "lstm.bias"],
            ["states"],
            name="/lstm/LSTM",
            direction="bidirectional",
            hidden_size=LSTM_UNITS,
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("signal", TensorProto.FLOAT, [1, 3, "time"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            for name in ("scores", "negative", "states")
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def rounded(weights: dict[str, Array], quantised: onnx.ModelProto) -> dict[str, Array]:
    """The weights as the 8-bit numbers of a quantised graph stand for them."""
    stored = {t.name: numpy_helper.to_array(t) for t in quantised.graph.initializer}
    result = dict(weights)
    for name in weights:
        if f"{name}_quantized" in stored:
            steps = stored[f"{name}_quantized"].astype(np.float32)
            zero = stored[f"{name}_zero_point"].astype(np.float32)
            scale = stored[f"{name}_scale"]
            if name.startswith("lstm"):  # of each direction, and stored transposed
                steps = steps.transpose(0, 2, 1)
                zero, scale = zero.reshape(2, 1, 1), scale.reshape(2, 1, 1)
            result[name] = (steps - zero) * scale
    return result


def compute(graph: bytes, **inputs: Array) -> list[Array]:
    """What a graph makes of its inputs, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    outputs: list[Array] = session.run(None, inputs)
    return outputs


def signal(samples: int = 23) -> Array:
    """An input for the network."""
    drawn = np.random.default_rng(samples).normal(size=(1, 3, samples))
    return drawn.astype(np.float32)


def add_quantised_bias(model: onnx.ModelProto) -> None:
    """Give the convolution its bias as the published file has it: quantised as the graph runs."""
    nodes = list(model.graph.node)
    (conv,) = (node for node in nodes if node.op_type == "ConvInteger")
    (cast,) = (node for node in nodes if conv.output[0] in node.input)
    (rescale,) = (node for node in nodes if cast.output[0] in node.input)
    scales = rescale.input[1]
    bias = [
        helper.make_node("Div", ["conv.bias", scales], ["bias steps"]),
        helper.make_node("Floor", ["bias steps"], ["bias floor"]),
        helper.make_node("Cast", ["bias floor"], ["bias whole"], to=TensorProto.INT32),
        helper.make_node("Reshape", ["bias whole", "bias shape"], ["bias row"]),
        helper.make_node("Add", [conv.output[0], "bias row"], ["biased"], name="bias"),
    ]
    cast.input[0] = "biased"
    at = nodes.index(cast)
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:at], *bias, *nodes[at:]])
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(parameters()["conv.bias"], "conv.bias"),
            numpy_helper.from_array(np.array([1, -1, 1]), "bias shape"),
        ]
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network quantised like the published file: a scale for each column of a product."""
    folder = tmp_path_factory.mktemp("graph")
    file = folder / "network.onnx"
    onnx.save(network(parameters(), biased=False), str(file))
    for kind, weight_type, per_channel in (
        ("Conv", QuantType.QUInt8, False),
        ("MatMul", QuantType.QInt8, True),
        ("LSTM", QuantType.QInt8, False),
    ):
        quantize_dynamic(
            file,
            file,
            op_types_to_quantize=[kind],
            weight_type=weight_type,
            per_channel=per_channel,
        )
    model = onnx.load(str(file))
    add_quantised_bias(model)
    onnx.save(model, str(file))
    return file


@pytest.fixture(scope="module")
def graph(published: Path) -> FloatGraph:
    """The quantised network, read."""
    return FloatGraph(published)


def with_zero_point(published: Path, zero: int) -> FloatGraph:
    """The network whose convolution's numbers count from another zero."""
    model = onnx.load(str(published))
    for tensor in model.graph.initializer:
        if tensor.name == "conv.weight_zero_point":
            tensor.CopyFrom(numpy_helper.from_array(np.array(zero, np.uint8), tensor.name))
    file = published.with_name(f"zero-{zero}.onnx")
    onnx.save(model, str(file))
    return FloatGraph(file)


def test_a_weight_is_given_as_the_whole_numbers_it_was_published_in(published: Path) -> None:
    """Exactly those, around zero, and what 1 stands for in them."""
    weight, step = with_zero_point(published, 128).whole("/conv/Conv")
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(published)).graph.initializer}
    assert weight.dtype == np.int8
    np.testing.assert_array_equal(weight, stored["conv.weight_quantized"].astype(int) - 128)
    assert step == stored["conv.weight_scale"]


@pytest.mark.parametrize("zero", [127, 250])
def test_whole_numbers_that_are_too_large_are_refused(published: Path, zero: int) -> None:
    """Rather than wrapped around: 8 bits unsigned, around zero, may be more than 8 bits signed."""
    with pytest.raises(ValueError, match="/conv/Conv: its weight does not fit in 8 bits"):
        with_zero_point(published, zero).whole("/conv/Conv")


def test_a_weight_that_is_not_of_one_step_is_not_given_as_whole_numbers(
    graph: FloatGraph,
) -> None:
    """Those of an LSTM, and one with a step for each of its columns."""
    with pytest.raises(KeyError):
        graph.whole("/lstm/LSTM")
    with pytest.raises(ValueError, match="size 1"):
        graph.whole("/fc/MatMul")


@pytest.fixture(scope="module")
def expected(published: Path) -> dict[str, Array]:
    """The float weights that the 8-bit ones stand for."""
    return rounded(parameters(), onnx.load(str(published)))


def part(model: bytes) -> onnx.GraphProto:
    """The graph in an ONNX file."""
    return onnx.load_from_string(model).graph


def test_the_whole_graph_computes_what_its_weights_stand_for(
    graph: FloatGraph, expected: dict[str, Array]
) -> None:
    """Nothing is rounded any more: it is the float network with the weights' 8-bit values."""
    outputs = ["scores", "negative", "states"]
    whole = graph.cut([SIGNAL], outputs)
    kinds = {node.op_type for node in part(whole).node}
    assert kinds == {"Conv", "Transpose", "MatMul", "Add", "Neg", "LSTM"}
    same = compute(network(expected).SerializeToString(), signal=signal())
    for ours, theirs in zip(compute(whole, signal=signal()), same, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_float_graph_is_nearer_to_the_original_than_the_quantised(
    graph: FloatGraph, published: Path
) -> None:
    """That is what it is for."""
    outputs = ["scores", "negative", "states"]
    exact = compute(network(parameters()).SerializeToString(), signal=signal())
    ours = compute(graph.cut([SIGNAL], outputs), signal=signal())
    theirs = compute(published.read_bytes(), signal=signal())
    for original, near, far in zip(exact, ours, theirs, strict=True):
        assert np.square(near - original).mean() < np.square(far - original).mean()
        assert np.abs(near - original).max() < 0.02 * np.abs(original).max()


@pytest.mark.parametrize(
    ("layer", "weight", "bias"),
    [("/conv/Conv", "conv.weight", "conv.bias"), ("/fc/MatMul", "fc.weight", "fc.bias")],
)
def test_a_layer_has_its_weight_and_bias(
    graph: FloatGraph, expected: dict[str, Array], layer: str, weight: str, bias: str
) -> None:
    """By the float layer's name: the weight within half a step of the original, the bias exact."""
    original = parameters()
    found = graph.weights(layer)
    half_a_step = np.abs(original[weight]).max() / 254
    np.testing.assert_allclose(found[0], expected[weight], rtol=1e-6)
    np.testing.assert_allclose(found[0], original[weight], atol=1.01 * half_a_step)
    np.testing.assert_array_equal(found[1], original[bias])


def test_a_layer_without_a_bias_is_an_error(graph: FloatGraph) -> None:
    """A bias that was not found must not become zeros."""
    with pytest.raises(ValueError, match="no constant bias"):
        graph.weights("/plain/MatMul")


def test_a_part_has_only_what_it_needs(graph: FloatGraph) -> None:
    """Between two tensors there are the nodes and constants of the way, and no other input."""
    cut = part(graph.cut([SIGNAL, FEATURES], ["scores"]))
    assert [node.name for node in cut.node] == ["/rows", "/fc/MatMul", "/fc/Add"]
    assert [value.name for value in cut.input] == ["features"]
    assert {tensor.name for tensor in cut.initializer} == {"fc.weight_quantized.float", "fc.bias"}


def test_parts_in_a_row_are_the_whole(graph: FloatGraph) -> None:
    """What one part gives out, the next takes in, for any length of signal."""
    first, then = graph.cut([SIGNAL], ["rows"]), graph.cut([ROWS], ["scores"])
    whole = graph.cut([SIGNAL], ["scores"])
    for samples in (1, 40):
        (rows,) = compute(first, signal=signal(samples))
        assert rows.shape == (1, samples, 4)
        np.testing.assert_array_equal(
            compute(then, rows=rows)[0], compute(whole, signal=signal(samples))[0]
        )


def test_names_that_are_not_there_are_errors(graph: FloatGraph) -> None:
    """A layer of a quantised name is gone, and so are the constants of quantisation."""
    with pytest.raises(KeyError):
        graph.node("/conv/Conv_quant")
    with pytest.raises(KeyError):
        graph.constant("conv.weight_quantized")
    assert not dict(graph.constants_like("zero_point"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("signal_QuantizeLinear", "QuantizeLinear"),
        ("features_output_quantized_cast", "Identity"),
        ("/conv/Conv_quant_output_scale_mul", "Div"),
        ("product_output_quantized_cast", "Relu"),
    ],
)
def test_an_unknown_pattern_is_an_error(
    published: Path, tmp_path: Path, name: str, kind: str
) -> None:
    """The error names the node, what it is, and what it was expected to be."""
    model = onnx.load(str(published))
    (node,) = (node for node in model.graph.node if node.name == name)
    usual, node.op_type = node.op_type, kind
    onnx.save(model, str(tmp_path / "other.onnx"))
    with pytest.raises(ValueError, match=f"{name} is {kind}, expected {usual}"):
        FloatGraph(tmp_path / "other.onnx")


def test_a_result_used_twice_is_an_error(published: Path, tmp_path: Path) -> None:
    """Whole numbers that another node reads too cannot be replaced by floats."""
    model = onnx.load(str(published))
    model.graph.node.append(
        helper.make_node("Cast", ["product_output_quantized"], ["spy"], to=TensorProto.FLOAT)
    )
    onnx.save(model, str(tmp_path / "other.onnx"))
    with pytest.raises(ValueError, match="/fc/MatMul_quant: its result is used 2 times"):
        FloatGraph(tmp_path / "other.onnx")
