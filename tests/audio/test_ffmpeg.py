"""FFmpeg as a child process that never hangs, hides its reasons or stays behind."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from darkchannel.audio.ffmpeg import LOCAL_ONLY, NICENESS, find_ffmpeg, run
from darkchannel.errors import AudioError

PCM = ["-f", "s16le", "-ar", "24000", "-ac", "1", "-i", "pipe:0"]


@pytest.fixture(autouse=True)
def _found_anew() -> Iterator[None]:
    """Each test looks for FFmpeg itself."""
    find_ffmpeg.cache_clear()
    yield
    find_ffmpeg.cache_clear()


def seconds(count: int) -> Iterator[bytes]:
    """So many seconds of silence at 24 kHz."""
    for _ in range(count):
        yield bytes(48_000)


def program(folder: Path, script: str) -> Path:
    """A program called ffmpeg."""
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_it_lets_others_go_first() -> None:
    """Encoding for minutes, it leaves cores to what answers in milliseconds."""
    niceness: list[int] = []

    def watched() -> Iterator[bytes]:
        yield bytes(48_000)
        children = psutil.Process().children()
        niceness.extend(child.nice() for child in children if "ffmpeg" in child.name())
        yield bytes(48_000)

    run([*PCM, "-f", "null", "-"], blocks=watched())
    assert niceness == [min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)]


def test_the_one_on_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system's own FFmpeg is preferred."""
    own = program(tmp_path, f'exec "{find_ffmpeg()}" "$@"')
    find_ffmpeg.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_ffmpeg() == str(own)


def test_one_that_cannot_do_the_work_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An FFmpeg without the filters needed gives way to the packaged one."""
    pytest.importorskip("imageio_ffmpeg")
    old = program(tmp_path, "echo 'Option latency not found' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_ffmpeg() != str(old)


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any FFmpeg, or with one too old, the error says how to get one."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if "ffmpeg" in name else find_spec(name)
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match="not found") as caught:
        find_ffmpeg()
    assert "pip install 'darkchannel[ffmpeg]'" in caught.value.remedy
    program(tmp_path, "echo 'Option latency not found' >&2; exit 1")
    with pytest.raises(AudioError, match="Option latency not found") as caught:
        find_ffmpeg()
    assert caught.value.remedy


def test_what_is_fed_arrives(tmp_path: Path) -> None:
    """Blocks of any size come out as they went in."""
    blocks = [bytes([n % 256]) * (n * 37 % 5000 * 2) for n in range(200)]
    target = tmp_path / "out.raw"
    run([*PCM, "-f", "s16le", str(target)], blocks=blocks)
    assert target.read_bytes() == b"".join(blocks)


def test_what_it_writes_is_heard(tmp_path: Path) -> None:
    """Standard output reaches the sink in order."""
    source = tmp_path / "in.raw"
    source.write_bytes(os.urandom(2_000_000))
    heard: list[bytes] = []
    raw = ["-f", "s16le", "-ar", "24000", "-ac", "1"]
    run([*raw, "-i", str(source), *raw, "pipe:1"], sink=heard.append)
    assert b"".join(heard) == source.read_bytes()


def test_a_talkative_log_blocks_nothing() -> None:
    """Megabytes on standard error while it is fed neither block it nor pile up."""
    log = run(
        ["-loglevel", "trace", *PCM, "-af", "ashowinfo", "-f", "null", "-"], blocks=seconds(600)
    )
    assert 0 < len(log) < 1_000_000


def test_feeding_and_reading_at_once_is_refused() -> None:
    """Each would wait for the other."""
    with pytest.raises(ValueError, match="not both"):
        run([*PCM, "-f", "s16le", "pipe:1"], blocks=seconds(1), sink=print)


@pytest.mark.parametrize("count", [0, 1, 600])
def test_the_reason_of_a_failure_is_quoted(count: int) -> None:
    """However much is still to be fed, the error is FFmpeg's own, not a broken pipe."""
    with pytest.raises(AudioError, match="nonsense"):
        run([*PCM, "-af", "nonsense=1", "-f", "null", "-"], blocks=seconds(count))


def test_ending_before_the_input_is_a_failure() -> None:
    """FFmpeg that stops listening half-way has not done its work, whatever its exit code."""
    with pytest.raises(AudioError):
        run([*PCM, "-t", "1", "-f", "null", "-"], blocks=seconds(600))


@pytest.mark.usefixtures("no_process_left")
@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, BrokenPipeError])
def test_nothing_stays_behind(kind: type[BaseException], tmp_path: Path) -> None:
    """Whatever goes wrong while it is fed goes on as it is, and the process is gone."""

    def blocks() -> Iterator[bytes]:
        yield from seconds(20)
        raise kind("from the store")

    with pytest.raises(kind, match="from the store"):
        run([*PCM, "-f", "s16le", str(tmp_path / "out.raw")], blocks=blocks())


@pytest.mark.usefixtures("no_process_left")
def test_a_reader_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """The same holds where its output is read."""

    def sink(data: bytes) -> None:
        raise RuntimeError("enough")

    source = tmp_path / "in.raw"
    source.write_bytes(bytes(5_000_000))
    raw = ["-f", "s16le", "-ar", "24000", "-ac", "1"]
    with pytest.raises(RuntimeError, match="enough"):
        run([*raw, "-i", str(source), *raw, "pipe:1"], sink=sink)


def test_it_inherits_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is not handed down: neither credentials nor FFmpeg's own switches."""
    program(tmp_path, f'env > "{tmp_path}/environment"; exec "{find_ffmpeg()}" "$@"')
    find_ffmpeg.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("MINIO_SECRET_KEY", "do-not-tell")
    monkeypatch.setenv("FFREPORT", f"file={tmp_path}/report.log")
    run([*PCM, "-f", "null", "-"], blocks=seconds(1))
    assert "do-not-tell" not in (tmp_path / "environment").read_text()
    assert not (tmp_path / "report.log").exists()


def test_the_network_is_out_of_reach() -> None:
    """Inputs are local files and pipes only."""
    with pytest.raises(AudioError, match="whitelist"):
        run([*LOCAL_ONLY, "-i", "http://127.0.0.1:9/a.mp3", "-f", "null", "-"])
