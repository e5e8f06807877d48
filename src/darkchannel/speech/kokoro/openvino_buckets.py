"""The generator compiled by OpenVINO for some sizes, chunks filled up to them; and the decoder."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech import openvino_session
from darkchannel.speech.kokoro import buckets, openvino_kept
from darkchannel.speech.kokoro.buckets import Sizes, smallest
from darkchannel.speech.kokoro.openvino_graph import COLUMNS, HALO
from darkchannel.speech.kokoro.openvino_kept import Graph
from darkchannel.speech.openvino_session import Requests

if TYPE_CHECKING:
    from openvino import Model

Array = npt.NDArray[np.float32]


class Buckets:
    """Features of frames to a spectrum, whatever number of frames; see :mod:`.openvino_graph`.

    Used by as many threads at a time as there are lanes.  Sizes are compiled when they are needed,
    in a thread beside what goes on meanwhile if :meth:`expect` was told of them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        precision: str,
        threads: int,
        lanes: int = 1,
        keep: Path | None = None,
    ) -> None:
        """Read the graphs; nothing is compiled yet.

        Args:
            folder: with ``decoder.xml`` and ``generator.xml``.
            precision: ``bf16`` or ``f32``.
            threads: of one inference.
            lanes: chunks at a time.
            keep: where compiled generators are kept for other processes; None keeps none.

        Raises:
            EngineUnavailableError: OpenVINO is missing, or cannot read the graphs.
        """
        self._core = openvino_session.core()
        self._folder = folder
        self._threads = threads
        self._lanes = lanes
        self._precision = precision
        self._keep = keep
        self._sizes = Sizes(buckets.COMPILE_FRAMES[precision])
        self._decoder: Future[Requests] | None = None
        self._held: dict[int, Future[Bucket]] = {}
        self._last: Bucket | None = None
        self._lock = threading.Lock()
        self._compiler = ThreadPoolExecutor(lanes, thread_name_prefix="compile")

    def plan(self, lengths: Sequence[int]) -> None:
        """Hear the lengths of the chunks to come, in frames."""
        with self._lock:
            self._sizes.plan(lengths)

    def expect(self, frames: int) -> None:
        """Begin to compile what a chunk of so many frames will need, and return."""
        with self._lock:
            self._bucket(self._sizes.fitting(self._held, frames))
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
        with self._lock:
            decoder = self._decoding()
        try:
            return decoder.result().infer(inputs)
        except EngineUnavailableError:
            with self._lock:
                if self._decoder is decoder:
                    self._decoder = None  # the next chunk tries again, rather than hear of this one
            raise

    @contextmanager
    def using(self, frames: int) -> Iterator[Bucket]:
        """A bucket for a chunk of so many frames, compiled now if it has to be.

        Those that nobody uses give their signals' memory back, but for the last one taken: that
        of a large one is 0.3 GB, and asking for it again takes a hundredth of a chunk's time.

        Raises:
            EngineUnavailableError: OpenVINO cannot compile it.
        """
        with self._lock:
            size, future = self._ready(frames)
            self._sizes.used(size, frames)
        try:
            bucket = future.result()
        except EngineUnavailableError:
            with self._lock:
                if self._held.get(size) is future:
                    del self._held[size]  # as above
            raise
        with self._lock:
            before, self._last = self._last, bucket
            bucket.users += 1
            self._let_go(before)
        try:
            yield bucket
        finally:
            with self._lock:
                bucket.users -= 1
                self._let_go(bucket)

    def _let_go(self, bucket: Bucket | None) -> None:
        if bucket is not None and bucket is not self._last and not bucket.users:
            bucket.release()

    def _ready(self, frames: int) -> tuple[int, Future[Bucket]]:
        """A bucket for a chunk; not one that is still being compiled, if there is another."""
        size = self._sizes.fitting(self._held, frames)
        future = self._bucket(size)
        if not future.done():
            ready = [
                each for each, held in self._held.items() if held.done() and not held.exception()
            ]
            other = smallest(ready, frames)
            if other is not None:
                return other, self._held[other]
        return size, future

    def _decoding(self) -> Future[Requests]:
        """The decoder, compiled or being compiled."""
        if self._decoder is None:
            self._decoder = self._compiler.submit(self._compiled, "decoder")
        return self._decoder

    def _bucket(self, size: int) -> Future[Bucket]:
        """A bucket, compiled or being compiled; the one not used for longest makes room."""
        held = self._held.pop(size, None)
        if held is None:
            while len(self._held) >= buckets.MOST:
                self._held.pop(next(iter(self._held)))
            self._sizes.compiled(size)
            held = self._compiler.submit(self._made, size)
        self._held[size] = held
        return held

    def _made(self, size: int) -> Bucket:
        return Bucket(size, self._compiled("generator", size))

    def _compiled(self, name: str, size: int | None = None) -> Requests:
        chosen = {"threads": self._threads, "lanes": self._lanes}
        try:
            if size is None or self._keep is None:
                model = self.read(name, None if size is None else shapes(size))
                made = openvino_session.compiled(
                    self._core, model, precision=self._precision, **chosen
                )
            else:
                graph = Graph(
                    self._folder / f"{name}.xml",
                    functools.partial(self.read, name, shapes(size)),
                    f"{name}-{size}",
                )
                options = openvino_session.options(precision=self._precision, **chosen)
                made = openvino_kept.compiled(self._core, graph, options, self._keep)
        except (RuntimeError, OSError) as error:
            raise EngineUnavailableError(
                f"OpenVINO cannot compile the Kokoro voice of {self._folder}: {error}",
                remedy="set DARKCHANNEL_KOKORO_RUNTIME=float32",
            ) from error
        return Requests(made, lanes=self._lanes)

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
    """The generator, compiled for chunks of fewer frames than a size.

    Attributes:
        users: chunks that are being computed in it.
    """

    def __init__(self, size: int, generator: Requests) -> None:
        self._size = size
        self._generator = generator
        self.users = 0

    def release(self) -> None:
        """Give back the memory of the signals of the last chunks; the next takes it again."""
        self._generator.release()

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
        spectrum = self._generator.infer(inputs | told)
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
