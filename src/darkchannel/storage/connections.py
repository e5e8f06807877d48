"""Live S3 clients: made when first used, one set a process, shared by its threads."""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from darkchannel.config import Credentials, StoreConfig

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from botocore.loaders import Loader
    from mypy_boto3_s3.client import S3Client

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
MAX_CONNECTIONS = 50
"""At least as many as threads that use one client at once."""


class _Live:
    """What belongs to one process and must not be carried into another."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.session: boto3.Session | None = None
        self.clients: dict[str, S3Client] = {}


class Connections:
    """The S3 clients of one store configuration.

    Safe across threads, picklable (a copy makes its own clients), and safe after a fork (the
    child makes its own: sockets shared by two processes would mix their answers).

    Args:
        config: server, credentials and region.
        connect_timeout: seconds to wait for a connection.
        read_timeout: seconds to wait for the next bytes of an answer.
    """

    def __init__(self, config: StoreConfig, connect_timeout: float, read_timeout: float) -> None:
        self._config = config
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._live = _Live()

    def __getstate__(self) -> tuple[StoreConfig, float, float]:
        return (self._config, self._connect_timeout, self._read_timeout)

    def __setstate__(self, state: tuple[StoreConfig, float, float]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    @property
    def retried(self) -> S3Client:
        """For calls that may happen twice: tried up to three times."""
        return self._client("retried", attempts=3)

    @property
    def single(self) -> S3Client:
        """For conditional writes: tried once, because a repetition could lose to itself."""
        return self._client("single", attempts=1)

    @property
    def probe(self) -> S3Client:
        """For asking whether the server is there: tried once, answered within seconds."""
        return self._client("probe", attempts=1, read_timeout=5.0)

    @property
    def signing(self) -> S3Client:
        """For links: the public address and the credentials that may only read."""
        return self._client(
            "signing",
            attempts=1,
            endpoint=self._config.public_endpoint,
            credentials=self._config.link_credentials,
        )

    def _client(
        self,
        name: str,
        *,
        attempts: int,
        read_timeout: float | None = None,
        endpoint: str | None = None,
        credentials: Credentials | None = None,
    ) -> S3Client:
        live = self._live
        if live.pid != os.getpid():
            live = self._live = _Live()
        with live.lock:
            if name not in live.clients:
                live.session = live.session or _session()
                address = endpoint or self._config.endpoint
                keys = credentials or self._config.credentials
                timeout = min(read_timeout or self._read_timeout, self._read_timeout)
                live.clients[name] = live.session.client(
                    "s3",
                    endpoint_url=address,
                    aws_access_key_id=keys.access_key,
                    aws_secret_access_key=keys.secret_key,
                    region_name=self._config.region,
                    config=_options(address, attempts, self._connect_timeout, timeout),
                )
            return live.clients[name]


def _options(endpoint: str, attempts: int, connect_timeout: float, read_timeout: float) -> Config:
    from botocore.config import Config

    # A proxy of the environment cannot reach this machine's own loopback.
    proxies: dict[str, str] | None = {} if urlsplit(endpoint).hostname in LOOPBACK else None
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=MAX_CONNECTIONS,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        tcp_keepalive=True,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        proxies=proxies,
    )


def _session() -> boto3.Session:
    import boto3
    import botocore.session

    # Our settings are the only ones: neither a profile nor a file meant for AWS may change them.
    session = botocore.session.Session(
        session_vars={
            "profile": (None, [], None, None),
            "config_file": (None, [], os.devnull, None),
            "credentials_file": (None, [], os.devnull, None),
        }
    )
    session.register_component("data_loader", _loader())
    return boto3.Session(botocore_session=session)


@functools.cache
def _loader() -> Loader:
    # Reading the description of S3 is most of the cost of a client: do it once a process.
    from botocore.loaders import create_loader

    return create_loader()
