"""What the prepared runtimes read: cut from the published graph, in the shapes they take it in.

    encoder.onnx    tokens, style, speed -> duration of each token, features of each token
    prosody.onnx    features of each frame, style -> pitch and loudness
    constants.npz   of the source and of the inverse transform

    generator.npz   the generator's small weights
    *.npy           its large ones

and a decoder, of features, pitch, loudness and style, that gives frames for the generator:
``decoder.onnx`` for ``float32``, ``decoder.xml`` for ``openvino``.

Weights of graphs lie beside them, in ``*.onnx.data`` and ``*.bin``.  These and the ``*.npy`` are
mapped into memory, which all workers share.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from darkchannel.speech import mapped
from darkchannel.speech.kokoro import openvino_tiles
from darkchannel.speech.kokoro.generator import BLOCK_TAPS, blocks
from darkchannel.speech.kokoro.graph import FloatGraph, Tensor
from darkchannel.speech.kokoro.spectral import arranged

Array = npt.NDArray[np.float32]

TOTAL_BYTES = {"float32": 324_400_000, "openvino": 179_800_000}
"""Of all files of a runtime, to the next hundred thousand."""

_GENERATOR = "/decoder/decoder/generator"
_PARAMETERS = "decoder.decoder.generator"
_WEIGHTS_SUFFIX = ".data"


def names(runtime: str) -> tuple[str, ...]:
    """The files of a runtime."""
    graphs = ["encoder", "prosody"] + (["decoder"] if runtime == "float32" else [])
    common = [f"{graph}.onnx{end}" for graph in graphs for end in ("", _WEIGHTS_SUFFIX)]
    own = ["decoder.xml", "decoder.bin"] if runtime == "openvino" else []
    generator = ["generator.npz", *(f"{name}.npy" for name in _large())]
    return (*common, *own, "constants.npz", *generator)


def write(runtime: str, graph: FloatGraph, folder: Path) -> Iterator[Path]:
    """Write the files of a runtime; gives each as it is finished.

    Raises:
        ImportError: a library that they are made with is missing.
        ValueError, KeyError: the graph is not the one this was written for.
    """
    pieces = _pieces()
    for piece in ("encoder", "prosody") + (("decoder",) if runtime == "float32" else ()):
        yield from _save_graph(graph.cut(*pieces[piece]), folder / f"{piece}.onnx")
    yield _save(folder / "constants.npz", _constants(graph))
    if runtime == "openvino":
        yield from _write_openvino(graph, folder)
    weights = _generator(graph)
    if runtime == "openvino":
        weights |= openvino_tiles.arranged(weights) | _whole(graph)
    for name in _large():
        np.save(folder / f"{name}.npy", weights.pop(name), allow_pickle=False)
        yield folder / f"{name}.npy"
    yield _save(folder / "generator.npz", weights)


def constants(folder: Path) -> dict[str, Array]:
    """Those of :mod:`.source`, by name."""
    with np.load(folder / "constants.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def generator_weights(folder: Path) -> dict[str, Array]:
    """The generator's weights by name; the large ones stay in the file until they are used."""
    with np.load(folder / "generator.npz", allow_pickle=False) as small:
        weights = {name: small[name] for name in small.files}
    for name in _large():
        weights[name] = mapped.array(folder / f"{name}.npy")
    return weights


def _large() -> tuple[str, ...]:
    return (*(f"{name}.taps" for name in blocks()), "ups.0", "ups.1", "style.weight")


def _save_graph(part: bytes, file: Path) -> Iterator[Path]:
    """Write a graph and, beside it, its weights: onnxruntime maps those instead of copying."""
    import onnx

    weights = file.with_name(f"{file.name}{_WEIGHTS_SUFFIX}")
    onnx.save_model(
        onnx.load_from_string(part), str(file), save_as_external_data=True, location=weights.name
    )
    weights.chmod(0o644)
    yield from (file, weights)


def _save(file: Path, weights: dict[str, Array]) -> Path:
    contiguous = {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}
    np.savez(file, allow_pickle=False, **contiguous)
    return file


def _write_openvino(graph: FloatGraph, folder: Path) -> Iterator[Path]:
    from darkchannel.speech.kokoro import openvino_graph
    from darkchannel.speech.openvino_library import openvino

    file = folder / "decoder.xml"
    # As floats: rounded to 16 bits here they would be rounded twice.
    openvino.save_model(openvino_graph.decoder(graph), file, compress_to_fp16=False)
    yield from (file, file.with_suffix(".bin"))


def _pieces() -> dict[str, tuple[list[Tensor], list[str]]]:
    """Inputs and outputs of the parts that onnxruntime computes."""
    style = Tensor("style", (1, 256))
    features = Tensor("/encoder/MatMul_1_output_0", (1, 512, "frames"))
    pitch = Tensor("/encoder/Reshape_output_0", (1, "half frames"))
    loudness = Tensor("/encoder/Reshape_1_output_0", (1, "half frames"))
    tokens = Tensor("tokens", (1, "tokens"), integer=True)
    of_tokens = [
        "/encoder/Clip_output_0",
        "/encoder/predictor/text_encoder/Concat_4_output_0",
        "/encoder/text_encoder/Transpose_2_output_0",
    ]
    of_frames = Tensor("/encoder/MatMul_output_0", (1, 640, "frames"))
    decoded = "/decoder/decoder/decode.3/Div_4_output_0"
    return {
        "encoder": ([tokens, style, Tensor("speed", (1,))], of_tokens),
        "prosody": ([of_frames, style], [pitch.name, loudness.name]),
        "decoder": ([features, pitch, loudness, style], [decoded]),
    }


