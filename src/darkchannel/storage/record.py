"""The shape of a job's ``metadata.json`` and the rules of its life; pure functions.

Besides what users rely on (``job_id, status, created_at, updated_at, chapter_title, revision,
chunks_total, chunks_completed``, ...) a record holds ``lease`` (owner and expiry, or null),
``fencing`` (grows each time the job changes hands) and, once it is being deleted,
``deleting_until``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from darkchannel.errors import (
    InputError,
    IntegrityError,
    JobBusyError,
    JobCancelledError,
    JobConflictError,
    JobNotFoundError,
    LeaseLostError,
)
from darkchannel.models import JobStatus, Lease
from darkchannel.storage import keys, owner
from darkchannel.storage.state import MAX_DOCUMENT_BYTES, Document, seconds_of

MAX_INLINE_BYTES = 4096
"""An input up to this long lies in the metadata itself."""

_ROOMY = MAX_DOCUMENT_BYTES - 1024
MAX_TITLE_CHARACTERS = 300
MAX_ERROR_CHARACTERS = 1000

RESERVED = frozenset(
    {
        *("job_id", "status", "created_at", "updated_at", "revision", "writer"),
        *("lease", "fencing", "deleting_until", "plan_sha256"),
        *("input_text", "input_key", "input_format", "input_sha256"),
    }
)
"""Names that only this package writes."""

_RUNNING = frozenset({JobStatus.PENDING, JobStatus.PROCESSING, JobStatus.MERGING})
_AFTER: dict[JobStatus, frozenset[JobStatus]] = {
    **dict.fromkeys(_RUNNING, frozenset(JobStatus)),
    # Only a resumption leads out of a final state.
    JobStatus.COMPLETED: frozenset({JobStatus.PENDING, JobStatus.PROCESSING}),
    JobStatus.FAILED: frozenset({JobStatus.PENDING, JobStatus.PROCESSING, JobStatus.CANCELLED}),
    JobStatus.CANCELLED: frozenset({JobStatus.PENDING, JobStatus.PROCESSING}),
}


def new_record(
    job_id: str, chapter_title: str, data: bytes, input_format: str, fields: Mapping[str, Any]
) -> Document:
    """The record of a job nobody has worked on yet.

    Raises:
        InputError: the title is too long, or a field has a reserved name.
    """
    if len(chapter_title) > MAX_TITLE_CHARACTERS:
        raise InputError(
            f"the title has {len(chapter_title)} characters; at most {MAX_TITLE_CHARACTERS} fit",
            remedy="choose a shorter title",
        )
    check_fields(fields)
    record: Document = {
        "job_id": job_id,
        "status": JobStatus.PENDING.value,
        "chapter_title": chapter_title,
        "chunks_total": 0,
        "chunks_completed": 0,
        "input_format": input_format,
        "input_sha256": hashlib.sha256(data).hexdigest(),
        **fields,
        "lease": None,
        "fencing": 0,
    }
    text = _inline(data)
    if text is None:
        record["input_key"] = keys.input_key(job_id, input_format)
    else:
        record["input_text"] = text
    return _fitted(record)


def check(key: str, record: Document) -> None:
    """Make sure that what was read under a key can be the record of that job.

    Raises:
        IntegrityError: a field that every record has is missing or wrong.
    """
    try:
        if not key.startswith(f"{record['job_id']}/"):
            raise ValueError("it belongs to another job")
        JobStatus(record["status"])
        for name in ("revision", "fencing"):
            int(record[name])
        for name in ("created_at", "updated_at"):
            seconds_of(record[name])
        lease_of(record)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"{key} is damaged: {error!r}",
            remedy=f"delete the job: darkchannel jobs delete {key.partition('/')[0]}",
        ) from error


def _inline(data: bytes) -> str | None:
    if len(data) > MAX_INLINE_BYTES:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text


def check_fields(fields: Mapping[str, Any]) -> None:
    """Refuse names that only this package writes.

    Raises:
        InputError: one of them is among the fields.
    """
    taken = sorted(RESERVED & fields.keys())
    if taken:
        raise InputError(f"job fields {', '.join(taken)} cannot be set from outside")


def with_fields(record: Document, fields: Mapping[str, Any]) -> Document:
    """The record with further fields, a long error message cut to what fits."""
    fields = dict(fields)
    error = fields.get("error")
    if isinstance(error, Mapping) and isinstance(error.get("message"), str):
        fields["error"] = {**error, "message": _cut(error["message"])}
    elif isinstance(error, str):
        fields["error"] = _cut(error)
    return _fitted({**record, **fields})


def _fitted(record: Document) -> Document:
    """The record with the text of its input left to the input's own object if need be."""
    if "input_text" in record and _size(record) > _ROOMY:
        record = {name: value for name, value in record.items() if name != "input_text"}
        record["input_key"] = keys.input_key(record["job_id"], record["input_format"])
    return record


