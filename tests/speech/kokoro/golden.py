"""What the published graph computes for one short sound, kept in ``golden.npz`` for tests.

Made from the real weights by ``python -m tests.speech.kokoro.golden``.  Arrays have the shapes
that the project's own functions take and give:

    style                the voice's vector, shape [256]
    published.*          of the 8-bit graph: pitch, source, spectrum, samples
    float.*              of the graph with float weights: durations, frames, source, spectrum
    contour.*            a made-up pitch with unvoiced stretches, and the source the graph gives
    source.*, sound.*    the small weights that the two ends of the generator need
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

FILE = Path(__file__).with_name("golden.npz")

VOICE = "pf_dora"
PHONEMES = "a"
SPEED = 2.0
CONTOUR = (0, 0, 9.9, 10.1, 120, 220.5, 0, 333.3, 48, 10, 0, 880)

_PITCH = "/encoder/Reshape_output_0"
_DURATIONS = "/encoder/Clip_output_0"
_FRAMES = "/decoder/decoder/decode.3/Div_4_output_0"
_SOURCE = "/decoder/decoder/generator/Concat_3_output_0"
_SPECTRUM = "/decoder/decoder/generator/conv_post/Conv_output_0"
_SMALL = ("source.mixing", "source.bias", "source.window", "sound.inverse", "sound.window_sum")


def load() -> dict[str, Array]:
    """The arrays by name."""
    with np.load(FILE, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _run(graph: bytes, inputs: dict[str, npt.NDArray[Any]]) -> dict[str, Array]:
    """Outputs by name, without their leading dimension of 1, time before channels."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    computed = dict(zip(names, session.run(None, inputs), strict=True))
    return {
        name: np.ascontiguousarray(value[0].T if value.ndim == 3 else value, np.float32)
        for name, value in computed.items()
    }


def _revealing(published: Path, names: list[str]) -> bytes:
    """The published graph with more outputs."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(published))
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    return bytes(model.SerializeToString())


def make() -> dict[str, Array]:
    """Compute the arrays; fetches the weights where they are missing."""
    from darkchannel.config import Settings
    from darkchannel.engines import fetch_weights
    from darkchannel.speech.kokoro import parts, preparation
    from darkchannel.speech.kokoro.graph import FloatGraph, Tensor
    from darkchannel.speech.kokoro.vocabulary import PADDING, encode
    from darkchannel.speech.kokoro.weights import (
        KOKORO,
        STYLE_ROWS,
        STYLE_WIDTH,
        WEIGHTS,
        voice_file,
    )

    settings = Settings.from_environment()
    fetch_weights(settings, "kokoro")
    folder = KOKORO.folder(settings.data_dir)
    styles = np.fromfile(folder / voice_file(VOICE), np.float32).reshape(STYLE_ROWS, STYLE_WIDTH)
    style = styles[len(PHONEMES)]
    inputs = {
        "tokens": np.array([[PADDING, *encode(PHONEMES), PADDING]], np.int64),
        "style": style[None],
        "speed": np.array([SPEED], np.float32),
    }
    published = _run(_revealing(folder / WEIGHTS, [_PITCH, _SOURCE, _SPECTRUM]), inputs)
    graph = FloatGraph(folder / WEIGHTS)
    begin = [
        Tensor("tokens", (1, "tokens"), integer=True),
        Tensor("style", (1, STYLE_WIDTH)),
        Tensor("speed", (1,)),
    ]
    floats = _run(graph.cut(begin, [_DURATIONS, _FRAMES, _SOURCE, _SPECTRUM]), inputs)
    contour = np.array(CONTOUR, np.float32)
    pitch_to_source = graph.cut([Tensor(_PITCH, (1, len(contour)))], [_SOURCE])
    weights = parts.constants(preparation.folder(settings.data_dir))
    return {
        "style": style,
        "published.pitch": published[_PITCH].ravel(),
        "published.source": published[_SOURCE],
        "published.spectrum": published[_SPECTRUM],
        "published.samples": published["audio"].ravel(),
        "float.durations": floats[_DURATIONS].ravel(),
        "float.frames": floats[_FRAMES],
        "float.source": floats[_SOURCE],
        "float.spectrum": floats[_SPECTRUM],
        "contour.pitch": contour,
        "contour.source": _run(pitch_to_source, {_PITCH: contour[None]})[_SOURCE],
        **{name: weights[name] for name in _SMALL},
    }


if __name__ == "__main__":
    np.savez_compressed(FILE, allow_pickle=False, **make())
