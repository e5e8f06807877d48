"""The converting network on OpenVINO: its vocoder in bfloat16, where the CPU has that.

Nine tenths of the arithmetic are the vocoder's (a HiFi-GAN), which comes last: what is rounded in
it goes into no other network.  All before it stays in float32.

A compiled graph has a fixed size, chunks do not.  But what the vocoder makes of a frame depends on
few frames around it, so that a chunk is computed by windows of one size that overlap.  The first
begins and the last ends where the chunk does: there the network sees zeros, as it would with the
whole chunk before it, and so nothing that is heard depends on the windows.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech import openvino_session

if TYPE_CHECKING:
    from openvino import CompiledModel, Model, Node

Array = npt.NDArray[np.float32]

WINDOW = 256
"""Frames of a window: 3 s."""

HALO = 16
"""Frames on either side that a frame's samples can depend on, rounded up from 13.3: 3 of the
first convolution, 1 of the first upsampling, then 60 samples of the residual blocks (11 taps, of
dilation 1, 3 and 5, each followed by one of dilation 1) at 8, 64, 128 and 256 samples a frame."""

_FIRST_LAYER = "/dec/conv_pre/Conv"
"""How the name of the vocoder's first layer ends."""


class _Window(NamedTuple):
    """Frames to compute, and which of them to keep, counted from the window's begin."""

    begin: int
    keep_from: int
    keep_to: int


class OpenvinoConverter:
    """The network of ``converter.onnx``; used by one thread at a time."""

    def __init__(self, graph: Path, *, threads: int, precision: str) -> None:
        """Read and compile it.

        Args:
            graph: the ONNX file.
            threads: of one inference.
            precision: of the vocoder: ``bf16``, or ``f32`` on a CPU that does not have it.

        Raises:
            EngineUnavailableError: OpenVINO is missing, or cannot use the graph.
        """
        core = openvino_session.core()
        compiled = functools.partial(openvino_session.compiled, core, threads=threads)
        try:
            self._latent = compiled(_before_vocoder(core.read_model(graph)), precision="f32")
            vocoder = _vocoder(core.read_model(graph))
            self._any_size = compiled(vocoder, precision=precision)
            vocoder.reshape({"latent": [1, vocoder.input("latent").partial_shape[1], WINDOW]})
            self._window = compiled(vocoder, precision=precision)
        except (RuntimeError, ValueError) as error:
            raise EngineUnavailableError(
                f"OpenVINO cannot use {graph}: {error}",
                remedy="set DARKCHANNEL_KOKORO_RUNTIME=float32",
            ) from error

    def run(self, inputs: dict[str, Array]) -> Array:
        """Samples of a chunk.

        Args:
            inputs: of the graph, by name.

        Raises:
            RuntimeError: it cannot be computed.
        """
        latent = _infer(self._latent, inputs)
        frames = latent.shape[2]
        if frames < WINDOW:
            return _infer(self._any_size, inputs | {"latent": latent}).ravel()
        pieces = []
        for begin, keep_from, keep_to in windows(frames):
            some = np.ascontiguousarray(latent[:, :, begin : begin + WINDOW])
            samples = _infer(self._window, inputs | {"latent": some}).ravel()
            hop = len(samples) // WINDOW
            pieces.append(samples[keep_from * hop : keep_to * hop])
        return np.concatenate(pieces)


def windows(frames: int) -> Iterator[_Window]:
    """Windows that cover a chunk of at least as many frames as one has, each kept once."""
    done = 0
    while done < frames:
        begin = min(max(0, done - HALO), frames - WINDOW)
        end = begin + WINDOW
        keep_to = end if end == frames else end - HALO
        yield _Window(begin, done - begin, keep_to - begin)
        done = keep_to


def _before_vocoder(model: Model) -> Model:
    """The graph up to the vocoder's input."""
    from darkchannel.speech.openvino_library import openvino, opset13

    seam = opset13.result(_first_layer(model).input_value(0))
    return openvino.Model([seam], model.get_parameters(), "latent")


def _vocoder(model: Model) -> Model:
    """The graph from there on; the model is taken apart for it."""
    from darkchannel.speech.openvino_library import openvino, opset13

    begin = _first_layer(model).input(0)
    latent = opset13.parameter(begin.get_partial_shape(), np.float32)
    latent.output(0).set_names({"latent"})
    begin.replace_source_output(latent.output(0))
    needed = {node.friendly_name for node in _ancestors(model.get_results())}
    others = [given for given in model.get_parameters() if given.friendly_name in needed]
    return openvino.Model(model.get_results(), [latent, *others], "vocoder")


def _first_layer(model: Model) -> Node:
    """The vocoder's.

    Raises:
        ValueError: there is none of its name.
    """
    for node in model.get_ordered_ops():
        if node.friendly_name.endswith(_FIRST_LAYER):
            return node
    raise ValueError(f"it has no layer {_FIRST_LAYER}")


def _ancestors(nodes: Sequence[Node]) -> Iterator[Node]:
    """Nodes, and all that they are computed from."""
    pending, met = list(nodes), set()
    while pending:
        node = pending.pop()
        if node.friendly_name not in met:
            met.add(node.friendly_name)
            pending += [value.get_node() for value in node.input_values()]
            yield node


def _infer(model: CompiledModel, inputs: dict[str, Array]) -> Array:
    """The result of a graph, given what it takes of some inputs."""
    names = {name for port in model.inputs for name in port.names}
    result: Array = model({name: inputs[name] for name in names})[0]
    return result
