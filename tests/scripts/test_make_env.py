"""``make env``: settings with secrets of their own."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from darkchannel.api.keys import hash_of

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what ``make env`` needs."""
    for name in ("Makefile", ".env.example"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    return tmp_path


def make_env(folder: Path) -> str:
    done = subprocess.run(
        ["make", "env"], cwd=folder, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout


def settings(path: Path) -> dict[str, str]:
    """Names and values of a file of settings."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_every_secret_is_new_and_random(checkout: Path) -> None:
    """All names are there; each secret is 160 random bits, and no access key can be guessed."""
    make_env(checkout)
    example, made = settings(checkout / ".env.example"), settings(checkout / ".env")
    assert list(made) == list(example)
    secrets = {name: made[name] for name in made if example[name].startswith("change-me")}
    assert len(secrets) == 10
    assert len(set(secrets.values())) == 10
    assert all(re.fullmatch("[0-9a-f]{40}", secret) for secret in secrets.values())
    keys = {name: made[name] for name in made if name.endswith("_ACCESS_KEY")}
    assert len(keys) == 6
    assert all(re.fullmatch(example[name] + "-[0-9a-f]{12}", key) for name, key in keys.items())
    hashes = {name: made[name] for name in made if name.endswith("_API_KEY_SHA256")}
    assert hashes == {
        f"{name}_SHA256": hash_of(made[name]) for name in ("JOBS_API_KEY", "SPEECH_API_KEY")
    }
    rest = set(made) - set(secrets) - set(keys) - set(hashes)
    assert {name: made[name] for name in rest} == {name: example[name] for name in rest}


def test_the_example_names_what_the_mission_names() -> None:
    """The names that operators already know are there, with the values they know."""
    example = settings(ROOT / ".env.example")
    assert example["MINIO_ENDPOINT"] == "http://minio:9000"
    assert example["MINIO_CONSOLE_URL"] == "http://localhost:9001"
    assert {"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"} <= set(example)
    for service in ("API", "SPEECH", "N8N", "LINK", "BACKUP", "METRICS"):
        assert {f"MINIO_{service}_ACCESS_KEY", f"MINIO_{service}_SECRET_KEY"} <= set(example)


def test_the_example_keys_are_known_to_be_examples() -> None:
    """Their hashes in the example are theirs, and the services refuse them where others reach."""
    example = settings(ROOT / ".env.example")
    refused = (ROOT / "docker" / "start-service.sh").read_text(encoding="utf-8")
    for name in ("JOBS_API_KEY", "SPEECH_API_KEY"):
        assert example[f"{name}_SHA256"] == hash_of(example[name])
        assert example[f"{name}_SHA256"] in refused


def test_only_the_owner_reads_the_secrets(checkout: Path) -> None:
    """The file has mode 0600, and nothing else is left in the folder."""
    before = {path.name for path in checkout.iterdir()}
    make_env(checkout)
    assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600
    assert {path.name for path in checkout.iterdir()} - before == {".env"}


def test_settings_that_are_there_stay(checkout: Path) -> None:
    """A second run changes nothing: the store knows these secrets."""
    make_env(checkout)
    first = (checkout / ".env").read_bytes()
    assert "left as it is" in make_env(checkout)
    assert (checkout / ".env").read_bytes() == first
