"""Jobs whose chunks somebody else renders: an orchestrator such as n8n, over speech services.

The plan is written when the job is created, so that what is to be rendered, and its digests, are
known.  Whoever renders puts the take under its key; here it is verified and counted, and in the
end merged as every other book.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from darkchannel.audio.takes import check_take
from darkchannel.errors import InputError, JobConflictError, MergeError, NotFoundError
from darkchannel.models import Chunk, Plan, Take
from darkchannel.production.patience import patiently
from darkchannel.production.worker import take_of_object
from darkchannel.storage import JobManager, MinIOClient
from darkchannel.storage.keys import chunk_key
from darkchannel.storage.registered import MAX_REGISTERED, register
from darkchannel.storage.state import Document

MOST_NAMED = 20
"""Chunks that one refusal names; the rest is counted."""

_HEADS_AHEAD = 8


def register_chunk(jobs: JobManager, job_id: str, index: int, plan: Plan) -> Document:
    """Verify the take of a chunk and count it, once however often it is called.

    Args:
        jobs: of the store.
        job_id: whose chunk it is.
        index: of the chunk, from 1.
        plan: of the job.

    Returns:
        The job's metadata afterwards.

    Raises:
        NotFoundError: the plan has no such chunk, or no take lies under its key.
        MergeError: what lies there is not the take of this chunk, or broken.
        JobConflictError: the job is not being rendered.
    """
    if not 1 <= index <= len(plan.chunks):
        raise NotFoundError(f"job {job_id} has no chunk {index}: its plan has {len(plan.chunks)}")
    chunk = plan.chunks[index - 1]
    key = chunk_key(job_id, index)
    try:
        stored = jobs.client.get(jobs.bucket, key)
    except NotFoundError as error:
        raise NotFoundError(f"there is no take at {key}", chunk=index) from error
    take = take_of_object(stored.info, chunk)
    if take is None:
        raise MergeError(
            f"what lies at {key} is not a take of chunk {index} of this plan",
            chunk=index,
            remedy="render the chunk with the text, voice, language and speed of the plan",
        )
    if hashlib.sha256(stored.data).hexdigest() != take.sha256:
        raise MergeError(f"the take of chunk {index} is not the one its facts name", chunk=index)
    check_take(stored.data, chunk)
    return register(jobs, job_id, index)


def find_takes(
    client: MinIOClient, bucket: str, job_id: str, chunks: Sequence[Chunk]
) -> dict[int, Take]:
    """The takes of chunks that are there, as their objects describe them."""

    def find(chunk: Chunk) -> Take | None:
        key = chunk_key(job_id, chunk.index)
        try:
            return take_of_object(patiently(lambda: client.head(bucket, key)), chunk)
        except NotFoundError:
            return None

    with ThreadPoolExecutor(_HEADS_AHEAD, thread_name_prefix="find-takes") as threads:
        return {take.index: take for take in threads.map(find, chunks) if take is not None}


def require_all(chunks: Sequence[Chunk], takes: Mapping[int, Take]) -> None:
    """See that no take is missing.

    Raises:
        MergeError: some are; the message names their chunks.
    """
    missing = [chunk.index for chunk in chunks if chunk.index not in takes]
    if missing:
        raise refusal(missing, "takes are missing")


def refusal(indexes: Sequence[int], why: str) -> MergeError:
    """The merge gate's refusal, naming chunks."""
    named = ", ".join(map(str, indexes[:MOST_NAMED]))
    more = f" and {len(indexes) - MOST_NAMED} more" if len(indexes) > MOST_NAMED else ""
    return MergeError(
        f"{why}: chunk{'s' * (len(indexes) > 1)} {named}{more}",
        chunk=indexes[0],
        remedy="render and register them, then merge again",
    )


def require_registrable(plan: Plan) -> None:
    """See that a plan is not too long to be rendered elsewhere.

    Raises:
        InputError: it is.
    """
    if len(plan.chunks) >= MAX_REGISTERED:
        raise InputError(
            f"the text makes {len(plan.chunks)} chunks; at most {MAX_REGISTERED - 1} can be "
            "rendered elsewhere",
            remedy="split the book into volumes",
        )


def require_outside(metadata: Document) -> None:
    """See that a job's chunks are rendered elsewhere.

    Raises:
        JobConflictError: they are rendered here.
    """
    if metadata.get("render") != "external":
        raise JobConflictError(
            f"the chunks of job {metadata['job_id']} are rendered here",
            remedy='create the job with `"render": "external"` to render them elsewhere',
        )
