"""Who can reach the embedded store, and who cannot."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from darkchannel.errors import StoreAccessError
from darkchannel.storage.embedded import ensure_running
from darkchannel.storage.embedded_folder import StoreFolder
from darkchannel.storage.embedded_ports import port_numbers
from tests.storage.embedded_processes import BUCKET, get, processes, s3, server, status_of


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
