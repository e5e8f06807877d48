"""``darkchannel store setup`` and ``store check``, as a user runs them."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from darkchannel.config import StoreConfig
from darkchannel.storage import MinIOClient
from tests.cli.conftest import Run
from tests.servers import own_buckets


@pytest.fixture
def elsewhere(store_config: StoreConfig) -> tuple[StoreConfig, dict[str, str]]:
    """A store that is not this machine's own, without buckets, and how to reach it."""
    config = own_buckets(store_config)
    names = dict(zip(("JOBS", "OUTPUT", "REFS", "TEMP"), config.buckets, strict=True))
    return config, {
        "MINIO_ENDPOINT": config.endpoint,
        "MINIO_ACCESS_KEY": config.credentials.access_key,
        "MINIO_SECRET_KEY": config.credentials.secret_key,
        **{f"MINIO_BUCKET_{purpose}": name for purpose, name in names.items()},
    }


def test_setup_says_what_it_made(run: Run, elsewhere: tuple[StoreConfig, dict[str, str]]) -> None:
    """One line for each thing: made at first, then found, and what S3 cannot do."""
    config, env = elsewhere
    first, second = run("store", "setup", env=env), run("store", "setup", env=env)
    assert (first.returncode, second.returncode) == (0, 0)
    for bucket in config.buckets:
        assert f"made bucket {bucket}\n" in first.stdout
        assert f"ok   bucket {bucket}\n" in second.stdout
    assert "\nmade" not in second.stdout
    assert "--   cannot: make users" in second.stdout


def test_check_fails_before_setup_and_says_so(
    run: Run, elsewhere: tuple[StoreConfig, dict[str, str]]
) -> None:
    """Exit code 1 with remedies; the check itself makes no bucket."""
    config, env = elsewhere
    done = run("store", "check", env=env)
    assert done.returncode == 1
    assert "FAIL buckets" in done.stdout
    assert "darkchannel store setup" in done.stdout
    assert MinIOClient(config).has_bucket(config.buckets.jobs) is False


def test_check_tells_an_administrators_key(
    run: Run, elsewhere: tuple[StoreConfig, dict[str, str]]
) -> None:
    """As JSON: an array of checks, each with its name, result, detail and remedy."""
    _, env = elsewhere
    run("store", "setup", env=env)
    done = run("store", "check", "--json", env=env)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert all(check.keys() == {"name", "ok", "detail", "remedy"} for check in found)
    assert [check["name"] for check in found if not check["ok"]] == ["service key"]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_this_machines_own_store_passes(
    run: Run, shared_store: StoreConfig, options: tuple[str, ...]
) -> None:
    """Everything passes on the embedded store as it is, without any setting up."""
    done = run("store", "check", *options)
    assert done.returncode == 0, done.stdout
    assert "FAIL" not in done.stdout
    if options:
        assert {check["ok"] for check in json.loads(done.stdout)} == {True}


def test_a_machine_where_nothing_was_rendered_yet_passes(run: Run, tmp_path: Path) -> None:
    """The embedded store is made by whatever needs it first, its buckets with it."""
    done = run("store", "check", env={"DARKCHANNEL_DATA_DIR": str(tmp_path / "new")})
    assert done.returncode == 0, done.stdout
    assert "ok   buckets: darkchannel-jobs" in done.stdout


def test_setup_of_this_machines_own_store(run: Run, shared_store: StoreConfig) -> None:
    """It can be set up as well, and passes then too."""
    assert run("store", "setup").returncode == 0
    assert "ok   bucket darkchannel-jobs" in run("store", "setup").stdout
    assert run("store", "check").returncode == 0


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_store_that_is_not_there(run: Run, options: tuple[str, ...]) -> None:
    """Exit code 4, and the one check that was made."""
    env = {
        "MINIO_ENDPOINT": "http://127.0.0.1:1",
        "MINIO_ACCESS_KEY": "someone",
        "MINIO_SECRET_KEY": secrets.token_hex(8),
    }
    done = run("store", "check", *options, env=env)
    assert done.returncode == 4
    assert "127.0.0.1:1" in done.stdout
    assert env["MINIO_SECRET_KEY"] not in done.stdout + done.stderr
    if options:
        assert [check["name"] for check in json.loads(done.stdout)] == ["answers"]
    assert run("store", "setup", env=env).returncode == 4
