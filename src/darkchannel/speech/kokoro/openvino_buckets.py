"""The generator compiled by OpenVINO for some sizes, chunks filled up to them; and the decoder."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech import openvino_session
from darkchannel.speech.kokoro import buckets
from darkchannel.speech.kokoro.openvino_graph import COLUMNS, HALO

if TYPE_CHECKING:
    from openvino import CompiledModel, InferRequest, Model

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
        self._core = openvino_session.core()
        self._folder = folder
        self._threads = threads
        self._precision = precision
        self._planned: tuple[int, ...] = ()
        self._decoder: Future[InferRequest] | None = None
        self._held: dict[int, Future[Bucket]] = {}
        self._last: Bucket | None = None
        self._compiler = ThreadPoolExecutor(1, thread_name_prefix="compile")

    def plan(self, lengths: Sequence[int]) -> None:
        """Hear the lengths of the chunks to come, in frames."""
        self._planned = buckets.sizes(tuple(sorted(lengths)))

    def expect(self, frames: int) -> None:
        """Begin to compile what a chunk of about so many frames will need, and return."""
        self._future(buckets.fitting(tuple(self._held), frames, self._planned))
        self._decoding()

    def decode(self, letters: Array, pitch: Array, loudness: Array, style: Array) -> Array:
        """Frames for the generator.

        Args:
            letters: features of each frame, shape ``[1, 512, F]``.
            pitch: shape ``[1, 2 F]``.
            loudness: shape ``[1, 2 F]``.
            style: the voice's timbre, shape ``[128]``.

        Returns:
            Shape ``[1, 512, 1, 2 F]``.

        Raises:
            EngineUnavailableError: OpenVINO cannot compile the decoder.
        """
        inputs = {
            "letters": np.ascontiguousarray(letters[:, :, None]),
            "pitch": np.ascontiguousarray(pitch[:, None, None]),
            "loudness": np.ascontiguousarray(loudness[:, None, None]),
            "style": np.ascontiguousarray(style[None]),
        }
        try:
            decoded: Array = self._decoding().result().infer(inputs)[0]
        except EngineUnavailableError:
            self._decoder = None  # the next chunk tries again, rather than hear of this one
            raise
        return decoded

    def take(self, frames: int) -> Bucket:
        """A bucket for a chunk of so many frames, compiled now if it has to be.

        The one taken before, if it is another, gives its signals' memory back: that of a large
        one is 0.3 GB, and asking for it again takes a hundredth of a chunk's time.

        Raises:
            EngineUnavailableError: OpenVINO cannot compile it.
        """
        size = buckets.fitting(tuple(self._held), frames, self._planned)
        try:
            bucket = self._future(size).result()
        except EngineUnavailableError:
            self._held.pop(size)  # as above
            raise
        if self._last is not None and self._last is not bucket:
            self._last.release()
        self._last = bucket
        return bucket

    def _decoding(self) -> Future[InferRequest]:
        """The decoder, compiled or being compiled."""
        if self._decoder is None:
            self._decoder = self._compiler.submit(
                lambda: self._compiled("decoder").create_infer_request()
            )
        return self._decoder

    def _future(self, size: int) -> Future[Bucket]:
        """A bucket, compiled or being compiled; the one not used for longest makes room."""
        held = self._held.pop(size, None)
        if held is None:
            while len(self._held) >= buckets.MOST:
                self._held.pop(next(iter(self._held)))
            held = self._compiler.submit(self._bucket, size)
        self._held[size] = held
        return held

    def _bucket(self, size: int) -> Bucket:
        return Bucket(size, self._compiled("generator", shapes(size)))

    def _compiled(self, name: str, shapes: dict[str, list[int]] | None = None) -> CompiledModel:
        try:
            return openvino_session.compiled(
                self._core,
                self.read(name, shapes),
                threads=self._threads,
                precision=self._precision,
            )
        except RuntimeError as error:
            raise EngineUnavailableError(
                f"OpenVINO cannot compile the Kokoro voice of {self._folder}: {error}",
                remedy="set DARKCHANNEL_KOKORO_RUNTIME=float32",
            ) from error

    def read(self, name: str, shapes: dict[str, list[int]] | None = None) -> Model:
        """A graph that is not compiled yet.

        Args:
            name: ``decoder`` or ``generator``.
            shapes: of its inputs, if it is to take no others.
        """
        model = self._core.read_model(self._folder / f"{name}.xml")
        if shapes is not None:
            model.reshape(shapes)
        return model


class Bucket:
    """The generator, compiled for chunks of fewer frames than a size."""

    def __init__(self, size: int, generator: CompiledModel) -> None:
        self._size = size
        self._compiled = generator
        self._generator = generator.create_infer_request()

    def release(self) -> None:
        """Give back the memory of the signals of the last chunk; the next takes it again."""
        self._compiled.release_memory()

    def generate(self, frames: Array, source: Array, style: Array) -> Array:
        """The spectrum of a chunk.

        Args:
            frames: of :meth:`Buckets.decode`, fewer than the size.
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
        told = ends(frames.shape[3] // 2, self._size)
        spectrum = self._generator.infer(inputs | told)[0]
        return np.ascontiguousarray(spectrum[0, :, 0, : len(source)].T)


def shapes(size: int) -> dict[str, list[int]]:
    """Shapes of the generator's inputs in a bucket of some size."""
    shapes = {"frames": [1, 512, 1, 2 * size], "source": [1, 22, 1, 120 * size + 1]}
    for level, (per_frame, more) in enumerate(COLUMNS):
        shapes[f"mask.{level}"] = [1, 1, 1, per_frame * size + more]
    return shapes


def ends(frames: int, size: int) -> dict[str, Array]:
    """What tells a generator of some size where a chunk ends, for each level."""
    told: dict[str, Array] = {}
    for level, (per_frame, more) in enumerate(COLUMNS):
        end, width = per_frame * frames + more, per_frame * size + more
        told[f"mask.{level}"] = mask = np.ones((1, 1, 1, width), np.float32)
        mask[..., end : end + HALO] = 0
        before = 2 * end <= width
        told[f"summed.{level}"] = np.array([0, end] if before else [end, width], np.int64)
        told[f"weight.{level}"] = np.array([[1 / end if before else -1 / end]], np.float32)
        told[f"rest.{level}"] = np.array([[0.0 if before else width / end]], np.float32)
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
