"""Kokoro's files as a runtime reads them: made once from the published weights.

They lie in ``<data_dir>/models/kokoro-<runtime>/``: what :mod:`.parts` writes, and

    prepared.json   what it was made from and by which recipe; size, time, SHA-256 of each file

The folder appears as a whole, by one rename, or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro import parts
from darkchannel.speech.kokoro.graph import FloatGraph
from darkchannel.speech.weights import locked

OnProgress = Callable[[int, int], None]
"""Hears how many bytes of how many are written."""

RECIPE = 10
"""Changes whenever the files would be others."""

RUNTIMES = tuple(parts.TOTAL_BYTES)
"""Those that need preparation."""

_RECEIPT = "prepared.json"
_OTHERWISE = (
    "make room there, set DARKCHANNEL_DATA_DIR to another folder, or set "
    "DARKCHANNEL_KOKORO_RUNTIME=onnxruntime, which needs no preparation"
)


def folder(data_dir: Path, runtime: str = "float32") -> Path:
    """Where the prepared files of a runtime belong."""
    return data_dir / "models" / f"kokoro-{runtime}"


def prepare(
    published: Path,
    sha256: str,
    data_dir: Path,
    runtime: str = "float32",
    *,
    on_progress: OnProgress | None = None,
) -> Path:
    """Make sure that the prepared files are there; takes some seconds where they are not.

    Files that are damaged, unfinished or of another recipe are made anew.  Of several processes
    one makes them, and the others wait.

    Args:
        published: the published ONNX file.
        sha256: its digest.
        data_dir: the project's data directory.
        runtime: one of :data:`RUNTIMES`.
        on_progress: hears how far it is.

    Returns:
        The folder.

    Raises:
        EngineUnavailableError: a library is missing, there is no room, or the published file is
            not the one this recipe was written for.
    """
    if is_prepared(data_dir, sha256, runtime):
        return folder(data_dir, runtime)
    making = _Making(published, sha256, runtime, folder(data_dir, runtime))
    place = making.place
    try:
        with locked(making.work):
            if not is_prepared(data_dir, sha256, runtime):
                making.run(on_progress or (lambda _done, _all: None))
    except OSError as error:
        raise EngineUnavailableError(
            f"the Kokoro voice could not be prepared in {place}: {error.strerror or error}",
            remedy=_OTHERWISE,
        ) from error
    return place


def is_prepared(data_dir: Path, sha256: str, runtime: str = "float32") -> bool:
    """Whether the prepared files are there, whole, and made from these weights by this recipe.

    The digest of a file is computed only if its time is not the one it was written with.

    Args:
        data_dir: the project's data directory.
        sha256: digest of the published weights.
        runtime: one of :data:`RUNTIMES`.
    """
    place = folder(data_dir, runtime)
    try:
        receipt = json.loads((place / _RECEIPT).read_bytes())
        if (receipt["recipe"], receipt["weights"]) != (RECIPE, sha256):
            return False
        files = receipt["files"]
        return set(files) == set(parts.names(runtime)) and all(
            _is_whole(place / name, facts, False) for name, facts in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def verify(data_dir: Path, runtime: str = "float32") -> tuple[str, ...]:
    """Compute every digest anew; the names of prepared files that are missing or damaged.

    If there are any, the next :func:`prepare` makes all anew.  A folder that is not there yet
    has nothing wrong with it.
    """
    place = folder(data_dir, runtime)
    if not place.exists():
        return ()
    try:
        files = json.loads((place / _RECEIPT).read_bytes())["files"]
        bad = [
            name for name in parts.names(runtime) if not _is_whole(place / name, files[name], True)
        ]
    except (OSError, ValueError, KeyError, TypeError):
        bad = [_RECEIPT]
    if bad:
        (place / _RECEIPT).unlink(missing_ok=True)
    return tuple(f"{place.name}/{name}" for name in bad)


def _is_whole(file: Path, facts: dict[str, object], thorough: bool) -> bool:
    if not file.is_file():
        return False
    status = file.stat()
    if status.st_size != facts["size"]:
        return False
    if status.st_mtime_ns == facts["time"] and not thorough:
        return True
    return _digest(file) == facts["sha256"]


def _digest(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


class _Making:
    """One preparation, under the lock."""

    def __init__(self, published: Path, sha256: str, runtime: str, place: Path) -> None:
        self.published = published
        self.sha256 = sha256
        self.runtime = runtime
        self.place = place
        self.work = place.with_name(f"{place.name}.work")

    def run(self, on_progress: OnProgress) -> None:
        """Make the folder; what a killed process left in the work folder goes."""
        draft, old = self.work / "draft", self.work / "old"
        _clear(draft, old)
        self._check_room()
        draft.mkdir()
        try:
            self._write(draft, on_progress)
            self._sign(draft)
            if self.place.exists():
                self.place.rename(old)  # whoever reads it now keeps reading
            draft.rename(self.place)
        finally:  # a full disk must not stay full of a draft
            _clear(draft, old)

    def _check_room(self) -> None:
        free, needed = shutil.disk_usage(self.work).free, parts.TOTAL_BYTES[self.runtime]
        if free < needed:
            raise EngineUnavailableError(
                f"preparing the Kokoro voice needs {needed >> 20} MiB of space and "
                f"{self.work.parent} has {free >> 20}",
                remedy=_OTHERWISE,
            )

    def _write(self, draft: Path, on_progress: OnProgress) -> None:
        done, total = 0, parts.TOTAL_BYTES[self.runtime]
        on_progress(done, total)
        try:
            for file in parts.write(self.runtime, FloatGraph(self.published), draft):
                done += file.stat().st_size
                on_progress(min(done, total), total)
        except ImportError as error:
            raise EngineUnavailableError(
                f"{error.name}, which the Kokoro voice is prepared with, is not installed",
                remedy="install it with `pip install darkchannel[kokoro,openvino]`",
            ) from error
        except (ValueError, KeyError) as error:
            raise EngineUnavailableError(
                f"{self.published} is not the Kokoro file this version prepares: {error}",
                remedy="check the files with `darkchannel models fetch --verify`",
            ) from error
        on_progress(total, total)

    def _sign(self, draft: Path) -> None:
        files = {}
        for name in parts.names(self.runtime):
            file = draft / name
            with file.open("rb+") as written:
                os.fsync(written.fileno())
            status = file.stat()
            files[name] = {
                "size": status.st_size,
                "time": status.st_mtime_ns,
                "sha256": _digest(file),
            }
        receipt = {"recipe": RECIPE, "weights": self.sha256, "files": files}
        (draft / _RECEIPT).write_text(json.dumps(receipt, indent=1), encoding="utf-8")


def _clear(*leftovers: Path) -> None:
    for leftover in leftovers:
        if leftover.is_symlink() or leftover.is_file():
            leftover.unlink()  # not ours, but in the way; what a link leads to is left alone
        else:
            shutil.rmtree(leftover, ignore_errors=True)
