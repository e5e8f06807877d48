"""A graph that was compiled once is read back by the next process, and is the same."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from darkchannel.speech.kokoro import openvino_kept
from darkchannel.speech.kokoro.openvino_buckets import Buckets
from tests.speech.kokoro.test_openvino import GOLDEN, prepared

if find_spec("openvino") is None:
    pytest.skip("there is no OpenVINO for this platform", allow_module_level=True)

Spectrum = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@pytest.fixture
def speak(tmp_path: Path) -> Callable[[], Spectrum]:
    """What a process makes of a chunk that has not compiled anything yet."""

    def speak() -> Spectrum:
        fresh = Buckets(
            prepared("openvino"), precision="f32", threads=2, keep=tmp_path / "compiled"
        )
        frames = np.ascontiguousarray(GOLDEN["float.frames"].T[None, :, None])
        with fresh.using(frames.shape[3] // 2) as bucket:
            return bucket.generate(frames, GOLDEN["float.source"], GOLDEN["style"][:128])

    return speak


@pytest.fixture
def kept(tmp_path: Path, speak: Callable[[], Spectrum]) -> Path:
    """The only file that is kept of the first process."""
    speak()
    (file,) = (tmp_path / "compiled").iterdir()
    return file


@pytest.mark.slow
def test_what_was_kept_is_read_and_computes_the_same(
    speak: Callable[[], Spectrum], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """To the bit; nothing is compiled again, and the file stays as it is."""
    compiled = speak()
    (file,) = (tmp_path / "compiled").iterdir()
    before = file.stat().st_mtime_ns
    assert np.array_equal(speak(), compiled)
    assert file.stat().st_mtime_ns == before
    assert not caplog.records
    assert file.stat().st_size < 10e6  # without weights


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * len(data)],
    ids=["cut", "empty", "other bytes"],
)
def test_what_is_damaged_is_never_read(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """A file that a kill or a disk left unfinished is as good as none."""
    file = tmp_path / "compiled" / "generator-32.blob"
    openvino_kept._write(file, b"a graph")
    assert openvino_kept._read(file) == b"a graph"
    file.write_bytes(damage(file.read_bytes()))
    assert openvino_kept._read(file) is None


@pytest.mark.slow
def test_what_is_damaged_is_compiled_again(kept: Path, speak: Callable[[], Spectrum]) -> None:
    """And replaced, so that the next process reads it."""
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    assert speak().shape == GOLDEN["float.spectrum"].shape
    assert openvino_kept._read(kept) is not None


@pytest.mark.slow
def test_what_cannot_be_understood_is_compiled_again_and_said(
    kept: Path, speak: Callable[[], Spectrum], caplog: pytest.LogCaptureFixture
) -> None:
    """A whole file that OpenVINO refuses costs a line in the log."""
    kept.unlink()
    openvino_kept._write(kept, b"no graph")
    with caplog.at_level(logging.WARNING):
        speak()
    assert "compiled again" in caplog.text


@pytest.mark.slow
def test_where_nothing_can_be_kept_it_works(tmp_path: Path, speak: Callable[[], Spectrum]) -> None:
    """Prepared voices may lie where nobody writes."""
    (tmp_path / "compiled").write_text("in the way")
    assert speak().shape == GOLDEN["float.spectrum"].shape


def test_another_machine_graph_or_options_have_a_file_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was compiled of other weights, or for another CPU with the same disk, is not read."""
    for name in ("generator.xml", "generator.bin"):
        (tmp_path / name).write_text("prepared")

    def circumstances(streams: int = 1) -> str:
        graph = openvino_kept.Graph(tmp_path / "generator.xml", lambda: None, "generator-32")
        return openvino_kept._circumstances(graph, {"NUM_STREAMS": streams})

    one = circumstances()
    assert circumstances() == one
    assert circumstances(2) != one
    os.utime(tmp_path / "generator.bin", ns=(0, 0))
    two = circumstances()
    assert two != one
    monkeypatch.setattr(openvino_kept, "cpu_flags", lambda: frozenset({"avx2"}))
    assert circumstances() not in {one, two}
