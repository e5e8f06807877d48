"""Model files: pinned, fetched once, checked, and never half there.

A :class:`Manifest` names every file of a model with its size and SHA-256 and where its bytes
come from.  They are kept in ``<data_dir>/models/<model>/``::

    kokoro-v1.0.int8.onnx    a finished file: written beside, checked, then renamed
    .verified.json           size and time of each file when its digest was last computed
    .parts/<sha256>          checked pieces of an unfinished fetch; the next one goes on from them
    .lock                    held by the one process that fetches

Loading trusts a file whose size and time are those in ``.verified.json``: computing the digest
of 92 MB takes 60 to 300 ms, which every worker would pay.  :func:`verify` computes them all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.download import download
from darkchannel.speech.packages import Package, take_files

Source = Literal["packages", "upstream"]


class Part(NamedTuple):
    """A piece of a file: where it lies in which package, its size in bytes, its SHA-256."""

    package: Package
    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model.

    Attributes:
        name: path inside the model's folder, with forward slashes.
        size: in bytes.
        sha256: in hexadecimal.
        parts: what makes the file when joined in order; one part of equal size is the file.
        address: where its publisher offers the same bytes; https.
    """

    name: str
    size: int
    sha256: str
    parts: tuple[Part, ...]
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A model: its name, which is also its folder's, and its files."""

    name: str
    files: tuple[ModelFile, ...]

    def folder(self, data_dir: Path) -> Path:
        """Where its files belong."""
        return data_dir / "models" / self.name


class FetchProgress(NamedTuple):
    """How far a fetch is: what is being fetched, and bytes of all that was missing."""

    name: str
    done_bytes: int
    total_bytes: int


class Installed(NamedTuple):
    """What is there of a model: its folder, its size in bytes, and what is missing of it."""

    folder: Path
    total_bytes: int
    missing: tuple[str, ...]


OnProgress = Callable[[FetchProgress], None]


def fetch(
    manifest: Manifest,
    data_dir: Path,
    *,
    offline: bool = False,
    source: Source = "packages",
    on_progress: OnProgress | None = None,
) -> Path:
    """Make sure that all files of a model are there, fetching what is missing.

    Processes that fetch the same model at once fetch it once; one that was killed is gone on
    with where it was.

    Args:
        manifest: the model.
        data_dir: the project's data directory.
        offline: do not fetch; say what is missing.
        source: the pinned packages, or the publishers' own addresses where a file has one.
        on_progress: hears a few times a second how far it is.

    Returns:
        The model's folder.

    Raises:
        EngineUnavailableError: a file is missing and could not be had; names it, and its place.
    """
    folder = manifest.folder(data_dir)
    missing = _missing(manifest, folder)
    if missing and offline:
        raise _missing_error(manifest, folder, missing)
    if missing:
        try:
            with locked(folder):
                _Fetch(folder, source, on_progress).run(_missing(manifest, folder))
        except OSError as error:
            raise EngineUnavailableError(
                f"the {manifest.name} files could not be written to {folder}: "
                f"{error.strerror or error}",
                remedy="make room there, or set DARKCHANNEL_DATA_DIR to another folder",
            ) from error
    return folder


def installed(manifest: Manifest, data_dir: Path) -> Installed:
    """What is there of a model; fetches nothing."""
    folder = manifest.folder(data_dir)
    missing = tuple(file.name for file in _missing(manifest, folder))
    return Installed(folder, sum(file.size for file in manifest.files), missing)


def verify(manifest: Manifest, data_dir: Path) -> tuple[str, ...]:
    """Compute every digest anew; the names of files that are missing or damaged."""
    folder = manifest.folder(data_dir)
    with contextlib.suppress(OSError):  # not there yet, or in a folder we may only read
        (folder / _STAMPS).unlink()
    return tuple(file.name for file in manifest.files if not _is_intact(folder, file, {}))


_STAMPS = ".verified.json"
_PARTS = ".parts"
_BLOCK = 1 << 20


