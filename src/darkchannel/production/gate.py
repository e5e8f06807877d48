"""The merge gate: nothing is mastered until every take is proven to be there and whole."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from darkchannel.audio.takes import check_take
from darkchannel.config import Buckets
from darkchannel.errors import IntegrityError, MergeError, NotFoundError, StoreUnavailableError
from darkchannel.models import Chunk, Take
from darkchannel.production.patience import patiently
from darkchannel.storage import MinIOClient

_READS_AHEAD = 8


def read_takes(client: MinIOClient, buckets: Buckets, takes: Sequence[Take]) -> Iterator[bytes]:
    """The WAV bytes of takes, in order, read a few ahead and checked against their digests.

    Raises:
        MergeError: a take is gone or differs from what was rendered; names the chunk.
    """
    with ThreadPoolExecutor(_READS_AHEAD, thread_name_prefix="read-takes") as threads:
        ahead: deque[Future[bytes]] = deque()
        coming = iter(takes)
        try:
            for take in coming:
                ahead.append(threads.submit(_read, client, buckets.jobs, take))
                if len(ahead) >= _READS_AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def find_broken_takes(
    client: MinIOClient, buckets: Buckets, chunks: Sequence[Chunk], takes: Sequence[Take]
) -> list[MergeError]:
    """Read every take once and say what is wrong with each that cannot be merged.

    Returns:
        One error for each broken take, in order; empty when the book may be made.
    """
    gone = threading.Event()

    def problem(pair: tuple[Chunk, Take]) -> MergeError | None:
        if gone.is_set():
            return None  # nobody asks: an earlier take's error ends it all
        chunk, take = pair
        try:
            frames = check_take(_read(client, buckets.jobs, take), chunk)
            if frames != take.frames:
                return MergeError(
                    f"the take of chunk {chunk.index} has {frames} frames, expected {take.frames}",
                    chunk=chunk.index,
                )
        except MergeError as error:
            return error
        except StoreUnavailableError:
            gone.set()
            raise
        return None

    broken: list[MergeError] = []
    with ThreadPoolExecutor(_READS_AHEAD, thread_name_prefix="merge-gate") as threads:
        pairs = list(zip(chunks, takes, strict=True))
        for start in range(0, len(pairs), 256):
            found = threads.map(problem, pairs[start : start + 256])
            broken.extend(error for error in found if error is not None)
    return broken


def _read(client: MinIOClient, bucket: str, take: Take) -> bytes:
    try:
        data = patiently(lambda: client.get(bucket, take.key).data)
    except NotFoundError as error:
        raise MergeError(
            f"the take of chunk {take.index} is missing from the store", chunk=take.index
        ) from error
    except IntegrityError as error:
        raise MergeError(str(error), chunk=take.index) from error
    if hashlib.sha256(data).hexdigest() != take.sha256:
        raise MergeError(
            f"the take of chunk {take.index} was changed after it was rendered", chunk=take.index
        )
    return data
