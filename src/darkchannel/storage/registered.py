"""Which chunks an outside orchestrator has registered, counted in the job's metadata.

A set of chunk numbers as a bitmap, compressed: filled in order it takes a few bytes, and a few
kilobytes at worst, so that the metadata stays small.
"""

from __future__ import annotations

import base64
import binascii
import zlib

from darkchannel.errors import IntegrityError, JobConflictError
from darkchannel.models import JobStatus
from darkchannel.storage import keys, record
from darkchannel.storage.jobs import JobManager
from darkchannel.storage.state import Document, StateStore

FIELD = "registered"
MAX_REGISTERED = 16_000
"""Chunks of a job whose takes are registered: the bitmap has room beside the rest."""


def register(jobs: JobManager, job_id: str, index: int) -> Document:
    """Count a chunk as rendered, once however often it is called.

    Args:
        jobs: of the store.
        job_id: whose chunk it is.
        index: of the chunk, from 1.

    Returns:
        The job's metadata afterwards.

    Raises:
        JobConflictError: the job is not being rendered.
        JobNotFoundError: there is no such job.
    """

    def change(document: Document, _now: float) -> Document | None:
        record.require_present(document)
        status = JobStatus(document["status"])
        done = registered(document)
        if index in done:
            return None
        if status not in {JobStatus.PENDING, JobStatus.PROCESSING}:
            raise JobConflictError(
                f"job {job_id} is {status.value}: no chunks are registered any more",
                remedy="resume it first",
            )
        done.add(index)
        return {
            **document,
            "status": JobStatus.PROCESSING.value,
            "chunks_completed": len(done),
            FIELD: _packed(done),
        }

    state = StateStore(jobs.client, jobs.bucket, record.check)
    return state.change(keys.metadata_key(job_id), change)


def registered(document: Document) -> set[int]:
    """The chunks registered so far.

    Raises:
        IntegrityError: the metadata is damaged there.
    """
    packed = document.get(FIELD)
    if packed is None:
        return set()
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(packed), MAX_REGISTERED // 8 + 1)
    except (binascii.Error, TypeError, ValueError, zlib.error) as error:
        raise IntegrityError(f"the chunks registered of {document['job_id']}: {error}") from error
    return {
        8 * place + bit for place, byte in enumerate(data) for bit in range(8) if byte >> bit & 1
    }


def _packed(indexes: set[int]) -> str:
    data = bytearray(max(indexes) // 8 + 1)
    for index in indexes:
        data[index // 8] |= 1 << index % 8
    return base64.b64encode(zlib.compress(bytes(data), 9)).decode()
