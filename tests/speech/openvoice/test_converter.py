"""Both networks against the reference code, and folders that hold no model."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.openvoice.converter import (
    CONVERTER,
    DESCRIPTION,
    Converter,
    damaged,
    read_description,
)
from darkchannel.speech.openvoice.spectrum import spectrogram
from tests.speech.openvoice.seeded import GOLDEN, RATE, SMALL, Array, voiced

SOURCE, TARGET = voiced(6000 / RATE, 120, 1), voiced(6000 / RATE, 210, 2)
SEED = bytes(16)


@pytest.fixture(scope="module")
def golden() -> dict[str, Array]:
    with np.load(GOLDEN) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def converter(request: pytest.FixtureRequest) -> Converter:
    """On each library that computes it."""
    if request.param == "onnxruntime":
        return Converter(SMALL)
    if find_spec("openvino") is None:
        pytest.skip("there is no OpenVINO for this platform")
    return Converter(SMALL, precision="f32")


def test_spectrograms_are_those_of_the_reference(golden: dict[str, Array]) -> None:
    """To 1e-5, with magnitudes up to 40, at the real size and at the small one."""
    assert golden["spectrogram"].shape[0] == 513
    found = spectrogram(voiced(0.37, 110, 3), 1024, 256)
    np.testing.assert_allclose(found, golden["spectrogram"], atol=1e-5)
    small = spectrogram(SOURCE, 64, 16)
    np.testing.assert_allclose(small, golden["small.spectrogram"], atol=1e-5)


def test_embeddings_are_those_of_the_reference(
    converter: Converter, golden: dict[str, Array]
) -> None:
    """To 1e-5; the two differ by a thousand times that."""
    np.testing.assert_allclose(converter.embed(SOURCE), golden["small.source"], atol=1e-5)
    np.testing.assert_allclose(converter.embed(TARGET), golden["small.target"], atol=1e-5)
    assert np.abs(golden["small.source"] - golden["small.target"]).max() > 1e-2


def test_converted_speech_is_that_of_the_reference(
    converter: Converter, golden: dict[str, Array]
) -> None:
    """To 1e-5 at an RMS of 0.17, with the seed of the noise that the reference was given."""
    source, target = golden["small.source"], golden["small.target"]
    found = converter.convert(SOURCE, source, target, seed=(9).to_bytes(16, "little"))
    np.testing.assert_allclose(found, golden["small.samples"], atol=1e-5)


def test_voice_and_seed_are_heard(converter: Converter, golden: dict[str, Array]) -> None:
    """Another target or another seed sounds different; the same of both sounds the same."""
    source, target = golden["small.source"], golden["small.target"]
    first = converter.convert(SOURCE, source, target, seed=SEED)
    assert np.array_equal(first, converter.convert(SOURCE, source, target, seed=SEED))
    assert np.abs(first - converter.convert(SOURCE, source, source, seed=SEED)).max() > 1e-3
    assert np.abs(first - converter.convert(SOURCE, source, target, seed=b"x" * 16)).max() > 1e-3


@pytest.mark.parametrize("length", [1, 100, 5999])
def test_no_sample_is_lost(converter: Converter, golden: dict[str, Array], length: int) -> None:
    """As many samples come out as go in, be they no multiple of a frame or less than a window."""
    source, target = golden["small.source"], golden["small.target"]
    assert len(converter.convert(SOURCE[:length], source, target, seed=SEED)) == length


def test_a_long_recording_is_the_mean_of_its_pieces(converter: Converter) -> None:
    """20 seconds are embedded as two halves, as the reference cuts recordings."""
    recording = voiced(20, 140, 4)
    half = len(recording) // 2
    mean = (converter.embed(recording[:half]) + converter.embed(recording[half:])) / 2
    np.testing.assert_allclose(converter.embed(recording), mean, atol=1e-5)


def test_a_folder_without_the_model_says_what_to_do(tmp_path: Path) -> None:
    """Both commands are named."""
    with pytest.raises(EngineUnavailableError) as refused:
        Converter(tmp_path)
    assert "models fetch openvoice" in refused.value.remedy
    assert "models export openvoice" in refused.value.remedy


@pytest.mark.parametrize(
    "description", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 99}', b"\xff"]
)
def test_a_description_that_is_none_is_an_error(description: bytes, tmp_path: Path) -> None:
    """It names the file."""
    (tmp_path / DESCRIPTION).write_bytes(description)
    with pytest.raises(EngineUnavailableError, match=DESCRIPTION):
        read_description(tmp_path)


def test_a_graph_cut_short_or_damaged_is_noticed(tmp_path: Path) -> None:
    """Cut short it is refused at once; other bytes of the same length are found by looking."""
    folder = shutil.copytree(SMALL, tmp_path / "model")
    assert damaged(folder) == []
    data = bytearray((folder / CONVERTER).read_bytes())
    data[1000] ^= 1
    (folder / CONVERTER).write_bytes(data)
    assert damaged(folder) == [CONVERTER]
    (folder / CONVERTER).write_bytes(data[:-1])
    with pytest.raises(EngineUnavailableError, match=CONVERTER):
        read_description(folder)


def test_the_digest_is_that_of_the_graphs(tmp_path: Path) -> None:
    """Another graph is another model, whatever its numbers."""
    folder = shutil.copytree(SMALL, tmp_path / "model")
    raw = json.loads((folder / DESCRIPTION).read_bytes())
    raw["files"][CONVERTER][0] = "0" * 64
    (folder / DESCRIPTION).write_text(json.dumps(raw))
    assert read_description(folder).digest != read_description(SMALL).digest
