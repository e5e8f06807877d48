"""What users of the embedded store hear when it cannot run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from darkchannel.errors import OutputError, StoreFullError, StoreUnavailableError
from darkchannel.storage import embedded, embedded_server
from darkchannel.storage.embedded import embedded_store, ensure_running, find_server
from darkchannel.storage.embedded_folder import FileLock, StoreFolder
from tests.storage.embedded_processes import is_gone, processes, wait_for


def fake_server(tmp_path: Path, body: str) -> Path:
    """A program in the place of the server."""
    program = tmp_path / "weed"
    program.write_text(f"#!{sys.executable}\nimport os, socket, sys, time\n{body}")
    program.chmod(0o755)
    return program


ANSWERING = """
port = next(a.partition("=")[2] for a in sys.argv if a.startswith("-s3.port="))
listener = socket.create_server(("127.0.0.1", int(port)))
while True:
    connection, _ = listener.accept()
    connection.recv(999)
    connection.sendall(b"HTTP/1.1 403 Forbidden\\r\\n\\r\\n")
    connection.close()
    listener.settimeout(LASTS)
"""


class TestFailures:
    @pytest.fixture
    def replace_server(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[str], None]:
        """Puts a program of these lines in the server's place."""

        def replace(body: str) -> None:
            program = fake_server(tmp_path, body)
            monkeypatch.setattr(embedded_server, "find_server", lambda: program)

        return replace

    def test_a_server_that_ends_at_once_is_quoted(
        self, data_dir: Path, replace_server: Callable[[str], None]
    ) -> None:
        """Where the server does not start, the error has its last error and where to look."""
        replace_server("sys.exit('F1122 10:00:00 the moon is full\\nbye')")
        with (
            pytest.raises(StoreUnavailableError, match="the moon is full") as caught,
            embedded_store(data_dir),
        ):
            pass
        assert "server.log" in caught.value.remedy
        assert "MINIO_ENDPOINT" in caught.value.remedy
        assert is_gone(data_dir)

    def test_a_server_that_never_answers_is_given_up(
        self, data_dir: Path, replace_server: Callable[[str], None]
    ) -> None:
        """After the time allowed its user gets an error, and nothing is left behind."""
        replace_server("time.sleep(60)")
        begin = time.monotonic()
        with (
            pytest.raises(StoreUnavailableError, match="answer"),
            embedded_store(data_dir, start_timeout=1.0),
        ):
            pass
        assert time.monotonic() - begin < 3
        assert is_gone(data_dir)

    @pytest.mark.slow
    def test_a_server_that_keeps_dying_is_given_up(
        self, data_dir: Path, replace_server: Callable[[str], None]
    ) -> None:
        """A server that dies again and again is not started for ever, and the log says why."""
        replace_server(ANSWERING.replace("LASTS", "0.3"))
        with embedded_store(data_dir):
            assert wait_for(lambda: not processes(data_dir), 60)
        assert "died 6 times" in (data_dir / "store" / "server.log").read_text()

    def test_the_log_is_bounded(
        self, data_dir: Path, replace_server: Callable[[str], None]
    ) -> None:
        """A server that talks without end fills no disk."""
        replace_server(
            "import threading\n"
            "def talk():\n"
            "    while True: os.write(1, b'x' * 99_999 + b'\\n'); time.sleep(0.002)\n"
            "threading.Thread(target=talk, daemon=True).start()\n"
            + ANSWERING.replace("LASTS", "60")
        )
        log = data_dir / "store" / "server.log"
        with embedded_store(data_dir):
            assert wait_for(log.with_suffix(".log.1").exists, 20)
        assert is_gone(data_dir)
        # What comes in between two looks is the price of not standing in between.
        assert log.stat().st_size < 40 * 2**20

    def test_a_missing_program_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without SeaweedFS the error says what to install, and what to do instead."""
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        monkeypatch.setattr(embedded_server, "_packaged_program", lambda: None)
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(StoreUnavailableError, match="weed") as caught:
            find_server()
        assert "darkchannel[store]" in caught.value.remedy
        assert "MINIO_ENDPOINT" in caught.value.remedy

    def test_the_program_is_found_by_its_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The program is found where its package was installed, whatever runs Python."""
        beside = find_server()
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        monkeypatch.setenv("PATH", "/nowhere")
        assert find_server().samefile(beside)

    def test_the_program_is_found_on_the_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A SeaweedFS of the system serves as well."""
        program = fake_server(tmp_path, "")
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        monkeypatch.setattr(embedded_server, "_packaged_program", lambda: None)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert find_server() == program

    def test_other_systems_are_told(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Where there are no such locks, the error names another way."""
        monkeypatch.setattr(embedded, "os", SimpleNamespace(name="nt"))
        with pytest.raises(StoreUnavailableError, match="Linux and macOS") as caught:
            ensure_running(tmp_path)
        assert "MINIO_ENDPOINT" in caught.value.remedy

    def test_a_file_in_the_way_is_an_error(self, tmp_path: Path) -> None:
        """A data directory that cannot be one is bad input."""
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot be written") as caught:
            ensure_running(tmp_path / "file" / "below")
        assert "DARKCHANNEL_DATA_DIR" in caught.value.remedy

    def test_a_server_that_does_not_end_is_waited_for(self, data_dir: Path) -> None:
        """While an old server is being stopped a new user waits, but not for ever."""
        stopping = FileLock.acquire(StoreFolder.create(data_dir).users_lock)
        assert stopping is not None
        with (
            pytest.raises(StoreUnavailableError, match="being stopped"),
            embedded_store(data_dir, start_timeout=0.1),
        ):
            pass
        stopping.release()


