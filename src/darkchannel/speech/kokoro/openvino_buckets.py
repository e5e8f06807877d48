"""Decoder and generator compiled by OpenVINO for some sizes, and chunks filled up to them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro import buckets
from darkchannel.speech.kokoro.openvino_graph import DECODER_COLUMNS, GENERATOR_COLUMNS, HALO

if TYPE_CHECKING:
    from openvino import CompiledModel

Array = npt.NDArray[np.float32]


class Buckets:
    """Features of frames to a spectrum, whatever number of frames; see :mod:`.openvino_graph`.

    Used by one thread at a time.  Sizes are compiled when they are needed, in a thread beside
    what goes on meanwhile if :meth:`expect` was told of them.
    """

    def __init__(self, folder: Path, *, precision: str, threads: int) -> None:
        """Read the graphs; nothing is compiled yet.

        Args:
            folder: with ``decoder.xml`` and ``generator.xml``.
            precision: ``bf16`` or ``f32``.
            threads: of one inference.

        Raises:
            EngineUnavailableError: OpenVINO is missing, or cannot read the graphs.
        """
        try:
            from darkchannel.speech.kokoro.openvino_library import openvino
        except ImportError as error:
            raise EngineUnavailableError(
                "openvino, which is to compute the Kokoro voice, is not installed",
                remedy="pip install 'darkchannel[openvino]', or unset DARKCHANNEL_KOKORO_RUNTIME",
            ) from error
        self._core = openvino.Core()
        self._folder = folder
        self._options = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # Pinned, the workers of several processes all land on the same core.
            "ENABLE_CPU_PINNING": False,
        }
        self._planned: tuple[int, ...] = ()
        self._held: dict[int, Future[Bucket]] = {}
        self._compiler = ThreadPoolExecutor(1, thread_name_prefix="compile")

    def plan(self, lengths: Sequence[int]) -> None:
        """Hear the lengths of the chunks to come, in frames."""
        self._planned = buckets.sizes(tuple(sorted(lengths)))

    def expect(self, frames: int) -> None:
        """Begin to compile what a chunk of about so many frames will need, and return."""
        self._future(buckets.fitting(tuple(self._held), frames, self._planned))

    def take(self, frames: int) -> Bucket:
        """A bucket for a chunk of so many frames, compiled now if it has to be.

        Raises:
            EngineUnavailableError: OpenVINO cannot compile it.
        """
        size = buckets.fitting(tuple(self._held), frames, self._planned)
        try:
            return self._future(size).result()
        except EngineUnavailableError:
            self._held.pop(size)  # the next chunk tries again, rather than hear of this one
            raise

    def _future(self, size: int) -> Future[Bucket]:
        """A bucket, compiled or being compiled; the one not used for longest makes room."""
        held = self._held.pop(size, None)
        if held is None:
            while len(self._held) >= buckets.MOST:
                self._held.pop(next(iter(self._held)))
            held = self._compiler.submit(self._compiled, size)
        self._held[size] = held
        return held

    def _compiled(self, size: int) -> Bucket:
        try:
            return Bucket(
                size,
                self._graph("decoder", decoder_shapes(size)),
                self._graph("generator", generator_shapes(size)),
            )
        except RuntimeError as error:
            raise EngineUnavailableError(
                f"OpenVINO cannot compile the Kokoro voice of {self._folder}: {error}",
                remedy="set DARKCHANNEL_KOKORO_RUNTIME=float32",
            ) from error

    def _graph(self, name: str, shapes: dict[str, list[int]]) -> CompiledModel:
        model = self._core.read_model(self._folder / f"{name}.xml")
        model.reshape(shapes)
        return self._core.compile_model(model, "CPU", self._options)


class Bucket:
    """Both graphs, compiled for chunks of fewer frames than a size."""

    def __init__(self, size: int, decoder: CompiledModel, generator: CompiledModel) -> None:
        self._size = size
        self._decoder = decoder.create_infer_request()
        self._generator = generator.create_infer_request()

    def decode(self, letters: Array, pitch: Array, loudness: Array, style: Array) -> Array:
        """Frames for the generator.

        Args:
            letters: features of each frame, shape ``[1, 512, F]``, F less than the size.
            pitch: shape ``[1, 2 F]``.
            loudness: shape ``[1, 2 F]``.
            style: the voice's timbre, shape ``[128]``.

        Returns:
            Shape ``[1, 512, 1, 2 F]``.
        """
        frames, size = letters.shape[2], self._size
        inputs = {
            "letters": filled(letters[:, :, None], size),
            "pitch": filled(pitch[:, None, None], 2 * size),
            "loudness": filled(loudness[:, None, None], 2 * size),
            "style": np.ascontiguousarray(style[None]),
        }
        told = ends(frames, size, DECODER_COLUMNS)
        decoded: Array = self._decoder.infer(inputs | told)[0]
        return decoded[..., : 2 * frames]

    def generate(self, frames: Array, source: Array, style: Array) -> Array:
        """The spectrum of a chunk.

        Args:
            frames: of :meth:`decode`.
            source: of :func:`.source.harmonics`, shape ``[120 F + 1, 22]``.
            style: the voice's timbre, shape ``[128]``.

        Returns:
            Shape ``[120 F + 1, 22]``: log magnitudes, then phases before their sine.
        """
        inputs = {
            "frames": filled(frames, 2 * self._size),
            "source": filled(source.T[None, :, None], 120 * self._size + 1),
            "style": np.ascontiguousarray(style[None]),
        }
        told = ends(frames.shape[3] // 2, self._size, GENERATOR_COLUMNS)
        spectrum = self._generator.infer(inputs | told)[0]
        return np.ascontiguousarray(spectrum[0, :, 0, : len(source)].T)


def decoder_shapes(size: int) -> dict[str, list[int]]:
    """Shapes of the decoder's inputs in a bucket of some size."""
    return {
        "letters": [1, 512, 1, size],
        "pitch": [1, 1, 1, 2 * size],
        "loudness": [1, 1, 1, 2 * size],
    } | _end_shapes(size, DECODER_COLUMNS)


