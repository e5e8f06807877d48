"""Real servers with several users, each with a policy of its own, as a deployment has them."""

from __future__ import annotations

import io
import json
import os
import secrets
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from darkchannel.config import Buckets, Credentials, StoreConfig
from darkchannel.errors import StoreUnavailableError
from darkchannel.storage.embedded_ports import admin_grpc, choose_ports
from darkchannel.storage.embedded_server import find_server, remove_sockets
from darkchannel.storage.retry import retrying
from tests.servers import MINIO_BINARY, minio, running

BUCKETS = Buckets()
JOBS, OUTPUT, REFS, TEMP = BUCKETS
ADMIN = "administrator"
BOOKS = (f"{JOBS}/*/final/*", f"{OUTPUT}/*")
EVERYWHERE = tuple(f"{bucket}/*" for bucket in BUCKETS)


@dataclass(frozen=True)
class Policy:
    """What a user may do: on objects by ``bucket/key`` patterns, and on whole buckets.

    ``list`` means to look at the bucket itself and at its rules as well.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    list: tuple[str, ...] = ()


POLICIES: Mapping[str, Policy] = {
    # A service, as narrow as it can be: it may not even look at a bucket as such.
    "service": Policy((*EVERYWHERE, "absent-bucket/*"), EVERYWHERE),
    # One that does the tidying up: it lists, and may see what expires.
    "api": Policy(EVERYWHERE, EVERYWHERE, tuple(BUCKETS)),
    # One that belongs to something else on the same server.
    "stranger": Policy(("another-bucket/*",), ("another-bucket/*",)),
    # What links should be signed with, and what they should not.
    "link": Policy(BOOKS),
    "link-that-lists": Policy(BOOKS, list=(JOBS, OUTPUT)),
    "link-that-reads-state": Policy((*BOOKS, f"{JOBS}/*")),
    "link-that-reads-takes": Policy((*BOOKS, f"{TEMP}/*", f"{REFS}/*")),
    "link-that-writes": Policy(BOOKS, BOOKS),
    "link-of-published-books-only": Policy((f"{OUTPUT}/*",)),
    "link-of-job-results-only": Policy((f"{JOBS}/*/final/*",)),
}


@dataclass(frozen=True)
class Deployment:
    """A server with the users of :data:`POLICIES`.

    Attributes:
        admin: its address, and who may do everything.
        users: credentials by name, the administrator's among them.
    """

    admin: StoreConfig
    users: Mapping[str, Credentials]

    def seen_by(self, user: str, link: str | None = None) -> StoreConfig:
        """The configuration of a service that has this user's key, and another's for links."""
        return replace(
            self.admin,
            credentials=self.users[user],
            link_credentials=None if link is None else self.users[link],
            data_dir=None,
        )


@contextmanager
def _seaweedfs(directory: Path) -> Iterator[Deployment]:
    """The server of the embedded store, told of several identities."""
    users, admin = _keys(), Credentials(ADMIN, secrets.token_hex(16))
    identities = [_identity(ADMIN, admin, ["Admin"])]
    for name, policy in POLICIES.items():
        actions = [f"Read:{place}" for place in policy.read]
        actions += [f"Write:{place}" for place in policy.write]
        actions += [f"{act}:{bucket}" for bucket in policy.list for act in ("List", "Read")]
        identities.append(_identity(name, users[name], actions))
    config = directory / "identities.json"
    config.write_text(json.dumps({"identities": identities}))
    ports = choose_ports()
    command = [str(find_server()), "mini", "-dir=.", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    command += [f"-admin.port.grpc={admin_grpc(ports)}", f"-s3.config={config}", "-webdav=false"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-admin.ui=false", "-s3.iam=false"]
    command += ["-s3.autoCreateBucket=false", "-master.telemetry=false"]
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    try:
        with running(command, {**os.environ, "HOME": str(directory)}, directory / "log", endpoint):
            yield Deployment(StoreConfig(endpoint, admin), {**users, ADMIN: admin})
    finally:
        remove_sockets(ports)


def _identity(name: str, keys: Credentials, actions: list[str]) -> dict[str, object]:
    pair = {"accessKey": keys.access_key, "secretKey": keys.secret_key}
    return {"name": name, "credentials": [pair], "actions": actions}


@contextmanager
def _minio(directory: Path) -> Iterator[Deployment]:
    users = _keys()
    with minio(directory) as config:
        # Answered once it has read the users it has: an import before that would be forgotten.
        retrying(lambda: _admin(config, "GET", "list-users"), attempts=None, deadline=60)
        _admin(config, "PUT", "import-iam", _archive(users))
        yield Deployment(replace(config, data_dir=None), {**users, ADMIN: config.credentials})


def _archive(users: Mapping[str, Credentials]) -> bytes:
    """Users and their policies as MinIO exports and restores them, which is plain JSON."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in {
            "policies": {name: _document(policy) for name, policy in POLICIES.items()},
            "users": {
                keys.access_key: {"secretKey": keys.secret_key, "status": "enabled"}
                for keys in users.values()
            },
            "user_mappings": {
                keys.access_key: {"version": 1, "policy": name} for name, keys in users.items()
            },
        }.items():
            file.writestr(f"iam-assets/{name}.json", json.dumps(content))
    return archive.getvalue()


def _admin(config: StoreConfig, method: str, act: str, data: bytes = b"") -> None:
    """One call of MinIO's administration."""
    url = f"{config.endpoint}/minio/admin/v3/{act}"
    signed = AWSRequest(method, url, data=data)
    root = BotoCredentials(config.credentials.access_key, config.credentials.secret_key)
    S3SigV4Auth(root, "s3", config.region).add_auth(signed)
    headers = dict(signed.headers.items())
    request = urllib.request.Request(url, data or None, headers, method=method)
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        if error.code == 503:  # it answers a moment before it is ready
            raise StoreUnavailableError(str(error)) from error
        raise


def _document(policy: Policy) -> dict[str, object]:
    granted = {
        ("s3:GetObject",): policy.read,
        ("s3:PutObject", "s3:DeleteObject"): policy.write,
        ("s3:ListBucket", "s3:GetLifecycleConfiguration"): policy.list,
    }
    statements = [
        {
            "Effect": "Allow",
            "Action": list(actions),
            "Resource": [f"arn:aws:s3:::{place}" for place in places],
        }
        for actions, places in granted.items()
        if places
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _keys() -> dict[str, Credentials]:
    return {
        name: Credentials(f"user-{number}", secrets.token_hex(16))
        for number, name in enumerate(POLICIES)
    }


DEPLOYMENTS: dict[str, Callable[[Path], AbstractContextManager[Deployment]]] = {
    "embedded": _seaweedfs
}
if MINIO_BINARY in os.environ:
    DEPLOYMENTS["minio"] = _minio
