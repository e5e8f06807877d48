"""The vocoder on OpenVINO: windows leave no trace, and what cannot be used is named."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro.runtime import cpu_flags
from darkchannel.speech.openvoice.converter import CONVERTER, Converter
from darkchannel.speech.openvoice.openvino_converter import HALO, WINDOW, windows
from tests.speech.openvoice.seeded import RATE, SMALL, noise, voiced

if find_spec("openvino") is None:
    pytest.skip("there is no OpenVINO for this platform", allow_module_level=True)

AVX512 = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})
"""What OpenVINO needs to compute in bfloat16 on a CPU that does not."""

HOP = 16
"""Samples of the small model's frame."""
SOURCE, TARGET = noise((16,), 1), noise((16,), 2)


@given(st.integers(WINDOW, 20 * WINDOW))
def test_each_frame_is_kept_once_and_far_from_a_seam(frames: int) -> None:
    """Windows lie in the chunk, and only its own ends are nearer than what a frame depends on."""
    done = 0
    for begin, keep_from, keep_to in windows(frames):
        assert 0 <= begin <= frames - WINDOW
        assert begin + keep_from == done
        assert 0 <= keep_from < keep_to <= WINDOW
        assert keep_from >= HALO or begin == 0
        assert WINDOW - keep_to >= HALO or begin + WINDOW == frames
        done = begin + keep_to
    assert done == frames


@pytest.fixture(scope="module")
def both() -> tuple[Converter, Converter]:
    """On OpenVINO and on onnxruntime, which computes the chunk as a whole."""
    return Converter(SMALL, precision="f32"), Converter(SMALL)


@pytest.mark.parametrize(
    "frames", [4, 60, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW - HALO, 3 * WINDOW + 7]
)
def test_a_chunk_of_any_length_sounds_as_a_whole(
    both: tuple[Converter, Converter], frames: int
) -> None:
    """To 1e-5, shorter than a window, as long as one, and of several."""
    samples = voiced(frames * HOP / RATE, 130, frames)
    ours, theirs = (each.convert(samples, SOURCE, TARGET, seed=bytes(16)) for each in both)
    assert np.abs(theirs).max() > 0.05
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.skipif(not AVX512.issubset(cpu_flags()), reason="bfloat16 takes AVX-512")
@pytest.mark.parametrize("frames", [60, WINDOW + 1])
def test_bfloat16_is_near(both: tuple[Converter, Converter], frames: int) -> None:
    """What rounding changes is 40 dB below the speech."""
    samples = voiced(frames * HOP / RATE, 130, frames)
    rounded = Converter(SMALL, precision="bf16")
    ours, theirs = (
        each.convert(samples, SOURCE, TARGET, seed=bytes(16)) for each in (rounded, both[1])
    )
    off = np.square(ours - theirs).mean() / np.square(theirs).mean()
    assert 10 * np.log10(off) < -40


def test_a_graph_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The error says which file, and how to do without OpenVINO."""
    folder = shutil.copytree(SMALL, tmp_path / "model")
    (folder / CONVERTER).write_bytes(bytes((folder / CONVERTER).stat().st_size))
    with pytest.raises(EngineUnavailableError, match=CONVERTER) as refused:
        Converter(folder, precision="f32").convert(noise((999,), 1), SOURCE, TARGET, seed=bytes(16))
    assert "DARKCHANNEL_KOKORO_RUNTIME=float32" in refused.value.remedy


def test_a_graph_without_a_vocoder_is_named(tmp_path: Path) -> None:
    """Another network under that name is refused, not computed."""
    folder = shutil.copytree(SMALL, tmp_path / "model")
    other = (folder / "encoder.onnx").read_bytes()
    description = (folder / "model.json").read_text()
    size = (folder / CONVERTER).stat().st_size
    (folder / CONVERTER).write_bytes(other)
    (folder / "model.json").write_text(description.replace(str(size), str(len(other))))
    with pytest.raises(EngineUnavailableError, match="conv_pre"):
        Converter(folder, precision="f32").convert(noise((999,), 1), SOURCE, TARGET, seed=bytes(16))