def generator_shapes(size: int) -> dict[str, list[int]]:
    """Shapes of the generator's inputs in a bucket of some size."""
    return {
        "frames": [1, 512, 1, 2 * size],
        "source": [1, 22, 1, 120 * size + 1],
    } | _end_shapes(size, GENERATOR_COLUMNS)


def _end_shapes(size: int, columns: Sequence[tuple[int, int]]) -> dict[str, list[int]]:
    shapes = {}
    for level, (per_frame, more) in enumerate(columns):
        shapes[f"mask.{level}"] = [1, 1, 1, per_frame * size + more]
        shapes[f"heard.{level}"] = [1, 1, 1, per_frame * (size - 1) + more]
    return shapes


def ends(frames: int, size: int, columns: Sequence[tuple[int, int]]) -> dict[str, Array]:
    """What tells a graph of some size where a chunk ends, for each level."""
    told: dict[str, Array] = {}
    for level, (per_frame, more) in enumerate(columns):
        end = per_frame * frames + more
        told[f"mask.{level}"] = mask = np.ones((1, 1, 1, per_frame * size + more), np.float32)
        mask[..., end : end + HALO] = 0
        told[f"heard.{level}"] = np.zeros((1, 1, 1, per_frame * (size - 1) + more), np.float32)
        told[f"heard.{level}"][..., :end] = 1
        told[f"share.{level}"] = np.array([[1 / end]], np.float32)
    return told


def filled(signal: Array, columns: int) -> Array:
    """A signal with as many columns as a graph takes: silence, then its own mirror image.

    The silence is what convolutions see behind its end; the mirror image, again and again if need
    be, keeps the statistics of all columns near those of the signal.
    """
    end = signal.shape[-1]
    widths = [(0, 0)] * (signal.ndim - 1) + [(0, columns - end)]
    whole: Array = np.pad(signal, widths, mode="symmetric").astype(np.float32, copy=False)
    whole[..., end : end + HALO] = 0
    return whole
