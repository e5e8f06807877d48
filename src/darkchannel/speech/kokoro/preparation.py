"""Kokoro's files as the ``float32`` runtime reads them: made once from the published weights.

They lie in ``<data_dir>/models/kokoro-float32/``:

    encoder.onnx    tokens, style, speed -> duration of each token, features of each token
    prosody.onnx    features of each frame, style -> pitch and loudness
    decoder.onnx    features, pitch, loudness, style -> frames for the generator
    generator.npz   the generator's small weights
    *.npy           its large ones
    *.onnx.data     weights of the three parts
    prepared.json   what it was made from and by which recipe; size, time, SHA-256 of each file

The last two are mapped into memory, which all workers share.  The folder appears as a whole, by
one rename, or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro.generator import BLOCK_TAPS, blocks
from darkchannel.speech.kokoro.graph import FloatGraph, Tensor
from darkchannel.speech.kokoro.spectral import arranged
from darkchannel.speech.weights import locked

Array = npt.NDArray[np.float32]
OnProgress = Callable[[int, int], None]
"""Hears how many bytes of how many are written."""

RECIPE = 4
"""Changes whenever the files would be others."""

FOLDER = "kokoro-float32"
PARTS = ("encoder", "prosody", "decoder")
_RECEIPT = "prepared.json"
_WEIGHTS_SUFFIX = ".data"

_GENERATOR = "/decoder/decoder/generator"
_PARAMETERS = "decoder.decoder.generator"
_TOTAL_BYTES = 324_396_940
_OTHERWISE = (
    "make room there, set DARKCHANNEL_DATA_DIR to another folder, or set "
    "DARKCHANNEL_KOKORO_RUNTIME=onnxruntime, which needs no preparation"
)


def folder(data_dir: Path) -> Path:
    """Where the prepared files belong."""
    return data_dir / "models" / FOLDER


def prepare(
    published: Path, sha256: str, data_dir: Path, *, on_progress: OnProgress | None = None
) -> Path:
    """Make sure that the prepared files are there; takes some seconds where they are not.

    Files that are damaged, unfinished or of another recipe are made anew.  Of several processes
    one makes them, and the others wait.

    Args:
        published: the published ONNX file.
        sha256: its digest.
        data_dir: the project's data directory.
        on_progress: hears how far it is.

    Returns:
        The folder.

    Raises:
        EngineUnavailableError: ``onnx`` is missing, there is no room, or the published file is
            not the one this recipe was written for.
    """
    place = folder(data_dir)
    if is_prepared(data_dir, sha256):
        return place
    try:
        with locked(place.with_name(f"{FOLDER}.work")):
            if not is_prepared(data_dir, sha256):
                _make(published, sha256, place, on_progress or (lambda _done, _all: None))
    except OSError as error:
        raise EngineUnavailableError(
            f"the Kokoro voice could not be prepared in {place}: {error.strerror or error}",
            remedy=_OTHERWISE,
        ) from error
    return place


def is_prepared(data_dir: Path, sha256: str) -> bool:
    """Whether the prepared files are there, whole, and made from these weights by this recipe.

    The digest of a file is computed only if its time is not the one it was written with.

    Args:
        data_dir: the project's data directory.
        sha256: digest of the published weights.
    """
    place = folder(data_dir)
    try:
        receipt = json.loads((place / _RECEIPT).read_bytes())
        if (receipt["recipe"], receipt["weights"]) != (RECIPE, sha256):
            return False
        files = receipt["files"]
        return set(files) == set(_names()) and all(
            _is_whole(place / name, facts, False) for name, facts in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def verify(data_dir: Path) -> tuple[str, ...]:
    """Compute every digest anew; the names of prepared files that are missing or damaged.

    If there are any, the next :func:`prepare` makes all anew.  A folder that is not there yet
    has nothing wrong with it.
    """
    place = folder(data_dir)
    if not place.exists():
        return ()
    try:
        files = json.loads((place / _RECEIPT).read_bytes())["files"]
        bad = [name for name in _names() if not _is_whole(place / name, files[name], True)]
    except (OSError, ValueError, KeyError, TypeError):
        bad = [_RECEIPT]
    if bad:
        (place / _RECEIPT).unlink(missing_ok=True)
    return tuple(f"{FOLDER}/{name}" for name in bad)


def generator_weights(place: Path) -> dict[str, Array]:
    """The generator's weights by name; the large ones stay in the file until they are used."""
    with np.load(place / "generator.npz", allow_pickle=False) as small:
        weights = {name: small[name] for name in small.files}
    for name in _large():
        weights[name] = np.load(place / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return weights


def _large() -> tuple[str, ...]:
    return (*(f"{name}.taps" for name in blocks()), "ups.0", "ups.1", "style.weight")


def _names() -> tuple[str, ...]:
    parts = (f"{part}.onnx{end}" for part in PARTS for end in ("", _WEIGHTS_SUFFIX))
    return (*parts, "generator.npz", *(f"{name}.npy" for name in _large()))


def _is_whole(file: Path, facts: dict[str, object], thorough: bool) -> bool:
    if not file.is_file():
        return False
    status = file.stat()
    if status.st_size != facts["size"]:
        return False
    if status.st_mtime_ns == facts["time"] and not thorough:
        return True
    return _digest(file) == facts["sha256"]


def _digest(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _make(published: Path, sha256: str, place: Path, on_progress: OnProgress) -> None:
    """Make the folder, under the lock; what a killed process left in the work folder goes."""
    work = place.with_name(f"{FOLDER}.work")
    draft, old = work / "draft", work / "old"
    for leftover in (draft, old):
        shutil.rmtree(leftover, ignore_errors=True)
    free = shutil.disk_usage(work).free
    if free < _TOTAL_BYTES:
        raise EngineUnavailableError(
            f"preparing the Kokoro voice needs {_TOTAL_BYTES >> 20} MiB of space and "
            f"{work.parent} has {free >> 20}",
            remedy=_OTHERWISE,
        )
    draft.mkdir()
    try:
        _write(published, draft, on_progress)
        _sign(draft, sha256)
        if place.exists():
            place.rename(old)  # whoever reads it now keeps reading
        draft.rename(place)
    finally:  # a full disk must not stay full of a draft
        for leftover in (draft, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _write(published: Path, draft: Path, on_progress: OnProgress) -> None:
    on_progress(0, _TOTAL_BYTES)
    try:
        graph = FloatGraph(published)
    except ImportError as error:
        raise EngineUnavailableError(
            "onnx, which the Kokoro voice is prepared with, is not installed",
            remedy="install it with `pip install darkchannel[kokoro]`",
        ) from error
    except (ValueError, KeyError) as error:
        raise EngineUnavailableError(
            f"{published} is not the Kokoro file this version prepares: {error}",
            remedy="check the files with `darkchannel models fetch --verify`",
        ) from error
    done = 0

    def wrote(name: str) -> None:
        nonlocal done
        done += (draft / name).stat().st_size
        on_progress(done, _TOTAL_BYTES)

    for part, between in _parts().items():
        _save_part(graph.cut(*between), draft / f"{part}.onnx")
        wrote(f"{part}.onnx{_WEIGHTS_SUFFIX}")
    weights = _generator(graph)
    for name in _large():
        np.save(draft / f"{name}.npy", weights.pop(name), allow_pickle=False)
        wrote(f"{name}.npy")
    np.savez(draft / "generator.npz", allow_pickle=False, **weights)
    wrote("generator.npz")


def _save_part(part: bytes, file: Path) -> None:
    """Write a graph and, beside it, its weights: onnxruntime maps those instead of copying."""
    import onnx

    weights = f"{file.name}{_WEIGHTS_SUFFIX}"
    onnx.save_model(
        onnx.load_from_string(part), str(file), save_as_external_data=True, location=weights
    )
    file.with_name(weights).chmod(0o644)


def _parts() -> dict[str, tuple[list[Tensor], list[str]]]:
    """Inputs and outputs of the three parts that onnxruntime computes."""
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
    """The generator's weights by name, in the shapes it takes them in."""
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
    mixing = graph.node(f"{_GENERATOR}/m_source/l_linear/MatMul").input[1]
    weights["source.mixing"] = graph.constant(mixing).reshape(-1)
    weights["source.bias"] = graph.weights(f"{_GENERATOR}/m_source/l_linear/MatMul")[1]
    weights["source.window"] = graph.constant(graph.node(f"{_GENERATOR}/STFT").input[2])
    inverse = graph.node(f"{_GENERATOR}/istft/stft/ConvTranspose").input[1]
    weights["sound.inverse"] = graph.constant(inverse)[:, 0]
    (window_sum,) = graph.constants_like("istft.stft.window_sum")
    weights["sound.window_sum"] = window_sum[1]
    return {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}


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


def _sign(draft: Path, sha256: str) -> None:
    files = {}
    for name in _names():
        file = draft / name
        with file.open("rb+") as written:
            os.fsync(written.fileno())
        status = file.stat()
        files[name] = {
            "size": status.st_size,
            "time": status.st_mtime_ns,
            "sha256": _digest(file),
        }
    receipt = {"recipe": RECIPE, "weights": sha256, "files": files}
    (draft / _RECEIPT).write_text(json.dumps(receipt, indent=1), encoding="utf-8")
