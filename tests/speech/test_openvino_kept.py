"""A graph that was compiled once is read by the next process, and computes the same."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from darkchannel.speech import openvino_kept, openvino_session

if find_spec("openvino") is None:
    pytest.skip("there is no OpenVINO for this platform", allow_module_level=True)

Array = npt.NDArray[np.float32]


def product(weight: float = 2.0, *, added: bool = False) -> object:
    """A graph that multiplies four numbers by a constant, or adds it."""
    from darkchannel.speech.openvino_library import openvino, opset13

    numbers = opset13.parameter([4], np.float32)
    constant = opset13.constant(np.full(4, weight, np.float32))
    made = opset13.add(numbers, constant) if added else opset13.multiply(numbers, constant)
    return openvino.Model([opset13.result(made)], [numbers], "product")


@pytest.fixture
def compute(tmp_path: Path) -> Callable[[], Array]:
    """What compiled graphs make of 1, 2, 3 and 4; kept in the test's folder."""
    core = openvino_session.core()

    def compute() -> Array:
        model = product()
        options = openvino_session.options(model, threads=1, precision="f32")
        graphs = openvino_kept.KeptGraphs(core, tmp_path / "kept")
        made: Array = graphs.compiled(model, options)(np.arange(1, 5, dtype=np.float32))[0]
        return made.copy()

    return compute


@pytest.fixture
def never_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling fails the test; reading does not."""
    from darkchannel.speech.openvino_library import openvino

    def refuse(*_: object) -> None:
        raise AssertionError("it was compiled again")

    monkeypatch.setattr(openvino.Core, "compile_model", refuse)


def only_file(folder: Path) -> Path:
    """The one that is kept."""
    (file,) = (folder / "kept").iterdir()
    return file


def test_what_was_kept_is_read(
    compute: Callable[[], Array], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Nothing is compiled again, and the file stays as it is."""
    before = compute()
    kept = only_file(tmp_path).read_bytes()
    request.getfixturevalue("never_compiled")
    np.testing.assert_array_equal(compute(), before)
    assert only_file(tmp_path).read_bytes() == kept


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * len(data)],
    ids=["cut", "empty", "other bytes"],
)
def test_what_is_damaged_is_compiled_again(
    compute: Callable[[], Array], tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """And replaced: a file that a kill or a disk left unfinished is as good as none."""
    compute()
    file = only_file(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    np.testing.assert_array_equal(compute(), [2, 4, 6, 8])
    assert openvino_kept._read(file) is not None


def test_what_cannot_be_understood_is_compiled_again_and_said(
    compute: Callable[[], Array], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A whole file that OpenVINO refuses costs a line in the log."""
    compute()
    openvino_kept._write(only_file(tmp_path), b"no graph")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(compute(), [2, 4, 6, 8])
    assert "compiled again" in caplog.text


def test_where_nothing_can_be_kept_it_works(compute: Callable[[], Array], tmp_path: Path) -> None:
    """Prepared voices may lie where nobody writes."""
    (tmp_path / "kept").write_text("in the way")
    np.testing.assert_array_equal(compute(), [2, 4, 6, 8])


def test_what_is_left_of_a_kill_goes_when_nobody_writes_it_any_more(
    compute: Callable[[], Array], tmp_path: Path
) -> None:
    """A draft of an hour ago; that of another process, which may be at it, stays."""
    compute()
    file = only_file(tmp_path)
    left, written = (file.with_name(f"{name}.draft") for name in ("left", "written"))
    for draft in (left, written):
        draft.write_bytes(b"half a graph")
    os.utime(left, (0, 0))
    compute()
    assert sorted(file.parent.iterdir()) == sorted([file, written])


def test_another_graph_or_machine_has_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Constants, operations, options and what OpenVINO may use of the CPU are in the name."""
    core = openvino_session.core()

    def name(model: object, **options: object) -> str:
        return openvino_kept._circumstances(core, model, options)

    first = name(product())
    assert name(product()) == first
    others = {name(product(3.0)), name(product(added=True)), name(product(), NUM_STREAMS=2)}
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    others.add(name(product()))
    assert len(others | {first}) == 5
