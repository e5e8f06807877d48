"""The embedded store, with real processes that come, go and are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from darkchannel.config import Buckets, Credentials
from darkchannel.storage.embedded import embedded_store, ensure_running, environment, find_server
from darkchannel.storage.embedded_folder import StoreFolder
from darkchannel.storage.embedded_ports import choose_ports, port_numbers
from darkchannel.storage.embedded_server import Server, end_leftover
from tests.storage.embedded_processes import (
    User,
    get,
    is_gone,
    processes,
    put,
    server,
    supervisor,
    wait_for,
)


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

    def test_sockets_of_an_earlier_server_are_removed(self, data_dir: Path) -> None:
        """What a killed server of the same ports left in /tmp does not outlive the next one."""
        folder, ports = StoreFolder.create(data_dir), choose_ports()
        stale = Path(f"/tmp/seaweedfs-stale-{ports['s3.port']}.sock")
        stale.touch()
        with folder.log.open("ab") as log:
            server = Server.start(
                find_server(), folder.objects, ports, Credentials("a", "b"), log.fileno()
            )
        assert not stale.exists()
        server.stop()

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
