"""The prepared files are whole, or they are made anew."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from darkchannel.engines import fetch_weights
from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro import preparation
from darkchannel.speech.kokoro.weights import KOKORO, WEIGHTS
from tests.speech.real_kokoro import require, settings

DIGEST = KOKORO.files[0].sha256

PREPARE = """
import sys
from pathlib import Path
from darkchannel.speech.kokoro.preparation import prepare
from darkchannel.speech.kokoro.weights import KOKORO
prepare(Path(sys.argv[1]), KOKORO.files[0].sha256, Path(sys.argv[2]), sys.argv[3])
"""

LARGEST = {"float32": "resblocks.2.taps.npy", "openvino": "decoder.bin"}
WRITTEN_HALFWAY = {"float32": "decoder.onnx.data", "openvino": "decoder.bin"}


@pytest.fixture(params=preparation.RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Each that needs preparation."""
    name: str = request.param
    require(name)
    return name


@pytest.fixture
def prepared(tmp_path: Path, runtime: str) -> Path:
    """A data directory with the machine's prepared files, which a test may damage."""
    fetch_weights(replace(settings(), kokoro_runtime=runtime), "kokoro")
    place = preparation.folder(tmp_path, runtime)
    place.mkdir(parents=True)
    for file in preparation.folder(settings().data_dir, runtime).iterdir():
        if file.is_file():  # not the folder of what is compiled from them
            os.link(file, place / file.name)
    assert preparation.is_prepared(tmp_path, DIGEST, runtime)
    return tmp_path


def overwrite(file: Path, data: bytes) -> None:
    """Other bytes in a file of that name, which was a link."""
    file.unlink()
    file.write_bytes(data)


def published() -> Path:
    """The weights as they are published."""
    return KOKORO.folder(settings().data_dir) / WEIGHTS


def test_nothing_is_not_prepared(tmp_path: Path) -> None:
    """An empty data directory has no prepared files, and nothing wrong with them either."""
    assert not preparation.is_prepared(tmp_path, DIGEST)
    assert preparation.verify(tmp_path) == ()


@pytest.mark.parametrize("content", [b"", b"not a graph", bytes(10_000)])
def test_a_file_that_is_not_the_weights_is_refused(content: bytes, tmp_path: Path) -> None:
    """The error names the file and how to check it; nothing is left behind."""
    file = tmp_path / "graph.onnx"
    file.write_bytes(content)
    with pytest.raises(EngineUnavailableError) as refused:
        preparation.prepare(file, DIGEST, tmp_path)
    assert str(file) in refused.value.message
    assert "--verify" in refused.value.remedy
    assert not preparation.folder(tmp_path).exists()
    assert not (tmp_path / "models" / "kokoro-float32.work" / "draft").exists()


def test_without_room_it_says_so_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk too small for the files is named with the way around."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=10**8))
    with pytest.raises(EngineUnavailableError, match="MiB of space") as refused:
        preparation.prepare(tmp_path / "never read", DIGEST, tmp_path)
    assert "DARKCHANNEL_KOKORO_RUNTIME=onnxruntime" in refused.value.remedy


@pytest.mark.slow
def test_files_of_other_weights_or_another_recipe_do_not_count(
    prepared: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they were made from and how is in the receipt."""
    assert not preparation.is_prepared(prepared, "0" * 64, runtime)
    monkeypatch.setattr(preparation, "RECIPE", preparation.RECIPE + 1)
    assert not preparation.is_prepared(prepared, DIGEST, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", ["changed", "cut short", "missing", "no receipt", "half receipt"]
)
def test_damage_is_noticed(prepared: Path, runtime: str, damage: str) -> None:
    """A file with other bytes, a short or a missing one: not prepared, and verify names it."""
    place = preparation.folder(prepared, runtime)
    file, receipt = place / LARGEST[runtime], place / "prepared.json"
    data = file.read_bytes()
    if damage == "changed":
        overwrite(file, data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "cut short":
        overwrite(file, data[:-1])
    elif damage == "missing":
        file.unlink()
    elif damage == "no receipt":
        receipt.unlink()
    else:
        overwrite(receipt, receipt.read_bytes()[:100])
    assert not preparation.is_prepared(prepared, DIGEST, runtime)
    (named,) = preparation.verify(prepared, runtime)
    assert named.endswith("prepared.json" if "receipt" in damage else LARGEST[runtime])


@pytest.mark.slow
def test_verifying_finds_what_a_quick_look_trusts(prepared: Path, runtime: str) -> None:
    """Bytes that changed behind an unchanged time are found, and not trusted afterwards."""
    file = preparation.folder(prepared, runtime) / LARGEST[runtime]
    times = file.stat()
    data = file.read_bytes()
    overwrite(file, data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert preparation.is_prepared(prepared, DIGEST, runtime)
    assert preparation.verify(prepared, runtime) == (f"kokoro-{runtime}/{LARGEST[runtime]}",)
    assert not preparation.is_prepared(prepared, DIGEST, runtime)


@pytest.mark.slow
def test_a_copied_folder_is_prepared(prepared: Path, runtime: str, tmp_path: Path) -> None:
    """Other times make it look at the digests, which are right."""
    for file in preparation.folder(prepared, runtime).iterdir():
        if file.name != "prepared.json":
            data = file.read_bytes()
            overwrite(file, data)
    assert preparation.is_prepared(prepared, DIGEST, runtime)


@pytest.mark.slow
def test_whatever_lies_in_the_way_goes(prepared: Path, runtime: str, tmp_path: Path) -> None:
    """A link in the work folder does not stop a preparation, and what it leads to stays."""
    place, other = preparation.folder(prepared, runtime), tmp_path / "other"
    other.mkdir()
    (other / "kept").write_bytes(b"kept")
    work = place.with_name(f"{place.name}.work")
    work.mkdir()
    (work / "old").symlink_to(other)
    (place / "prepared.json").unlink()
    preparation.prepare(published(), DIGEST, prepared, runtime)
    assert preparation.is_prepared(prepared, DIGEST, runtime)
    assert (other / "kept").read_bytes() == b"kept"


@pytest.mark.acceptance
def test_a_preparation_that_was_killed_is_begun_anew(tmp_path: Path, runtime: str) -> None:
    """Killed in the middle it leaves no folder; of the next two one makes it, and clears up."""
    fetch_weights(replace(settings(), kokoro_runtime=runtime), "kokoro")
    command = [sys.executable, "-c", PREPARE, str(published()), str(tmp_path), runtime]
    draft = tmp_path / "models" / f"kokoro-{runtime}.work" / "draft"
    killed = subprocess.Popen(command)
    deadline = time.monotonic() + 120
    while not (draft / WRITTEN_HALFWAY[runtime]).exists():
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not preparation.folder(tmp_path, runtime).exists()
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(timeout=200) for process in both] == [0, 0]
    assert preparation.is_prepared(tmp_path, DIGEST, runtime)
    assert not draft.exists()
    receipt = json.loads((preparation.folder(tmp_path, runtime) / "prepared.json").read_bytes())
    machine = preparation.folder(settings().data_dir, runtime) / "prepared.json"
    same = json.loads(machine.read_bytes())["files"]
    assert {name: facts["sha256"] for name, facts in receipt["files"].items()} == {
        name: facts["sha256"] for name, facts in same.items()
    }
