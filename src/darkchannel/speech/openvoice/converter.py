"""The two networks, loaded and ready: whose voice it is, and speech in another voice.

A folder holds them, as :mod:`.export` makes it::

    encoder.onnx      spectrogram -> speaker embedding
    converter.onnx    spectrogram, two embeddings, noise, tau -> samples
    model.json        what they were made from, and the numbers of the spectrogram
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.onnx_session import failures, session
from darkchannel.speech.openvoice.spectrum import spectrogram

Array = npt.NDArray[np.float32]

ENCODER, CONVERTER, DESCRIPTION = "encoder.onnx", "converter.onnx", "model.json"
FORMAT = 1
"""Of the folder; another one is exported anew."""

TAU = 0.3
"""How much of the posterior's spread is sampled: the reference code's default."""

PIECE_SECONDS = 10.0
"""A recording is embedded in equal pieces of about this length, whose mean is the speaker."""

REMEDY = (
    "run `darkchannel models fetch openvoice`, then `darkchannel models export openvoice`;"
    " docs/voices.md says what that takes"
)


@dataclass(frozen=True, slots=True)
class Description:
    """What ``model.json`` says.

    Attributes:
        sample_rate: in Hz, of what goes in and comes out.
        window: points of the spectrogram's transform.
        hop: samples of a frame.
        latent: channels of the noise.
        width: of an embedding.
        files: SHA-256 and size in bytes of each graph.
    """

    sample_rate: int
    window: int
    hop: int
    latent: int
    width: int
    files: dict[str, tuple[str, int]]

    @property
    def digest(self) -> str:
        """Of both graphs."""
        text = "".join(f"{name} {self.files[name][0]}\n" for name in sorted(self.files))
        return hashlib.sha256(text.encode()).hexdigest()


def read_description(folder: Path) -> Description:
    """What is in a folder.

    Raises:
        EngineUnavailableError: the model was not exported to it, or is not whole.
    """
    try:
        raw = json.loads((folder / DESCRIPTION).read_bytes())
        if raw["format"] != FORMAT:
            raise ValueError(f"format {raw['format']}")
        numbers = {name: int(raw[name]) for name in _NUMBERS}
        files = {name: (str(raw["files"][name][0]), int(raw["files"][name][1])) for name in _GRAPHS}
        found = Description(**numbers, files=files)
    except FileNotFoundError as error:
        raise EngineUnavailableError(
            f"the OpenVoice converter is not in {folder}", remedy=REMEDY
        ) from error
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise EngineUnavailableError(
            f"{folder / DESCRIPTION} cannot be used: {error}", remedy=REMEDY
        ) from error
    for name, (_, size) in found.files.items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != size:
            raise EngineUnavailableError(f"{folder / name} is missing or cut short", remedy=REMEDY)
    return found


def openvoice_folder(data_dir: Path) -> Path:
    """Where the exported converter belongs, and the checkpoint it is made from."""
    return data_dir / "models" / "openvoice"


def is_exported(folder: Path) -> bool:
    """Whether a model was exported to the folder, be it whole or not."""
    return (folder / DESCRIPTION).is_file()


def damaged(folder: Path) -> list[str]:
    """Names of graphs whose bytes are not those that were exported.

    Raises:
        EngineUnavailableError: as :func:`read_description`.
    """
    files = read_description(folder).files
    return [name for name, (sha256, _) in files.items() if file_digest(folder / name) != sha256]


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_GRAPHS = (ENCODER, CONVERTER)
_NUMBERS = ("sample_rate", "window", "hop", "latent", "width")


class Converter:
    """Both networks; each is loaded when it is first used.  Used by one thread at a time."""

    def __init__(self, folder: Path, *, threads: int = 1, precision: str | None = None) -> None:
        """Read what is in the folder.

        Args:
            folder: with the exported networks.
            threads: of one inference.
            precision: in which OpenVINO computes the vocoder, ``bf16`` or ``f32``; None leaves
                all to onnxruntime.

        Raises:
            EngineUnavailableError: the model was not exported to it, or is not whole.
        """
        self.about = read_description(folder)
        self._folder = folder
        self._threads = threads
        self._precision = precision

    def embed(self, samples: Array) -> Array:
        """Who speaks.

        Args:
            samples: mono speech at :attr:`Description.sample_rate`, shape ``[frames]``.

        Returns:
            Shape ``[width]``.

        Raises:
            RuntimeError: it cannot be computed.
            ValueError: there are hardly any samples.
        """
        count = max(1, round(len(samples) / self.about.sample_rate / PIECE_SECONDS))
        pieces = [self._embed(piece) for piece in np.array_split(samples, count)]
        mean: Array = np.mean(pieces, axis=0, dtype=np.float32)
        return mean

    def _embed(self, samples: Array) -> Array:
        frames = spectrogram(samples, self.about.window, self.about.hop).T[None]
        embedding: Array = self._embedding({"frames": np.ascontiguousarray(frames)})[0]
        return embedding

    def convert(
        self, samples: Array, source: Array, target: Array, *, seed: bytes, tau: float = TAU
    ) -> Array:
        """The same speech in another voice.

        The reference code draws its noise anew each time; here a seed decides it, so that the
        same chunk always sounds the same.

        Args:
            samples: mono, at :attr:`Description.sample_rate`, shape ``[frames]``.
            source: embedding of who speaks, shape ``[width]``.
            target: embedding of who shall speak, shape ``[width]``.
            seed: at least 16 bytes; of the noise.
            tau: how much of the noise is taken.

        Returns:
            As many samples, within [-1, 1].

        Raises:
            RuntimeError: it cannot be computed.
        """
        hop = self.about.hop
        # What does not fill a hop would be left out: the end of a word must not be.
        length = -(-max(len(samples), self.about.window) // hop) * hop
        whole = np.pad(samples, (0, length - len(samples)))
        magnitudes = spectrogram(whole, self.about.window, hop)[None]
        random = np.random.Generator(np.random.PCG64(int.from_bytes(seed, "little")))
        shape = (1, self.about.latent, magnitudes.shape[2])
        inputs = {
            "spectrogram": magnitudes,
            "source": source.reshape(1, -1, 1),
            "target": target.reshape(1, -1, 1),
            "noise": random.standard_normal(shape, np.float32),
            "tau": np.array([tau], np.float32),
        }
        return self._converting(inputs).ravel()[: len(samples)]

    @cached_property
    def _embedding(self) -> Callable[[dict[str, Array]], Array]:
        return _on_onnxruntime(self._folder / ENCODER, self._threads)

    @cached_property
    def _converting(self) -> Callable[[dict[str, Array]], Array]:
        graph = self._folder / CONVERTER
        if self._precision is None:
            return _on_onnxruntime(graph, self._threads)
        from darkchannel.speech.openvoice.openvino_converter import OpenvinoConverter

        return OpenvinoConverter(graph, threads=self._threads, precision=self._precision).run


def _on_onnxruntime(graph: Path, threads: int) -> Callable[[dict[str, Array]], Array]:
    """A graph with one output, ready to run."""
    loaded = session(graph, threads=threads)

    def run(inputs: dict[str, Array]) -> Array:
        try:
            (result,) = loaded.run(None, inputs)
        except failures() as error:
            raise RuntimeError(str(error)) from error
        return np.asarray(result, np.float32)

    return run
