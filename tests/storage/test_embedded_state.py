"""What is known of an embedded store, and what others are told of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.config import Buckets, Credentials, Settings, StoreConfig
from darkchannel.storage.embedded import embedded_store, environment
from darkchannel.storage.embedded_folder import ServerState, StoreFolder
from darkchannel.storage.embedded_ports import PORT_NAMES
from tests.storage.embedded_processes import put

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


@pytest.mark.parametrize(
    "change",
    [
        {"access_key": ""},
        {"access_key": "a b"},
        {"secret_key": "nul\0"},
        {"secret_key": 7},
        {"ports": {}},
        {"ports": {"s3.port": 9000}},
        {"ports": dict.fromkeys(PORT_NAMES, 0)},
        {"ports": dict.fromkeys(PORT_NAMES, 65536)},
        {"ports": dict.fromkeys(PORT_NAMES, float("inf"))},
        {"pid": float("inf")},
        {"pid": "one"},
    ],
)
def test_one_wrong_field_spoils_the_note(change: dict[str, object], tmp_path: Path) -> None:
    """A note is believed as it was written, and not at all with one field that cannot be."""
    folder = StoreFolder(tmp_path)
    state = ServerState(Credentials("a", "b"), dict.fromkeys(PORT_NAMES, 9000), True, 1)
    folder.write_state(state)
    assert folder.read_state() == state
    note = tmp_path / "server.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | change))
    assert folder.read_state() is None


def test_a_broken_note_is_replaced(data_dir: Path) -> None:
    """A server.json full of garbage costs the old credentials and nothing else."""
    folder = StoreFolder.create(data_dir)
    (folder.path / "server.json").write_bytes(b"\x00garbage")
    with embedded_store(data_dir) as config:
        put(environment(config), "x", b"1")
        assert config.credentials.access_key.isalnum()
        assert len(config.credentials.secret_key) == 40


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
