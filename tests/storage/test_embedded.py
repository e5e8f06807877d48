"""The embedded store, with real servers and real processes that come, go and are killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.config import Buckets, Credentials, Settings, StoreConfig
from darkchannel.errors import (
    OutputError,
    StoreAccessError,
    StoreFullError,
    StoreUnavailableError,
)
from darkchannel.storage import embedded, embedded_server
from darkchannel.storage.embedded import (
    embedded_store,
    ensure_running,
    environment,
    find_server,
)
from darkchannel.storage.embedded_folder import FileLock, StoreFolder
from darkchannel.storage.embedded_ports import choose_ports, port_numbers
from darkchannel.storage.embedded_server import Server, end_leftover

BUCKET = "darkchannel-jobs"
GONE_SECONDS = 8.0
"""Linger, orderly end and a busy machine."""

USER = """
import json, sys
from pathlib import Path
from darkchannel.storage.embedded import embedded_store, environment
with embedded_store(Path(sys.argv[1])) as config:
    assert "boto3" not in sys.modules
    print(json.dumps(environment(config)), flush=True)
    sys.stdin.readline()
"""


class User:
    """A process that uses the store until it is told to leave, or killed."""

    def __init__(self, data_dir: Path, script: str = USER, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        self._answer: dict[str, str] | None = None

    @property
    def env(self) -> dict[str, str]:
        """What it was told about the store; waits until it was."""
        if self._answer is None:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, "the user process failed"
            self._answer = json.loads(line)
        return self._answer

    def leave(self) -> int:
        """End in order."""
        self.process.communicate("\n", timeout=30)
        return self.process.returncode

    def kill(self) -> None:
        """End at once."""
        self.process.kill()
        self.process.communicate()


def processes(data_dir: Path) -> list[psutil.Process]:
    """Supervisors and servers of a data directory."""
    store = str(data_dir / "store")
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            arguments = process.cmdline()
            is_server = "mini" in arguments and process.cwd() == f"{store}/objects"
            if is_server or (store in arguments and "-m" in arguments):
                found.append(process)
    return found


def server(data_dir: Path) -> psutil.Process:
    """The one server of a data directory."""
    (found,) = [process for process in processes(data_dir) if "mini" in process.cmdline()]
    return found


def supervisor(data_dir: Path) -> psutil.Process:
    """The one supervisor of a data directory."""
    (found,) = [process for process in processes(data_dir) if "-m" in process.cmdline()]
    return found


def wait_for(condition: Callable[[], object], seconds: float = GONE_SECONDS) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def is_gone(data_dir: Path) -> bool:
    """Whether all processes of a store end in time."""
    return wait_for(lambda: not processes(data_dir))


def s3(env: dict[str, str]) -> Any:
    """A client with what another program would get from the environment."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=env["MINIO_ENDPOINT"],
        aws_access_key_id=env["MINIO_ACCESS_KEY"],
        aws_secret_access_key=env["MINIO_SECRET_KEY"],
        region_name=env["MINIO_REGION"],
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=3,
            retries={"total_max_attempts": 10, "mode": "standard"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def put(env: dict[str, str], key: str, body: bytes) -> None:
    """Write an object into a bucket that is made if need be."""
    client = s3(env)
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key=key, Body=body)


def get(env: dict[str, str], key: str) -> bytes:
    """Read it back."""
    body: bytes = s3(env).get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body