class _Fetch:
    """One fetch, under the lock."""

    def __init__(self, folder: Path, source: Source, on_progress: OnProgress | None) -> None:
        self.folder = folder
        self.parts = folder / _PARTS
        self.source = source
        self.on_progress = on_progress or (lambda _progress: None)
        self.done = 0
        self.total = 0

    def run(self, files: list[ModelFile]) -> None:
        if not files:
            return
        upstream = [file for file in files if self.source == "upstream" and file.address]
        # Files may share a part; it is fetched once.
        parts = dict.fromkeys(part for file in files if file not in upstream for part in file.parts)
        self.total = sum(file.size for file in upstream) + sum(part.size for part in parts)
        self._check_room(sum(file.size for file in files))
        self.parts.mkdir(parents=True, exist_ok=True)
        for file in upstream:
            self._download(file)
        self._take_parts(list(parts))
        for file in files:
            self._finish(file, direct=file in upstream)
        shutil.rmtree(self.parts, ignore_errors=True)

    def _check_room(self, size: int) -> None:
        # Parts and joined files lie beside each other for a moment.
        needed = self.total + size + (64 << 20)
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise EngineUnavailableError(
                f"fetching needs {needed >> 20} MiB of space and {self.folder} has {free >> 20}",
                remedy="make room there, or set DARKCHANNEL_DATA_DIR to another folder",
            )

    def _report(self, name: str, arrived: int = 0) -> None:
        self.on_progress(FetchProgress(name, min(self.done + arrived, self.total), self.total))

    def _download(self, file: ModelFile) -> None:
        assert file.address is not None  # noqa: S101 - chosen by it
        target = self.parts / file.sha256
        if not _is_size(target, file.size):
            partial = self.parts / f"{file.sha256}.partial"
            download(
                file.address, partial, file.size, on_bytes=lambda n: self._report(file.name, n)
            )
            _check(partial, file.size, file.sha256, file.name)
            partial.replace(target)
        self.done += file.size
        self._report(file.name)

    def _take_parts(self, parts: list[Part]) -> None:
        by_package: dict[Package, list[Part]] = {}
        for part in parts:
            by_package.setdefault(part.package, []).append(part)
        for package, contents in by_package.items():
            size = sum(part.size for part in contents)
            lacking = [p for p in contents if not _is_size(self.parts / p.sha256, p.size)]
            if lacking:
                self._take(package, lacking, size)
            self.done += size
            self._report(package.name)

    def _take(self, package: Package, parts: list[Part], size: int) -> None:
        self._report(package.name)
        # A new name each time: a client left over from a killed process may still be writing.
        work = Path(tempfile.mkdtemp(prefix="work-", dir=self.parts))
        found = take_files(
            package,
            {part.path for part in parts},
            work,
            cache=self.parts / "cache",
            on_bytes=lambda arrived: self._report(package.name, min(arrived, size)),
        )
        for part in parts:
            if part.path not in found:
                raise EngineUnavailableError(f"{package} has no file {part.path}")
            _check(found[part.path], part.size, part.sha256, f"{part.path} of {package}")
            found[part.path].replace(self.parts / part.sha256)
        shutil.rmtree(work, ignore_errors=True)

    def _finish(self, file: ModelFile, *, direct: bool) -> None:
        pieces = [file.sha256] if direct else [part.sha256 for part in file.parts]
        joined = self.parts / "joined"
        digest = hashlib.sha256()
        with joined.open("wb") as target:
            for piece in pieces:
                for block in _blocks(self.parts / piece):
                    digest.update(block)
                    target.write(block)
            target.flush()
            os.fsync(target.fileno())
        if digest.hexdigest() != file.sha256 or joined.stat().st_size != file.size:
            shutil.rmtree(self.parts)
            raise _damaged(file.name)
        place = self.folder / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        joined.replace(place)
        _fsync_folder(place.parent)
        _stamp(self.folder, file)


def _missing(manifest: Manifest, folder: Path) -> list[ModelFile]:
    stamps = _stamps(folder)
    return [file for file in manifest.files if not _is_intact(folder, file, stamps)]


def _is_intact(folder: Path, file: ModelFile, stamps: dict[str, list[object]]) -> bool:
    place = folder / file.name
    if not _is_size(place, file.size):
        return False
    if stamps.get(file.name) == _facts(place, file):
        return True
    # Put there by hand, or copied with its folder: look once, remember.
    if _digest(place) != file.sha256:
        return False
    with contextlib.suppress(OSError):  # a folder we may only read is looked through each time
        _stamp(folder, file)
    return True


def _facts(place: Path, file: ModelFile) -> list[object]:
    status = place.stat()
    return [status.st_size, status.st_mtime_ns, file.sha256]


def _stamps(folder: Path) -> dict[str, list[object]]:
    try:
        stamps = json.loads((folder / _STAMPS).read_bytes())
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _stamp(folder: Path, file: ModelFile) -> None:
    stamps = _stamps(folder) | {file.name: _facts(folder / file.name, file)}
    # A name of its own for each process: two of them may find the same unstamped file.
    draft = folder / f"{_STAMPS}.{os.getpid()}"
    draft.write_text(json.dumps(stamps))
    draft.replace(folder / _STAMPS)


def _is_size(place: Path, size: int) -> bool:
    return place.is_file() and place.stat().st_size == size


def _check(place: Path, size: int, sha256: str, name: str) -> None:
    if not _is_size(place, size) or _digest(place) != sha256:
        place.unlink(missing_ok=True)
        raise _damaged(name)


def _damaged(name: str) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"{name} arrived with other bytes than the pinned ones",
        remedy="try again; if it stays so, do not trust the mirror your package client uses",
    )


def _digest(place: Path) -> str:
    digest = hashlib.sha256()
    for block in _blocks(place):
        digest.update(block)
    return digest.hexdigest()


def _blocks(place: Path) -> Iterator[bytes]:
    with place.open("rb") as source:
        while block := source.read(_BLOCK):
            yield block


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _missing_error(
    manifest: Manifest, folder: Path, missing: list[ModelFile]
) -> EngineUnavailableError:
    names = ", ".join(file.name for file in missing)
    return EngineUnavailableError(
        f"{manifest.name} lacks {len(missing)} of {len(manifest.files)} files in {folder}: {names}",
        remedy="run `darkchannel models fetch` where there is a network, or copy them there",
    )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, making both; it goes with the process, however that ends."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
