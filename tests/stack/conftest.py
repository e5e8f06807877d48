"""A real Docker daemon and the stack of docker-compose.yml on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from darkchannel.config import Buckets, Credentials, StoreConfig
from tests.servers import cache, free_ports

ROOT = Path(__file__).parent.parent.parent
DEBIAN_IMAGE = "darkchannel-acceptance/debian:bookworm"
PYTHON_IMAGE = "darkchannel-acceptance/python:3.11"
GO_IMAGE = "darkchannel-acceptance/go:1"
FILES = (
    "docker-compose.yml",
    "docker-compose.dev.yml",
    ".dockerignore",
    ".env.example",
    "Makefile",
    "docker",
    "scripts",
    "src",
    "examples",
    "pyproject.toml",
    "uv.lock",
    "README.md",
    "LICENSE",
    "NOTICE",
)


def run(
    *command: str | Path,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    timeout: float = 900,
) -> str:
    """Run a command that must succeed; gives what it printed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def docker() -> Iterator[None]:
    """A Docker daemon, the machine's own or one started for the tests, with base images."""
    with _daemon():
        _base_images()
        yield


@contextmanager
def _daemon() -> Iterator[None]:
    if _docker_answers():
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="dockerd-"))
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(["dockerd"], stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 60
            while not _docker_answers():
                assert process.poll() is None, (folder / "dockerd.log").read_text()[-3000:]
                assert time.monotonic() < deadline, "dockerd does not answer"
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(30)
            shutil.rmtree(folder, ignore_errors=True)


def _docker_answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _base_images() -> None:
    """The base images of the Dockerfiles, made here: no image registry is needed."""
    if not _has_image(DEBIAN_IMAGE):
        run("docker", "import", cache() / "debian.tar", DEBIAN_IMAGE)
    if not _has_image(PYTHON_IMAGE):
        python = f"FROM {DEBIAN_IMAGE}\nRUN apt-get update && apt-get install -y python3-venv\n"
        _build(PYTHON_IMAGE, python, "--network", "host")
    if not _has_image(GO_IMAGE):
        go = Path(run("go", "env", "GOROOT").strip())
        _build(GO_IMAGE, f"FROM {DEBIAN_IMAGE}\nCOPY . /usr/local/go\n", context=go)


def _build(name: str, dockerfile: str, *options: str, context: Path | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "Dockerfile"
        file.write_text(dockerfile, encoding="utf-8")
        run("docker", "build", *options, "--tag", name, "--file", file, context or folder)


def _has_image(name: str) -> bool:
    command = ["docker", "image", "inspect", name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Stack:
    """The stack of a checkout, under a project name and ports of its own.

    Attributes:
        folder: the checkout.
        environment: what is set for every command.
        settings: of its ``.env``.
    """

    folder: Path
    environment: dict[str, str]
    settings: dict[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str, timeout: float = 1500) -> str:
        """Run ``docker compose``; gives what it printed."""
        return run(
            "docker", "compose", *arguments, cwd=self.folder, env=self.environment, timeout=timeout
        )

    @property
    def links(self) -> str:
        """Address that presigned links carry."""
        return self.settings["MINIO_ENDPOINT_EXTERNAL"]

    @property
    def jobs_api(self) -> str:
        """Address of the jobs API."""
        return f"http://127.0.0.1:{self.settings['JOBS_API_PORT']}"

    @property
    def console(self) -> str:
        """Address of the console."""
        return self.settings["MINIO_CONSOLE_URL"]

    def container(self, service: str) -> dict[str, Any]:
        """What Docker knows of a service's container."""
        return self.containers(service)[0]

    def containers(self, service: str) -> list[dict[str, Any]]:
        """The same of each of a scaled service's containers."""
        names = self.compose("ps", "--all", "--quiet", service).split()
        found: list[dict[str, Any]] = json.loads(run("docker", "inspect", *names))
        return found

    def address(self, service: str) -> str:
        """IP address on the storage network: this host reaches it, the outside does not."""
        return self.addresses(service)[0]

    def addresses(self, service: str) -> list[str]:
        """The same of each of a scaled service's containers."""
        return [
            str(network["IPAddress"])
            for container in self.containers(service)
            for name, network in container["NetworkSettings"]["Networks"].items()
            if name.endswith("_storage")
        ]

    def store(self, service: str) -> StoreConfig:
        """The store as one of the services sees it."""
        keys = self.credentials(service)
        return StoreConfig(
            endpoint=f"http://{self.address('minio')}:9000",
            credentials=keys,
            public_endpoint=self.links,
            link_credentials=self.credentials("link"),
            buckets=Buckets(),
        )

    def credentials(self, service: str) -> Credentials:
        """A service's key pair; ``root`` is the administrator's."""
        if service == "root":
            return Credentials(
                self.settings["MINIO_ROOT_USER"], self.settings["MINIO_ROOT_PASSWORD"]
            )
        name = f"MINIO_{service.upper()}"
        return Credentials(self.settings[f"{name}_ACCESS_KEY"], self.settings[f"{name}_SECRET_KEY"])

    def cli_environment(self, service: str = "api") -> dict[str, str]:
        """What ``darkchannel`` is told, to use the stack as a service would."""
        store, link = self.store(service), self.credentials("link")
        return {
            "MINIO_ENDPOINT": store.endpoint,
            "MINIO_ACCESS_KEY": store.credentials.access_key,
            "MINIO_SECRET_KEY": store.credentials.secret_key,
            "MINIO_ENDPOINT_EXTERNAL": self.links,
            "MINIO_LINK_ACCESS_KEY": link.access_key,
            "MINIO_LINK_SECRET_KEY": link.secret_key,
        }


def checkout(folder: Path, project: str, **environment: str) -> Stack:
    """The files of the stack as a clean clone has them, on free ports."""
    for name in FILES:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    bundle = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    return Stack(
        folder,
        {
            "COMPOSE_PROJECT_NAME": project,
            "COMPOSE_BAKE": "false",
            "DOCKER_BUILDKIT": "1",
            "DEBIAN_IMAGE": DEBIAN_IMAGE,
            "GO_IMAGE": GO_IMAGE,
            "PYTHON_IMAGE": PYTHON_IMAGE,
            "BAKE_MODELS": "1",  # containers that run here need not reach any network
            "BUILD_NETWORK": "host",
            "BUILD_CA_BUNDLE": bundle,
            **environment,
        },
    )


@pytest.fixture(scope="session")
def stack(docker: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, brought up from a clean checkout with the commands of the README."""
    links, console, api = free_ports(3)
    made = checkout(tmp_path_factory.mktemp("checkout"), f"darkchannel-test-{os.getpid()}")
    run("make", "env", cwd=made.folder)
    text = (made.folder / ".env").read_text(encoding="utf-8")
    text = text.replace("9080", str(links)).replace("9001", str(console))
    text = text.replace("JOBS_API_PORT=8000", f"JOBS_API_PORT={api}")
    (made.folder / ".env").write_text(text, encoding="utf-8")
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    made.settings.update({name: value for name, _, value in lines if name})
    try:
        made.compose("build")
        made.compose("up", "-d", "--wait")
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "5")
