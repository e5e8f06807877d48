"""The ``openvino`` runtime: decoder and generator by products of 8-bit numbers.

The encoder and the prosody predictor stay in float32, so that durations and pitch are exactly
those of the float model.  Decoder and generator lose little: 0.60 dB of log-mel distance to the
float model, where float weights in float32 have 0.46 and the published graph, whose products are of
8 bits too, has 2.10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech import mapped, openvino_session
from darkchannel.speech.kokoro import openvino_graph, openvino_tiles
from darkchannel.speech.kokoro.generator import Generator
from darkchannel.speech.kokoro.openvino_tiles import TiledLayers, Tiles
from darkchannel.speech.kokoro.parts import generator_weights
from darkchannel.speech.kokoro.prepared import TIMBRE, PreparedRuntime
from darkchannel.speech.openvino_kept import KeptGraphs
from darkchannel.speech.openvino_session import Graphs

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, InferRequest, Model

Array = npt.NDArray[np.float32]


class OpenvinoRuntime(PreparedRuntime):
    """Compiled graphs, used by as many threads at a time as it has lanes."""

    def __init__(self, prepared: Path, *, threads: int, lanes: int = 1) -> None:
        """Begin to compile, and load the other parts; see :class:`PreparedRuntime`.

        Args:
            prepared: folder of :func:`.preparation.prepare`.
            threads: that share the work on one chunk.
            lanes: chunks at a time.
        """
        core = openvino_session.core()
        self._decoder_weights = mapped.contents(prepared / "decoder.bin")
        weights = generator_weights(prepared)
        text = (prepared / "decoder.xml").read_text(encoding="utf-8")
        decoder = {"decoder": partial(_read, core, text, self._decoder_weights)}
        layers = openvino_tiles.layers(weights)
        tiles = {name: partial(openvino_graph.tile, layer) for name, layer in layers.items()}
        self._kept = KeptGraphs(core, prepared / "compiled")
        compiled = partial(_compiled, self._kept, weights, threads=threads)
        self._decoder = _Decoder(Graphs(decoder, compiled))
        tiling = Tiles(layers, Graphs(tiles, compiled, threads=lanes))
        self._lanes: SimpleQueue[Generator] = SimpleQueue()
        for _ in range(lanes):
            self._lanes.put(Generator(weights, TiledLayers(tiling)))
        super().__init__(prepared, threads=threads, shared=False)

    def spectrum(
        self, letters: Array, pitch: Array, loudness: Array, source: Array, style: Array
    ) -> Array:
        """See :meth:`PreparedRuntime.spectrum`.

        Raises:
            EngineUnavailableError: OpenVINO cannot compile a graph.
        """
        frames = self._decoder(letters, pitch, loudness, style[:TIMBRE])
        mapped.give_back([self._decoder_weights])
        self._kept.give_back()
        generator = self._lanes.get()
        try:
            return generator(frames, source, style[:TIMBRE])
        finally:
            self._lanes.put(generator)


class _Decoder:
    """The decoder, for one thread at a time: others wait for a fifteenth of a chunk's time.

    With a stream for each, OpenVINO would hand the work to threads of its own, which are set on a
    core where another lane computes as often as not.
    """

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        self._lock = Lock()
        self._request: InferRequest | None = None

    def __call__(self, letters: Array, pitch: Array, loudness: Array, timbre: Array) -> Array:
        """Frames for the generator, shape ``[2 F, 512]``."""
        inputs = {
            "letters": np.ascontiguousarray(letters[:, :, None]),
            "pitch": np.ascontiguousarray(pitch[:, None, None]),
            "loudness": np.ascontiguousarray(loudness[:, None, None]),
            "style": np.ascontiguousarray(timbre[None]),
        }
        with self._lock:
            if self._request is None:
                self._request = self._graphs["decoder"].create_infer_request()
            frames: Array = self._request.infer(inputs, share_outputs=True)[0]
            return np.array(frames[0, :, 0].T, order="C")


def _read(core: Core, graph: str, weights: Array) -> Model:
    from darkchannel.speech.openvino_library import openvino

    return core.read_model(graph, openvino.Tensor(weights, shared_memory=True))


def _compiled(
    kept: KeptGraphs,
    weights: Mapping[str, Array],
    read: Callable[[], Model],
    *,
    threads: int,
) -> CompiledModel:
    model = read()
    options = openvino_session.options(model, threads=threads, precision="f32")
    try:
        made = kept.compiled(model, options)
    except RuntimeError as error:
        raise EngineUnavailableError(
            f"OpenVINO cannot compile the Kokoro voice: {error}",
            remedy="set DARKCHANNEL_KOKORO_RUNTIME=float32",
        ) from error
    mapped.give_back(weights.values())
    return made


def shared(prepared: Path, *, threads: int, lanes: int) -> OpenvinoRuntime:
    """The one runtime of this process that is loaded so; loaded now if there is none in use."""
    key = (prepared, threads, lanes)
    with _loading:
        runtime = _loaded.get(key)
        if runtime is None:
            runtime = OpenvinoRuntime(prepared, threads=threads, lanes=lanes)
            _loaded[key] = runtime
    return runtime


_loading = Lock()
_loaded: WeakValueDictionary[tuple[object, ...], OpenvinoRuntime] = WeakValueDictionary()