def _size(record: Document) -> int:
    return len(json.dumps(record, ensure_ascii=False, default=str).encode())


def _cut(message: str) -> str:
    if len(message) <= MAX_ERROR_CHARACTERS:
        return message
    return f"{message[: MAX_ERROR_CHARACTERS - 1]}…"


def parse_status(status: str) -> JobStatus:
    """Read a status.

    Raises:
        InputError: there is no such status.
    """
    try:
        return JobStatus(status)
    except ValueError:
        known = ", ".join(JobStatus)
        raise InputError(f"unknown job status {status!r}", remedy=f"one of: {known}") from None


def with_status(record: Document, status: JobStatus, now: str) -> Document:
    """The record in another state.

    Args:
        record: as it is.
        status: as it should be; the present one is always allowed.
        now: timestamp for ``completed_at``.

    Raises:
        JobConflictError: no way leads from the present status to that one.
    """
    present = JobStatus(record["status"])
    if status is present:
        return record
    if status not in _AFTER[present]:
        raise JobConflictError(
            f"job {record['job_id']} is {present.value} and cannot become {status.value}",
            remedy=f"resume it first: darkchannel jobs resume {record['job_id']}",
        )
    changed = {**record, "status": status.value}
    if status is JobStatus.COMPLETED:
        changed["completed_at"] = now
    else:
        changed.pop("completed_at", None)
    if not status.final:
        changed.pop("error", None)
    return changed


def lease_of(record: Document) -> Lease | None:
    """The lease written in a record, expired or not."""
    lease = record.get("lease")
    if not lease:
        return None
    return Lease(lease["owner"], float(lease["expires_at"]), int(record["fencing"]))


def live_lease(record: Document, now: float) -> Lease | None:
    """The lease if it counts at a time of the store's clock.

    It does not when it has expired, nor when its owner is a process of this machine that has
    ended: so a command killed and started again goes on at once.
    """
    lease = lease_of(record)
    if lease is None or lease.expires_at <= now or owner.is_gone(lease.owner):
        return None
    return lease


def require_free(record: Document, now: float) -> None:
    """Make sure that nobody works on the job.

    Raises:
        JobBusyError: somebody does.
    """
    held = live_lease(record, now)
    if held is not None:
        host = held.owner.partition("/")[0]
        raise JobBusyError(
            f"job {record['job_id']} is being worked on by another process on {host}",
            remedy=f"wait for it, or cancel it: darkchannel jobs cancel {record['job_id']}",
        )


def require_held(record: Document, lease: Lease) -> None:
    """Make sure that a lease still is the one in the record.

    Raises:
        LeaseLostError: another owner took the job over, or it was deleted.
    """
    current = lease_of(record)
    if current is None or (current.owner, current.fencing) != (lease.owner, lease.fencing):
        raise LeaseLostError(
            f"job {record['job_id']} was taken over by another process",
            remedy="let that one finish; this one has stopped writing",
        )


def require_not_cancelled(record: Document) -> None:
    """Make sure that nobody cancelled the job.

    Raises:
        JobCancelledError: somebody did.
    """
    if record["status"] == JobStatus.CANCELLED:
        raise cancelled(record["job_id"])


def cancelled(job_id: str) -> JobCancelledError:
    """Somebody cancelled the job."""
    return JobCancelledError(
        f"job {job_id} was cancelled",
        remedy=f"its takes are kept: darkchannel jobs resume {job_id}",
    )


def is_deleted(record: Document) -> bool:
    """Whether the record only marks a job that is being deleted."""
    return "deleting_until" in record


def require_present(record: Document) -> Document:
    """Give back the record of a job that is there.

    Raises:
        JobNotFoundError: it is being deleted.
    """
    if is_deleted(record):
        raise not_found(record["job_id"])
    return record


def tombstone(record: Document, now: float) -> Document:
    """What remains of a job while its objects are deleted.

    The fencing number goes on growing, so that whoever still holds a lease loses it.
    ``deleting_until`` is when the last lease that may have a writer expires.
    """
    held = live_lease(record, now)
    return {
        "job_id": record["job_id"],
        "status": JobStatus.CANCELLED.value,
        "created_at": record["created_at"],
        "chapter_title": "",
        "lease": None,
        "fencing": record["fencing"] + 1,
        "deleting_until": 0.0 if held is None else held.expires_at,
    }


def not_found(job_id: str) -> JobNotFoundError:
    """There is no such job."""
    return JobNotFoundError(
        f"there is no job {job_id}", remedy="see what there is: darkchannel jobs list"
    )