def status_of(url: str, method: str = "GET", body: bytes | None = None) -> int:
    """How a request without any credentials is answered."""
    try:
        request = urllib.request.Request(url, data=body, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def made() -> Iterator[list[Path]]:
    """Every data directory of this module: at its end no process may be left of any."""
    data_dirs: list[Path] = []
    yield data_dirs
    wait_for(lambda: not any(processes(data_dir) for data_dir in data_dirs))
    left = [process for data_dir in data_dirs for process in processes(data_dir)]
    descriptions = [(process.pid, process.cmdline()) for process in left]
    for process in left:
        process.kill()
    assert not descriptions


@pytest.fixture
def data_dir(tmp_path: Path, made: list[Path]) -> Path:
    """A data directory of a name that is hard on programs."""
    made.append(tmp_path / "a b,ção")
    return made[-1]


@pytest.fixture
def join(data_dir: Path) -> Iterator[Callable[..., User]]:
    """Starts users of the data directory, and kills those that are left."""
    users: list[User] = []

    def start(**options: Any) -> User:
        users.append(User(data_dir, **options))
        return users[-1]

    yield start
    for user in users:
        user.kill()


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, made: list[Path]
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A store with one object, for tests that only look at it, and its environment."""
    made.append(tmp_path_factory.mktemp("running"))
    user = User(made[-1], env={**os.environ, "DEEP_SECRET": "not for the store"})
    put(user.env, "a/b", b"kept")
    yield made[-1], user.env
    assert user.leave() == 0


class TestWhoMayReachIt:
    def test_signed_requests_are_served(self, running: tuple[Path, dict[str, str]]) -> None:
        """An object written with the credentials given is read back."""
        assert get(running[1], "a/b") == b"kept"

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_unsigned_requests_are_refused(
        self, running: tuple[Path, dict[str, str]], method: str
    ) -> None:
        """Nobody reads, writes or deletes an object without the credentials."""
        _, env = running
        body = b"x" if method == "PUT" else None
        assert status_of(f"{env['MINIO_ENDPOINT']}/{BUCKET}/a/b", method, body) == 403
        assert get(env, "a/b") == b"kept"

    @pytest.mark.parametrize(
        ("port", "path"),
        [
            ("filer.port", "/"),
            ("filer.port", f"/buckets/{BUCKET}/a/b"),
            ("filer.port", "/?recursive=true"),
            ("master.port", "/dir/assign"),
            ("master.port", "/dir/status"),
            ("master.port", f"/col/delete?collection={BUCKET}"),
            ("volume.port", "/1,01637037d6"),
            ("volume.port", "/ui/index.html"),
            ("admin.port", "/"),
            ("admin.port", "/api/users"),
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_no_side_door_is_open(
        self, running: tuple[Path, dict[str, str]], port: str, path: str, method: str
    ) -> None:
        """The server's inner HTTP services give and take nothing without its own token."""
        state = StoreFolder(running[0] / "store").read_state()
        assert state is not None
        body = b"x" if method == "POST" else None
        status = status_of(f"http://127.0.0.1:{state.ports[port]}{path}", method, body)
        assert 400 <= status < 500

    def test_it_listens_on_this_machine_only(self, running: tuple[Path, dict[str, str]]) -> None:
        """Every port is bound to 127.0.0.1 and is one of those that were chosen."""
        state = StoreFolder(running[0] / "store").read_state()
        assert state is not None
        listening = [
            connection.laddr
            for connection in server(running[0]).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert {address.ip for address in listening} == {"127.0.0.1"}
        assert {address.port for address in listening} == set(port_numbers(state.ports))

    def test_files_are_private(self, running: tuple[Path, dict[str, str]]) -> None:
        """Neither the folder, nor a file of ours in it, nor a socket is open to another user."""
        store = running[0] / "store"
        state = StoreFolder(store).read_state()
        assert state is not None
        sockets = [
            path
            for number in port_numbers(state.ports)
            for path in Path("/tmp").glob(f"seaweedfs-*-{number}.sock")
        ]
        assert sockets
        private = [store, *store.iterdir(), *sockets]
        assert [path for path in private if path.stat().st_mode & 0o077] == []

    def test_secrets_stay_where_they_belong(self, running: tuple[Path, dict[str, str]]) -> None:
        """The secret key is in no command line, log or representation."""
        data_dir, env = running
        secret = env["MINIO_SECRET_KEY"]
        shown = [argument for process in processes(data_dir) for argument in process.cmdline()]
        assert not any(secret in argument for argument in shown)
        assert secret not in (data_dir / "store" / "server.log").read_text()
        assert secret not in repr(StoreFolder(data_dir / "store").read_state())

    @pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
    def test_the_users_environment_is_not_inherited(
        self, running: tuple[Path, dict[str, str]]
    ) -> None:
        """Whatever secrets the first user has in its environment, the store gets none of them."""
        assert len(processes(running[0])) == 2
        assert all("DEEP_SECRET" not in process.environ() for process in processes(running[0]))

    def test_a_missing_bucket_is_an_error(self, running: tuple[Path, dict[str, str]]) -> None:
        """A typo in a bucket's name is noticed, not made a new bucket."""
        client = s3(running[1])
        with pytest.raises(client.exceptions.NoSuchBucket):
            client.put_object(Bucket="darkchannel-jbos", Key="x", Body=b"")

    def test_a_bucket_with_objects_is_not_deleted(
        self, running: tuple[Path, dict[str, str]]
    ) -> None:
        """Deleting a bucket deletes no objects."""
        client = s3(running[1])
        with pytest.raises(client.exceptions.ClientError, match="BucketNotEmpty"):
            client.delete_bucket(Bucket=BUCKET)

    def test_another_users_folder_is_refused(
        self, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A store that belongs to somebody else is not used."""
        StoreFolder.create(data_dir)
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        with pytest.raises(StoreAccessError, match="belongs to another user"):
            ensure_running(data_dir)

    def test_a_folder_open_to_others_is_closed(self, data_dir: Path) -> None:
        """A folder restored with loose permissions is made private again."""
        (data_dir / "store").mkdir(parents=True, mode=0o755)
        assert StoreFolder.create(data_dir).path.stat().st_mode & 0o777 == 0o700


class TestSharing:
    @pytest.mark.slow
    def test_all_users_share_one_server(self, join: Callable[..., User], data_dir: Path) -> None:
        """Ten processes that start in the same instant get one and the same server."""
        users = [join() for _ in range(10)]
        assert len({tuple(user.env.items()) for user in users}) == 1
        assert len(processes(data_dir)) == 2
        for user in users[:-1]:
            user.kill()
        put(users[-1].env, "x", b"still there")
        time.sleep(2)
        assert get(users[-1].env, "x") == b"still there"
        users[-1].kill()
        assert is_gone(data_dir)

    def test_the_last_user_may_be_killed(self, join: Callable[..., User], data_dir: Path) -> None:
        """Once all users are killed, server and supervisor end, and leave no socket behind."""
        users = [join(), join()]
        assert users[0].env == users[1].env
        state = StoreFolder(data_dir / "store").read_state()
        assert state is not None
        for user in users:
            user.kill()
        assert is_gone(data_dir)
        sockets = {path.stem.rpartition("-")[2] for path in Path("/tmp").glob("seaweedfs-*.sock")}
        assert not sockets & {str(number) for number in port_numbers(state.ports)}

    def test_control_c_does_not_reach_the_server(
        self, join: Callable[..., User], data_dir: Path
    ) -> None:
        """An interrupt of the first user's whole process group leaves the others their store."""
        first = join(start_new_session=True, stderr=subprocess.DEVNULL)
        first.env  # noqa: B018  (waits)
        second = join()
        assert second.env == first.env
        os.killpg(first.process.pid, signal.SIGINT)
        first.process.wait(10)
        time.sleep(2)
        put(second.env, "x", b"1")
        assert server(data_dir).is_running()

    def test_a_child_that_outlives_its_parent_is_no_user(self, data_dir: Path) -> None:
        """Neither a forked nor a started child keeps the store up after its parent's end."""
        script = """
import os, subprocess, sys, time
from pathlib import Path
from darkchannel.storage.embedded import embedded_store
with embedded_store(Path(sys.argv[1])):
    started = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
    forked = os.fork()
    if not forked:
        os.close(1)
        time.sleep(60)
    print(started.pid, forked, flush=True)
    os.kill(os.getpid(), 9)
"""
        parent = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, str(data_dir)],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        children = [psutil.Process(int(pid)) for pid in parent.stdout.split()]
        try:
            assert len(children) == 2
            assert all(child.is_running() for child in children)
            assert is_gone(data_dir)
            assert all(child.is_running() for child in children)
        finally:
            for child in children:
                child.kill()

    def test_a_child_does_not_end_its_parents_use(self, data_dir: Path) -> None:
        """A forked child that leaves the context leaves the parent's store alone."""
        script = """
import os, sys, time
from pathlib import Path
from darkchannel.storage.embedded import embedded_store, ensure_running
with embedded_store(Path(sys.argv[1])) as config:
    forked = os.fork()
    if forked:
        os.waitpid(forked, 0)
        time.sleep(2)
        assert ensure_running(Path(sys.argv[1])).endpoint == config.endpoint
"""
        done = subprocess.run(
            [sys.executable, "-c", script, str(data_dir)], check=True, capture_output=True
        )
        assert done.stderr == b""
        assert (data_dir / "store" / "server.log").read_text().count("Starting SeaweedFS") == 1

    def test_it_may_be_opened_twice_in_one_process(self, data_dir: Path) -> None:
        """Leaving an inner context does not end the outer one's store."""
        with embedded_store(data_dir) as outer:
            with embedded_store(data_dir) as inner:
                assert inner == outer
            time.sleep(1.5)
            put(environment(outer), "x", b"1")

    def test_buckets_are_passed_on(self, running: tuple[Path, dict[str, str]]) -> None:
        """The configuration names the caller's buckets and where the data lies."""
        names = Buckets(jobs="my-jobs")
        with embedded_store(running[0], names) as config:
            assert config.buckets == names
            assert config.data_dir == running[0] / "store" / "objects"

    def test_finding_it_is_quick(self, running: tuple[Path, dict[str, str]]) -> None:
        """A running store is found in milliseconds (measured: 2; allowed on a busy machine: 20)."""
        times = []
        for _ in range(20):
            begin = time.perf_counter()
            with embedded_store(running[0]):
                times.append(time.perf_counter() - begin)
        assert min(times) < 0.02


class TestComingBack:
    def test_a_killed_server_comes_back(self, join: Callable[..., User], data_dir: Path) -> None:
        """After kill -9 of the server it answers again at the same address, with its data."""
        user = join()
        bodies = {f"k{i}": os.urandom(50_000) for i in range(20)}
        for key, body in bodies.items():
            put(user.env, key, body)
        server(data_dir).kill()
        assert {key: get(user.env, key) for key in bodies} == bodies
        assert join().env == user.env

    def test_a_killed_supervisor_takes_the_server_along(
        self, join: Callable[..., User], data_dir: Path
    ) -> None:
        """After kill -9 of the supervisor nothing is left; asking brings all of it back."""
        user = join()
        put(user.env, "x", b"1")
        supervisor(data_dir).kill()
        if sys.platform == "linux":
            assert wait_for(lambda: not processes(data_dir), 2)
        assert environment(ensure_running(data_dir)) == user.env
        assert get(user.env, "x") == b"1"
        assert len(processes(data_dir)) == 2
        user.kill()
        assert is_gone(data_dir)

    def test_a_server_left_behind_is_ended(self, data_dir: Path) -> None:
        """Where the kernel does not end an orphaned server, the next start does."""
        folder = StoreFolder.create(data_dir)
        ports = choose_ports()
        with folder.log.open("ab") as log:
            left = Server.start(
                find_server(), folder.objects, ports, Credentials("a", "b"), log.fileno()
            )
        end_leftover(left.pid, {**ports, "s3.port": 1})
        assert left.exit_code is None
        end_leftover(left.pid, ports)
        assert wait_for(lambda: left.exit_code == -signal.SIGKILL, 1)

    @pytest.mark.slow
    def test_data_survive_a_change_of_ports(self, data_dir: Path) -> None:
        """The address is kept while it is free; without it all objects are at the new one."""
        bodies = {f"k{i}": os.urandom(50_000) for i in range(20)}
        with embedded_store(data_dir) as first:
            for key, body in bodies.items():
                put(environment(first), key, body)
        assert is_gone(data_dir)
        with embedded_store(data_dir) as second:
            assert second == first
            assert get(environment(second), "k0") == bodies["k0"]
        assert is_gone(data_dir)
        port = int(first.endpoint.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)), embedded_store(data_dir) as third:
            assert third.endpoint != first.endpoint
            assert third.credentials == first.credentials
            new = {f"new-{key}": os.urandom(50_000) for key in bodies}
            for key, body in new.items():
                put(environment(third), key, body)
            assert {key: get(environment(third), key) for key in bodies | new} == bodies | new

    def test_a_stale_note_is_not_believed(self, data_dir: Path) -> None:
        """Where server.json names a live process and port of others, these are left alone."""
        folder = StoreFolder.create(data_dir)
        with socket.create_server(("127.0.0.1", 0)) as alien:
            raw = {
                "access_key": "kept",
                "secret_key": "keptkept",
                "ports": {**choose_ports(), "s3.port": alien.getsockname()[1]},
                "ready": True,
                "pid": os.getpid(),
            }
            (folder.path / "server.json").write_text(json.dumps(raw))
            with embedded_store(data_dir) as config:
                assert config.endpoint != f"http://127.0.0.1:{alien.getsockname()[1]}"
                assert config.credentials == Credentials("kept", "keptkept")
                put(environment(config), "x", b"1")

    def test_a_store_that_was_removed_is_given_up(
        self, join: Callable[..., User], data_dir: Path
    ) -> None:
        """Once its folder is gone, a server ends, whoever uses it; the next begins afresh."""
        user = join()
        user.env  # noqa: B018  (waits)
        old = server(data_dir)
        shutil.rmtree(data_dir)
        assert wait_for(lambda: not old.is_running())
        with embedded_store(data_dir) as config:
            assert config.credentials.access_key != user.env["MINIO_ACCESS_KEY"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
NAMES = ("access_key", "secret_key", "ports", "ready", "pid")


@given(
    content=st.binary(max_size=200)
    | st.just(b"[" * 60_000)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(dict.fromkeys(NAMES, JSON)).map(lambda v: json.dumps(v).encode())
)
def test_no_note_can_break_the_reader(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever server.json holds, reading it says either all that is needed or nothing."""
    folder = StoreFolder(tmp_path_factory.getbasetemp())
    (folder.path / "server.json").write_bytes(content)
    assert folder.read_state() is None


def test_a_broken_note_is_replaced(data_dir: Path) -> None:
    """A server.json full of garbage costs the old credentials and nothing else."""
    folder = StoreFolder.create(data_dir)
    (folder.path / "server.json").write_bytes(b"\x00garbage")
    with embedded_store(data_dir) as config:
        put(environment(config), "x", b"1")
        assert config.credentials.access_key.isalnum()
        assert len(config.credentials.secret_key) == 40


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
from tests.storage.test_embedded import s3
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


KEYS = st.builds(Credentials, *[st.text("abcXYZ019", min_size=1)] * 2)
CONFIGS = st.builds(
    StoreConfig,
    endpoint=st.integers(1, 65535).map("http://127.0.0.1:{}".format),
    credentials=KEYS,
    public_endpoint=st.none() | st.just("https://books.example.org"),
    link_credentials=st.none() | KEYS,
    region=st.sampled_from(["us-east-1", "sa-east-1"]),
    buckets=st.builds(Buckets, *[st.from_regex("[a-z]{3,9}", fullmatch=True)] * 4)
    | st.just(Buckets()),
)


@given(config=CONFIGS)
def test_the_environment_is_read_back(config: StoreConfig) -> None:
    """Another program with this environment uses the same store in the same way."""
    assert Settings.from_environment(environment(config)).store == config


def test_default_names_are_left_out() -> None:
    """The environment of an ordinary store has four names."""
    config = StoreConfig("http://127.0.0.1:9", Credentials("a", "b"))
    assert sorted(environment(config)) == [
        "MINIO_ACCESS_KEY",
        "MINIO_ENDPOINT",
        "MINIO_REGION",
        "MINIO_SECRET_KEY",
    ]