def _generator(graph: FloatGraph) -> dict[str, Array]:
    """The generator's weights by name, in the shapes that it and products of matrices take."""
    weights: dict[str, Array] = {}
    for name in blocks():
        filters, weights[f"{name}.alphas"], weights[f"{name}.bias"] = _block(graph, name)
        weights[f"{name}.taps"] = filters
    for level in (0, 1):
        taps, _ = graph.weights(f"{_GENERATOR}/ups.{level}/ConvTranspose")  # [in, out, 2 strides]
        halves = np.stack(np.split(taps, 2, axis=2))
        weights[f"ups.{level}"] = halves.transpose(0, 1, 3, 2).reshape(2, len(taps), -1)
        filters, _ = graph.weights(f"{_GENERATOR}/noise_convs.{level}/Conv")  # [out, 22, taps]
        weights[f"noise.{level}"] = filters.transpose(2, 1, 0).reshape(-1, len(filters))
        weights[f"bias.{level}"] = (
            graph.weights(f"{_GENERATOR}/ups.{level}/ConvTranspose")[1]
            + graph.weights(f"{_GENERATOR}/noise_convs.{level}/Conv")[1]
            + weights[f"noise_res.{level}.bias"]
        )
    post, bias = graph.weights(f"{_GENERATOR}/conv_post/Conv")  # [22, in, taps]
    weights["post.weight"] = post.transpose(1, 2, 0).reshape(post.shape[1], -1)
    weights["post.bias"] = bias
    gains, shifts = zip(*(_style(graph, name) for name in blocks()), strict=True)
    weights["style.weight"] = np.concatenate(gains, axis=1)
    weights["style.bias"] = np.concatenate(shifts)
    return {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}


def _constants(graph: FloatGraph) -> dict[str, Array]:
    """Of the source and of the inverse transform."""
    weights: dict[str, Array] = {}
    mixing = graph.node(f"{_GENERATOR}/m_source/l_linear/MatMul").input[1]
    weights["source.mixing"] = graph.constant(mixing).reshape(-1)
    weights["source.bias"] = graph.weights(f"{_GENERATOR}/m_source/l_linear/MatMul")[1]
    weights["source.window"] = graph.constant(graph.node(f"{_GENERATOR}/STFT").input[2])
    inverse = graph.node(f"{_GENERATOR}/istft/stft/ConvTranspose").input[1]
    weights["sound.inverse"] = graph.constant(inverse)[:, 0]
    (window_sum,) = graph.constants_like("istft.stft.window_sum")
    weights["sound.window_sum"] = window_sum[1]
    return weights


def _style(graph: FloatGraph, block: str) -> tuple[Array, Array]:
    """The style layers of a block side by side: ``[128, 12 channels]`` and ``[12 channels]``."""
    weights, biases = [], []
    for index in range(len(BLOCK_TAPS)):
        for which in (1, 2):
            name = f"{_GENERATOR}/{block}/adain{which}.{index}/fc/Gemm_MatMul"
            weight, bias = graph.weights(name)
            channels = len(bias) // 2
            weights.append(weight)
            # The first half are gains, as differences from 1.
            biases.append(bias + np.repeat(np.array([1, 0], np.float32), channels))
    return np.concatenate(weights, axis=1), np.concatenate(biases)


def _whole(graph: FloatGraph) -> dict[str, npt.NDArray[Any]]:
    """Taps of the blocks' filters as whole numbers, ``[6, outputs, inputs, taps]``; their steps."""
    weights: dict[str, npt.NDArray[Any]] = {}
    for block in blocks():
        filters, steps = zip(*(graph.whole(name) for name in _filters(block)), strict=True)
        weights[f"{block}.taps"] = np.stack(filters)
        weights[f"{block}.steps"] = np.array(steps, np.float32)
    return weights


def _filters(block: str) -> list[str]:
    """Names of a block's six filters, in the order of their use."""
    indices = range(len(BLOCK_TAPS))
    return [f"{_GENERATOR}/{block}/convs{which}.{i}/Conv" for i in indices for which in (1, 2)]


def _block(graph: FloatGraph, block: str) -> tuple[Array, Array, Array]:
    """Taps of a block's six filters, alphas before them, and what it adds in the end."""
    filters, alphas, biases = [], [], []
    for index in range(len(BLOCK_TAPS)):
        for which in (1, 2):
            weight, bias = graph.weights(f"{_GENERATOR}/{block}/convs{which}.{index}/Conv")
            alpha = graph.constant(f"{_PARAMETERS}.{block}.alpha{which}.{index}").reshape(-1)
            filters.append(arranged(weight, alpha))
            alphas.append(alpha)
        biases.append(bias)
    return np.stack(filters), np.stack(alphas), np.sum(biases, axis=0)
