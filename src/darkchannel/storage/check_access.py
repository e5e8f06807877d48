"""Who may do what, by trying what must be refused: strangers, services, links."""

from __future__ import annotations

import os
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from urllib.parse import quote, urlsplit

from darkchannel.errors import (
    DarkChannelError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
)
from darkchannel.storage.client import MinIOClient
from darkchannel.storage.connections import LOOPBACK
from darkchannel.storage.s3_errors import shown_endpoint

_REFUSED = {401, 403}
_DATA = b"written by darkchannel store check"
_TIMEOUT_SECONDS = 10.0


@contextmanager
def written(
    client: MinIOClient, bucket: str, name: str, data: bytes = _DATA, folder: str = ""
) -> Iterator[str]:
    """An object for the time of a check; however that ends, the object goes.

    Args:
        client: to write and delete with.
        bucket: to write to.
        name: of the object in its folder.
        data: its bytes.
        folder: as :func:`new_folder` gives it; by default one of its own.

    Yields:
        Its key.
    """
    key = f"{folder or new_folder()}/{name}"
    try:
        client.put(bucket, key, data)
        yield key
    except BaseException:
        with suppress(DarkChannelError):  # what went wrong first is what has to be told
            client.delete(bucket, key)
        raise
    client.delete(bucket, key)


def new_folder() -> str:
    """A name that is no job id, so that nothing of it is ever taken for a job."""
    return f".check-{secrets.token_hex(8)}"


def anonymous(client: MinIOClient) -> str:
    """No bucket can be listed or read without a signature."""
    open_to_all = []
    for bucket in client.config.buckets:
        if client.has_bucket(bucket) is False:
            continue
        for act, path in (("list", ""), ("read", f"/{quote(_any_key(client, bucket))}")):
            url = f"{client.config.endpoint}/{bucket}{path}"
            if _answer("GET", url).status not in _REFUSED:
                open_to_all.append(f"{act} {bucket}")
    if open_to_all:
        raise StoreError(
            f"anybody may {', '.join(open_to_all)}",
            remedy="remove the bucket policy: mc anonymous set none ALIAS/BUCKET",
        )
    return "refused on every bucket"


def _any_key(client: MinIOClient, bucket: str) -> str:
    """Of an object where there is one: a policy may open part of a bucket only."""
    first = None
    with suppress(StoreAccessError):
        first = next(client.list(bucket), None)
    return f"{new_folder()}/absent" if first is None else first.key


def only_user(client: MinIOClient) -> str:
    """Nothing to try: the embedded store has one user, made for it alone."""
    return f"the embedded store's own user, {client.config.credentials.access_key[:4]}..."


def service_key(client: MinIOClient) -> str:
    """The credentials in use are no administrator's: they may not create a bucket."""
    bucket = f"{client.config.buckets.jobs[:40]}-check-{secrets.token_hex(4)}"
    try:
        client.create_bucket(bucket)
    except StoreAccessError:
        return "may not create buckets"
    except StoreUnavailableError:
        # It may have been made all the same.
        with suppress(DarkChannelError):
            client.delete_bucket(bucket)
        raise
    client.delete_bucket(bucket)
    raise StoreError(
        "these credentials may create buckets: they are an administrator's",
        remedy="use the service's own key in MINIO_ACCESS_KEY and MINIO_SECRET_KEY"
        " (scripts/minio-setup.sh makes one for each service)",
    )