def on_small_disk(mountpoint: Path, options: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script with a small file system of its own, which vanishes with it."""
    mountpoint.mkdir()
    namespace = ["unshare", "--mount"] + (["--map-root-user"] if os.geteuid() else [])
    mount = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"'
    command = [*namespace, "sh", "-c", mount, str(mountpoint), sys.executable, "-c", script]
    command.append(str(mountpoint))
    return subprocess.run(command, capture_output=True, text=True, check=False)


def can_mount() -> bool:
    """Whether this machine lets us have a file system of our own."""
    flags = ["--mount"] + (["--map-root-user"] if os.geteuid() else [])
    probe = ["unshare", *flags, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a file system")
class TestSmallDisks:
    @pytest.mark.slow
    def test_four_buckets_fit(self, tmp_path: Path, made: list[Path]) -> None:
        """A disk of 300 MB holds four buckets in next to nothing, and then their objects."""
        made.append(tmp_path / "disk")
        script = """
import os, sys
from pathlib import Path
from darkchannel.storage.embedded import embedded_store, environment
sys.path.insert(0, os.getcwd())
from tests.storage.embedded_processes import s3
data_dir = Path(sys.argv[1])
with embedded_store(data_dir) as config:
    client = s3(environment(config))
    for bucket in config.buckets:
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="k", Body=b"1")
    print(sum(file.stat().st_blocks * 512 for file in data_dir.rglob("*")))
    for n in range(40):
        client.put_object(Bucket=config.buckets.temp, Key=f"{n}", Body=os.urandom(5_000_000))
"""
        done = on_small_disk(made[-1], "size=300m", script)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) < 4 * 2**20

    TRY = """
import sys
from pathlib import Path
from darkchannel.errors import DarkChannelError
from darkchannel.storage.embedded import embedded_store
def attempt():
    try:
        with embedded_store(Path(sys.argv[1])):
            print("started")
    except DarkChannelError as error:
        print(type(error).__name__, error.remedy)
"""

    def test_a_full_disk_is_named(self, tmp_path: Path, made: list[Path]) -> None:
        """Without space the error says so, and with space the store starts."""
        made.append(tmp_path / "disk")
        script = """
ballast = Path(sys.argv[1], "ballast")
with ballast.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(b"x" * 4096)
    except OSError:
        pass
attempt()
ballast.unlink()
attempt()
"""
        done = on_small_disk(made[-1], "size=20m", self.TRY + script)
        assert done.returncode == 0, done.stderr
        full, free = done.stdout.splitlines()
        assert full.startswith(StoreFullError.__name__)
        assert "free some" in full
        assert free == "started"

    def test_a_read_only_disk_is_named(self, tmp_path: Path, made: list[Path]) -> None:
        """A data directory that cannot be written is bad input, with a remedy."""
        made.append(tmp_path / "disk")
        done = on_small_disk(made[-1], "size=20m,ro", self.TRY + "attempt()")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(OutputError.__name__)
        assert "DARKCHANNEL_DATA_DIR" in done.stdout
