"""API keys: kept as hashes, compared, limited, taken away."""

from __future__ import annotations

import io
import json
import logging
import time
from pathlib import Path

import pytest

from darkchannel.api import logs
from darkchannel.api.application import Service
from darkchannel.api.keys import Bucket, KeyFile, Keyring, require_keys_off_loopback
from darkchannel.errors import InputError, SettingError
from tests.api.running import running_app, settings_in
from tests.api.test_application import app_of


def test_a_key_opens_and_no_other_does(tmp_path: Path) -> None:
    """With a key in the file every path but health asks for it; the log names it by its name."""
    settings = settings_in(tmp_path)
    key = KeyFile(settings.http.keys_file).add("press")
    service = Service.from_settings(settings)
    stream, root = io.StringIO(), logging.getLogger()
    before, level = root.handlers[:], root.level
    with running_app(app_of(service), service) as running:
        logs.configure(stream)
        for given in ({}, {"Authorization": f"Bearer {key}x"}, {"Authorization": f"Basic {key}"}):
            refused = running.client.get("/errors/missing", headers=given)
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"] == "Bearer"
        right = {"Authorization": f"bearer {key}", "Host": "any.example"}
        assert running.client.get("/errors/missing", headers=right).status_code == 404
        assert running.client.get("/healthz").status_code == 200
    root.handlers[:], root.level = before, level
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["key"] for line in lines if line.get("status") == 404] == ["press"]
    assert key not in stream.getvalue()


def test_a_key_may_not_be_used_without_end(tmp_path: Path) -> None:
    """Beyond its rate a key gets 429 with Retry-After; another key is not held up."""
    settings = settings_in(tmp_path, rate=0.5)
    file = KeyFile(settings.http.keys_file)
    greedy, modest = ({"Authorization": f"Bearer {file.add(name)}"} for name in ("a", "b"))
    service = Service.from_settings(settings)
    with running_app(app_of(service), service) as running:
        running.client.get("/errors/missing", headers=greedy)
        refused = running.client.get("/errors/missing", headers=greedy)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 3
        assert running.client.get("/errors/missing", headers=modest).status_code == 404


def test_tokens_come_back_with_time() -> None:
    """A bucket gives two seconds' worth at once, then as many as time brings."""
    now = 0.0
    bucket = Bucket(2.0, lambda: now)
    assert [bucket.take() for _ in range(5)] == [0, 0, 0, 0, 0.5]
    now = 0.5
    assert [bucket.take() for _ in range(2)] == [0, 0.5]


def test_only_a_hash_is_kept(tmp_path: Path) -> None:
    """The file does not hold the key, nobody else may read it, and names are unique."""
    file = KeyFile(tmp_path / "deep" / "keys")
    key = file.add("press")
    assert key.startswith("dck_")
    assert len(key) > 40
    assert key not in file.path.read_text()
    assert file.path.stat().st_mode & 0o077 == 0
    with pytest.raises(InputError, match="already"):
        file.add("press")
    with pytest.raises(InputError, match="no name"):
        file.add("a:b\n")


def test_a_key_taken_out_stops_working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running service follows its file, and an emptied file lets nobody in."""
    monkeypatch.setattr("darkchannel.api.keys._LOOK_AGAIN_SECONDS", 0.0)
    file = KeyFile(tmp_path / "keys")
    key = file.add("press")
    keyring = Keyring(file)
    assert keyring.name_of(key) == "press"
    other = file.add("other")
    assert keyring.name_of(other) == "other"
    file.remove("other")
    file.remove("press")
    time.sleep(0.01)
    assert keyring.name_of(key) is None
    assert not keyring.is_empty


def test_others_are_let_in_only_with_keys(tmp_path: Path) -> None:
    """A service without keys listens on loopback and nowhere else."""
    file = KeyFile(tmp_path / "keys")
    for host in ("127.0.0.1", "::1", "localhost"):
        require_keys_off_loopback(host, Keyring(file))
    for host in ("0.0.0.0", "::", "192.168.0.9", "example.org", ""):
        with pytest.raises(SettingError, match="API key"):
            require_keys_off_loopback(host, Keyring(file))
    file.add("press")
    require_keys_off_loopback("0.0.0.0", Keyring(file))


@pytest.mark.parametrize("text", ["press", "press:abc", ":" + "0" * 64, "a b:" + "0" * 64])
def test_a_broken_file_of_keys_is_named(tmp_path: Path, text: str) -> None:
    """A line that is no name and hash is an error with its number, not a key lost."""
    (tmp_path / "keys").write_text(f"# keys\n{text}\n")
    with pytest.raises(SettingError, match="line 2"):
        Keyring(KeyFile(tmp_path / "keys"))
