"""The stack on a real Docker daemon: up, healthy, fenced in, restartable."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psutil
import pytest

from darkchannel.errors import StoreAccessError
from darkchannel.storage import MinIOClient
from tests.servers import free_ports
from tests.stack.conftest import ROOT, Stack, run

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

STORE = ("minio", "minio-setup", "gateway")
LASTING = ("minio", "gateway", "kokoro", "api")
MOST_MEMORY = {"models": 2**31, "kokoro": 2**31, "api": 2**30} | dict.fromkeys(STORE, 2**29)


def host_config(stack: Stack, service: str) -> dict[str, Any]:
    config: dict[str, Any] = stack.container(service)["HostConfig"]
    return config


def test_every_lasting_service_is_healthy_after_up(stack: Stack) -> None:
    """`docker compose up -d --wait` returns when all that is to stay is healthy."""
    for service in LASTING:
        assert stack.container(service)["State"]["Health"]["Status"] == "healthy"


def test_setting_up_again_changes_nothing_and_may_happen_twice_at_once(stack: Stack) -> None:
    """`docker compose run --rm minio-setup` succeeds again, even two at the same time."""
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(stack.compose, "run", "--rm", "minio-setup") for _ in range(2)]
        for finished in runs:
            assert "minio-setup: done" in finished.result()


@pytest.mark.parametrize("service", MOST_MEMORY)
def test_containers_have_no_rights_they_do_not_need(stack: Stack, service: str) -> None:
    """No root, no capabilities, no new privileges, a read-only root, bounded logs and memory."""
    config = host_config(stack, service)
    user = stack.container(service)["Config"]["User"]
    assert user not in {"", "0", "root", "0:0"}
    assert config["ReadonlyRootfs"]
    assert config["CapDrop"] == ["ALL"]
    assert any(option.startswith("no-new-privileges") for option in config["SecurityOpt"])
    assert config["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert 0 < config["Memory"] <= MOST_MEMORY[service]
    if service in STORE:
        assert 0 < config["NanoCpus"] <= 500_000_000


def test_only_gateway_and_api_are_published_and_only_on_loopback(stack: Stack) -> None:
    """Ports of the store and of speech services are published nowhere, others on 127.0.0.1."""
    for service in ("minio", "kokoro"):
        assert not host_config(stack, service)["PortBindings"]
    published = {"gateway": ["9001/tcp", "9080/tcp"], "api": ["8000/tcp"]}
    for service, ports in published.items():
        bindings = host_config(stack, service)["PortBindings"]
        assert sorted(bindings) == ports
        entries = [entry["HostIp"] for entries in bindings.values() for entry in entries]
        assert set(entries) == {"127.0.0.1"}


@pytest.mark.parametrize("service", ["minio", "kokoro"])
def test_the_storage_network_leads_nowhere(stack: Stack, service: str) -> None:
    """They sit on an internal network alone: no way in from outside, and none out."""
    networks = stack.container(service)["NetworkSettings"]["Networks"]
    (name,) = networks
    assert run("docker", "network", "inspect", "--format", "{{.Internal}}", name).strip() == "true"


def test_a_killed_server_comes_back_with_everything(stack: Stack) -> None:
    """After kill -9 Docker starts the server again, and what was acknowledged is there."""
    client = MinIOClient(stack.store("api"))
    bucket = client.config.buckets.temp
    client.put(bucket, "kill/kept", b"kept")
    pid = stack.container("minio")["State"]["Pid"]
    os.kill(int(pid), signal.SIGKILL)
    psutil.wait_procs([psutil.Process(int(pid))] if psutil.pid_exists(int(pid)) else [], timeout=10)
    deadline = time.monotonic() + 60
    while stack.container("minio")["State"].get("Health", {}).get("Status") != "healthy":
        assert time.monotonic() < deadline, "the server did not come back"
        time.sleep(0.5)
    assert MinIOClient(stack.store("api")).get(bucket, "kill/kept").data == b"kept"


def test_data_outlives_the_containers(stack: Stack) -> None:
    """`docker compose down` and `up` again: objects, users and policies are all there."""
    client = MinIOClient(stack.store("api"))
    client.put(client.config.buckets.temp, "down/kept", b"kept")
    stack.compose("down", "--timeout", "20")
    stack.compose("up", "-d", "--wait")
    again = MinIOClient(stack.store("api"))
    assert again.get(again.config.buckets.temp, "down/kept").data == b"kept"


def test_without_settings_compose_says_what_to_do(stack: Stack) -> None:
    """Without .env nothing starts, and the message names `make env`."""
    done = subprocess.run(
        ["docker", "compose", "--env-file", "/dev/null", "config", "--quiet"],
        cwd=stack.folder,
        env={**os.environ, **stack.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "make env" in done.stderr


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.7", "::"])
def test_example_passwords_are_refused_where_others_could_reach_them(
    stack: Stack, address: str
) -> None:
    """Setting up with an example secret fails unless everything published is on loopback."""
    done = subprocess.run(
        [
            *("docker", "compose", "run", "--rm", "--no-deps"),
            *("-e", f"BIND_ADDRESS={address}", "-e", "MINIO_N8N_SECRET_KEY=change-me-n8n"),
            "minio-setup",
        ],
        cwd=stack.folder,
        env={**os.environ, **stack.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "MINIO_N8N_SECRET_KEY is the example's" in done.stderr


def test_a_rotated_key_is_in_force_after_setting_up_again(stack: Stack) -> None:
    """A new secret in .env and `minio-setup` again: the old one is refused, the new one works."""
    path = stack.folder / ".env"
    text = path.read_text(encoding="utf-8")
    old = stack.store("n8n")
    bucket = old.buckets.output
    changed = re.sub("(?m)^MINIO_N8N_SECRET_KEY=.*$", f"MINIO_N8N_SECRET_KEY={'f' * 40}", text)
    path.write_text(changed, encoding="utf-8")
    list(MinIOClient(old).list(bucket, "20"))
    stack.compose("run", "--rm", "minio-setup")
    stack.settings["MINIO_N8N_SECRET_KEY"] = "f" * 40
    with pytest.raises(StoreAccessError):
        list(MinIOClient(old).list(bucket, "20"))
    list(MinIOClient(stack.store("n8n")).list(bucket, "20"))


def test_developers_may_open_the_api_on_loopback(stack: Stack) -> None:
    """With the override for developers the S3 API answers on 127.0.0.1, and without it no more."""
    (port,) = free_ports(1)
    files = ("-f", "docker-compose.yml", "-f", "docker-compose.dev.yml")
    developer = replace(stack, environment={**stack.environment, "API_PORT": str(port)})
    developer.compose(*files, "up", "-d", "--wait")
    health = f"http://127.0.0.1:{port}/minio/health/cluster"
    run("curl", "--silent", "--fail", health)
    bindings = host_config(stack, "minio")["PortBindings"]
    assert {entry["HostIp"] for entries in bindings.values() for entry in entries} == {"127.0.0.1"}
    stack.compose("up", "-d", "--wait")
    assert subprocess.run(["curl", "--silent", health], check=False).returncode != 0


def test_no_secret_is_in_any_log(stack: Stack) -> None:
    """Neither a secret key nor a signature of a link shows up in what the containers log."""
    client = MinIOClient(stack.store("api"))
    client.put(client.config.buckets.output, "2026-01-01/log.mp3", b"x")
    url = client.generate_presigned_url(client.config.buckets.output, "2026-01-01/log.mp3")
    run("curl", "--silent", "--fail", "--output", "/dev/null", url)
    logs = stack.compose("logs", "--no-color")
    assert "/darkchannel-output/2026-01-01/log.mp3" in logs
    secrets = [
        value
        for name, value in stack.settings.items()
        if name.endswith(("_SECRET_KEY", "PASSWORD"))
    ]
    assert len(secrets) == 7
    assert not [secret for secret in secrets if secret in logs]
    assert "X-Amz-Signature" not in logs


def test_shell_scripts_have_no_known_mistakes() -> None:
    """Shellcheck finds nothing in any script of the project."""
    scripts = sorted(ROOT / name for name in run("git", "ls-files", "*.sh", ".ci/run").split())
    assert scripts
    run("shellcheck", *scripts)