def link_key(client: MinIOClient) -> str:
    """The credentials that sign links read finished books, and can do nothing else."""
    config = client.config
    if config.link_credentials is None:
        return "none of its own: links are signed with the service key"
    link = MinIOClient(replace(config, credentials=config.link_credentials))
    jobs, output, temp = config.buckets.jobs, config.buckets.output, config.buckets.temp
    folder, name = new_folder(), "final/book.txt"
    # Of objects that are there: for one that is not, a server may refuse whoever may read it.
    with (
        written(client, jobs, "metadata.json", folder=folder) as state,
        written(client, jobs, name, folder=folder) as book,
        written(client, output, name, folder=folder),
        written(client, temp, name, folder=folder),
    ):
        _may_read(link, (jobs, output), book)
        tries: dict[str, Callable[[], object]] = {
            f"list {jobs}": lambda: next(link.list(jobs), None),
            f"list {output}": lambda: next(link.list(output), None),
            f"read {jobs}/*/metadata.json": lambda: link.get(jobs, state),
            f"read {temp}": lambda: link.get(temp, book),
            f"write {jobs}/*/final/*": lambda: link.put(jobs, book, b""),
            f"write {output}": lambda: link.put(output, book, b""),
            f"delete {jobs}/*/final/*": lambda: link.delete(jobs, book),
            f"delete {output}": lambda: link.delete(output, book),
        }
        allowed = [act for act, attempt in tries.items() if not _is_refused(attempt)]
    if allowed:
        raise StoreError(
            f"links are signed by a user who may {', '.join(allowed)}",
            remedy=f"let MINIO_LINK_ACCESS_KEY s3:GetObject on {jobs}/*/final/* and {output}/*"
            " alone (scripts/minio-setup.sh does)",
        )
    return "reads finished books, and nothing else"


def _may_read(link: MinIOClient, buckets: Iterable[str], book: str) -> None:
    try:
        for bucket in buckets:
            link.get(bucket, book)
    except StoreAccessError as error:
        raise StoreAccessError(
            f"links are signed by a user who may not read finished books: {error.message}",
            remedy="check MINIO_LINK_ACCESS_KEY and MINIO_LINK_SECRET_KEY, and that this user may"
            " s3:GetObject on */final/* of the jobs bucket and on the output bucket",
        ) from error


def _is_refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except StoreAccessError:
        return True
    return False


def links(client: MinIOClient) -> str:
    """A presigned link opens at the public address; a forged or an unsigned one does not."""
    config = client.config
    public = shown_endpoint(config.public_endpoint or config.endpoint)
    with written(client, config.buckets.jobs, "final/book.txt") as key:
        link = client.generate_presigned_url(config.buckets.jobs, key, 60)
        head = client.generate_presigned_url(config.buckets.jobs, key, 60, head=True)
        for method, url in (("GET", link), ("HEAD", head)):
            found = _answer(method, url)
            if found.status != 200 or (method == "GET" and found.body != _DATA):
                raise StoreError(
                    f"{public} answers {found.status} to {method} by a presigned link",
                    remedy="MINIO_ENDPOINT_EXTERNAL must be the address that the server or its"
                    " gateway sees in the Host header, and the link key must be valid",
                )
        forged = link[:-1] + ("0" if link[-1] != "0" else "1")
        for what, url in (("forged", forged), ("unsigned", link.partition("?")[0])):
            status = _answer("GET", url).status
            if status not in _REFUSED:
                raise StoreError(
                    f"{public} answers {status} to a {what} link instead of refusing it",
                    remedy="look at what answers there: it must pass signatures on to the store",
                )
    return f"GET and HEAD open at {public}; forged and unsigned ones are refused"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


def _answer(method: str, url: str) -> _Answer:
    """What a stranger gets who has nothing but an address.

    Raises:
        StoreUnavailableError: no answer at all.
    """
    # The scheme is that of a configured endpoint, checked when settings are read.
    request = urllib.request.Request(url, method=method)  # noqa: S310
    try:
        with _opener(url).open(request, timeout=_TIMEOUT_SECONDS) as answer:
            return _Answer(answer.status, answer.read(len(_DATA) + 1))
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _Answer(refusal.code, b"")
    except (OSError, HTTPException) as error:
        raise StoreUnavailableError(
            f"{shown_endpoint(url)} does not answer to {method}: {error}",
            remedy="check MINIO_ENDPOINT_EXTERNAL, or run this where that address can be reached",
        ) from error


def _opener(url: str) -> urllib.request.OpenerDirector:
    # As the client does: authorities by AWS_CA_BUNDLE, and no proxy to our own loopback.
    parts = urlsplit(url)
    handlers: list[urllib.request.BaseHandler] = []
    if parts.scheme == "https":
        trusted = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
        handlers.append(urllib.request.HTTPSHandler(context=trusted))
    if parts.hostname in LOOPBACK:
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)
