"""The S3 client, without a server, or with one that is not what it should be."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from darkchannel.config import Credentials, StoreConfig
from darkchannel.errors import SettingError, StoreError, StoreUnavailableError
from darkchannel.storage.client import MinIOClient
from tests.servers import free_ports

CREDENTIALS = Credentials("key", "a-very-secret-one")


def at(port: int) -> StoreConfig:
    """A store on this machine."""
    return StoreConfig(f"http://127.0.0.1:{port}", CREDENTIALS)


@pytest.fixture
def black_hole() -> Iterator[StoreConfig]:
    """A server whose connections are neither taken nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # A full backlog: Linux then drops further attempts without a word.
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield at(listener.getsockname()[1])
        for filler in fillers:
            filler.close()


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    """Importing the package, which every command does, loads no S3 library."""
    code = (
        "import sys, darkchannel.storage as storage\n"
        "assert not any('boto' in name for name in sys.modules)\n"
        "from darkchannel.storage import JobManager, MinIOClient\n"
        "assert MinIOClient.__name__ == 'MinIOClient' and JobManager.__name__ == 'JobManager'\n"
        "assert 'boto3' not in sys.modules\n"
        "try: storage.nothing\n"
        "except AttributeError: print('fine')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_a_client_without_configuration_reads_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MINIO_ENDPOINT and its keys suffice; without them the remedy says how to get a store."""
    monkeypatch.delenv("MINIO_ENDPOINT", raising=False)
    with pytest.raises(SettingError) as caught:
        MinIOClient()
    assert "darkchannel store serve" in caught.value.remedy
    monkeypatch.setenv("MINIO_ENDPOINT", "http://127.0.0.1:9000")
    monkeypatch.setenv("MINIO_ACCESS_KEY", "key")
    monkeypatch.setenv("MINIO_SECRET_KEY", "secret")
    assert MinIOClient().config.endpoint == "http://127.0.0.1:9000"


def test_secrets_are_not_shown() -> None:
    """A client in a log names its server only."""
    client = MinIOClient(StoreConfig("http://user:hunter2@host:9000", CREDENTIALS))
    assert repr(client) == "MinIOClient('http://host:9000')"
    assert "secret" not in repr(client.config)


def verbs(client: MinIOClient) -> list[Callable[[], object]]:
    """One call of each kind."""
    return [
        client.ping,
        client.server_time,
        client.ensure_buckets,
        lambda: client.put("bucket", "key", b"x"),
        lambda: client.put("bucket", "key", b"x", if_none_match=True),
        lambda: client.get("bucket", "key"),
        lambda: next(client.list("bucket")),
    ]


def test_a_server_that_is_not_there_is_unavailable() -> None:
    """A refused connection is told as what it is, with the address, within seconds."""
    port = free_ports(1)[0]
    client = MinIOClient(at(port))
    started = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        errors = list(threads.map(_error_of, verbs(client)))
    assert time.monotonic() - started < 15
    for error in errors:
        assert isinstance(error, StoreUnavailableError)
        assert f"127.0.0.1:{port}" in str(error)
        assert "MINIO_ENDPOINT" in error.remedy


def _error_of(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return error
    return None


def test_a_server_that_takes_no_connection_is_given_up(black_hole: StoreConfig) -> None:
    """A firewall that drops packets costs seconds, not minutes."""
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        MinIOClient(black_hole, connect_timeout=0.5).ping()
    with pytest.raises(StoreUnavailableError):
        MinIOClient(black_hole, connect_timeout=0.5).get("bucket", "key")
    assert time.monotonic() - started < 10


def test_a_server_that_never_answers_is_given_up() -> None:
    """A hanging server costs a ping five seconds at most, and other calls their read timeout."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = at(listener.getsockname()[1])
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            MinIOClient(config).ping()
        assert 4 < time.monotonic() - started < 8
        with pytest.raises(StoreUnavailableError):
            MinIOClient(config, read_timeout=0.2).get("bucket", "key")


class _Page(BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"<!doctype html><p>hello", b"{}", b""])
def test_a_server_that_is_no_store_is_not_taken_for_one(body: bytes) -> None:
    """A web page on the port does not count as a store that is there."""
    page = type("Page", (_Page,), {"body": body})
    with ThreadingHTTPServer(("127.0.0.1", 0), page) as server:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        with pytest.raises((StoreError, StoreUnavailableError)):
            MinIOClient(at(server.server_port)).ping()
        server.shutdown()


def test_settings_meant_for_aws_change_nothing(
    store_config: StoreConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a profile, nor another endpoint, nor a proxy of the environment gets in between."""
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-else")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    client = MinIOClient(store_config)
    client.ensure_buckets()
    client.ping()


def test_a_client_travels_to_another_process(store_config: StoreConfig) -> None:
    """A pickled client, used before or not, works where it arrives."""
    client = MinIOClient(store_config, read_timeout=7)
    client.ensure_buckets()
    copy = pickle.loads(pickle.dumps(client))
    assert copy.config == client.config
    copy.ping()


def _child(client: MinIOClient, number: int) -> int:
    """In a forked child: 0 when its own reads are right, else 1; never returns to pytest."""
    try:
        for _ in range(20):
            if client.get(client.config.buckets.temp, f"fork/{number}").data != b"%d" % number:
                return 1
    except BaseException:  # noqa: BLE001 - the exit code tells
        return 2
    return 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_client_works_on_both_sides_of_a_fork(store_config: StoreConfig) -> None:
    """Parent and children reading at once never get each other's answers."""
    client = MinIOClient(store_config)
    client.ensure_buckets()
    for number in range(4):
        client.put(store_config.buckets.temp, f"fork/{number}", b"%d" % number)
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            os._exit(_child(client, number))
        children.append(child)
    assert _child(client, 3) == 0
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]


def test_many_threads_share_a_client(store_config: StoreConfig) -> None:
    """The first calls of eight threads, all at once, make one client that serves them all."""
    client = MinIOClient(store_config)
    barrier = threading.Barrier(8)

    def use(number: int) -> bool:
        barrier.wait()
        client.ensure_buckets()
        key = f"threads/{number}"
        client.put(store_config.buckets.temp, key, b"%d" % number)
        return client.get(store_config.buckets.temp, key).data == b"%d" % number

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(8)))
