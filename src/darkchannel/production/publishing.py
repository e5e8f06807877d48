"""Publishing: a mastered book goes to the job's folder and to the output bucket."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from darkchannel.audio.mastering import MasteredBook
from darkchannel.config import Buckets
from darkchannel.errors import NotFoundError, OutputError
from darkchannel.production.patience import patiently
from darkchannel.storage import MinIOClient
from darkchannel.storage.keys import final_key, output_key, safe_name

_CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "m4b": "audio/mp4",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "report": "application/json",
}
_FINAL_NAMES = {
    "mp3": "audiobook.mp3",
    "m4b": "audiobook.m4b",
    "srt": "audiobook.srt",
    "vtt": "audiobook.vtt",
    "report": "report.json",
}
_SUFFIXES = {
    "mp3": ".mp3",
    "m4b": ".m4b",
    "srt": ".srt",
    "vtt": ".vtt",
    "report": ".report.json",
}


@dataclass(frozen=True, slots=True)
class FinishedBook:
    """A published book, and where its files are on this machine."""

    output_key: str
    output_url: str
    duration_seconds: float
    files: dict[str, Path]
    report: dict[str, Any]

    @property
    def metadata(self) -> dict[str, Any]:
        """Fields of the job's metadata that say where the book is."""
        return {
            "output_key": self.output_key,
            "output_url": self.output_url,
            "duration_seconds": round(self.duration_seconds, 3),
        }


def publish(
    client: MinIOClient, buckets: Buckets, job_id: str, metadata: dict[str, Any], book: MasteredBook
) -> FinishedBook:
    """Upload every file of a book to its job's folder, and from there to the output bucket.

    Publishing again overwrites only what the same job published: names in the output bucket
    carry the job's id, so that two books of one title and day stay apart.
    """

    def put(kind: str, path: Path) -> None:
        final = final_key(job_id, _FINAL_NAMES[kind])
        client.upload_file(path, buckets.jobs, final, content_type=_CONTENT_TYPES[kind])
        client.copy(buckets.jobs, final, buckets.output, _output_key(job_id, metadata, kind))

    for kind, path in book.files.items():
        patiently(partial(put, kind, path))
    key = _output_key(job_id, metadata, "mp3")
    return FinishedBook(
        output_key=key,
        output_url=f"s3://{buckets.output}/{key}",
        duration_seconds=book.duration_seconds,
        files=dict(book.files),
        report=book.report,
    )


def fetch_book(
    client: MinIOClient, buckets: Buckets, metadata: dict[str, Any], output: Path | None
) -> FinishedBook | None:
    """A book published earlier, brought to this machine; None when it is there no more.

    Raises:
        OutputError: ``output`` cannot be written.
    """
    job_id = metadata["job_id"]
    try:
        report = json.loads(client.get(buckets.jobs, final_key(job_id, "report.json")).data)
        with tempfile.TemporaryDirectory(prefix="darkchannel-") as directory:
            files = {}
            for kind, name in _FINAL_NAMES.items() if output else ():
                files[kind] = Path(directory) / name
                client.download_file(buckets.jobs, final_key(job_id, name), files[kind])
            finished = FinishedBook(
                output_key=metadata["output_key"],
                output_url=metadata["output_url"],
                duration_seconds=metadata["duration_seconds"],
                files=files,
                report=report,
            )
            return place_files(finished, output)
    except NotFoundError:
        return None


def place_files(finished: FinishedBook, output: Path | None) -> FinishedBook:
    """Copy a book's files to where they were asked for: the MP3 as named, the rest beside it.

    Args:
        finished: whose files may be in a temporary directory.
        output: path of the MP3; None keeps no local files.

    Raises:
        OutputError: the place cannot be written.
    """
    if output is None:
        return replace(finished, files={})
    placed: dict[str, Path] = {}
    try:
        for kind, source in finished.files.items():
            target = output if kind == "mp3" else output.with_suffix(_SUFFIXES[kind])
            part = target.with_name(f".{target.name}.part")
            shutil.copyfile(source, part)
            part.replace(target)
            placed[kind] = target
    except OSError as error:
        raise OutputError(
            f"cannot write {error.filename}: {error.strerror}",
            remedy="the book is in the store: name another place with -o and run again",
        ) from error
    return replace(finished, files=placed)


def check_output(output: Path) -> None:
    """Find out before hours of work whether the result can be written.

    Raises:
        OutputError: its folder does not exist or cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=".darkchannel-"):
            pass
        if output.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a directory", str(output))
    except OSError as error:
        raise OutputError(
            f"cannot write {output}: {error.strerror}", remedy="name another place with -o"
        ) from error


def _output_key(job_id: str, metadata: dict[str, Any], kind: str) -> str:
    day = datetime.fromisoformat(metadata["created_at"]).astimezone(UTC).date()
    name = f"{safe_name(metadata['chapter_title'])}-{_suffix(job_id)}"
    return output_key(day, name, "json" if kind == "report" else kind)


def _suffix(job_id: str) -> str:
    # Callers' own ids tend to share their beginnings; their digests do not.
    return hashlib.sha256(job_id.encode()).hexdigest()[:8]
