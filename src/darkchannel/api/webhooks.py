"""Telling somebody's server that a job has ended: signed, tried again, and never in the way.

The address is resolved once and that very address is connected to, so that a name which points
elsewhere the second time gains nothing; addresses of private networks and of this machine are
refused unless a setting allows them.  Redirects are not followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import SplitResult, urlsplit

from darkchannel.api.jobs_models import JobAnswer
from darkchannel.config import HttpSettings
from darkchannel.errors import InputError, SettingError

LOG = logging.getLogger("darkchannel.webhooks")
Job = Mapping[str, Any]
Resolve = Callable[[str, int], Sequence[str]]

SIGNATURE = "DarkChannel-Signature"
"""``t=UNIX_SECONDS,v1=HEX``: HMAC-SHA256, with the secret, of ``UNIX_SECONDS.BODY``."""

DELAYS = (5.0, 30.0, 120.0, 600.0, 1800.0)
"""Seconds before each further attempt."""

ATTEMPT_SECONDS = 10.0
"""What one attempt may take in all, however slowly the other side answers."""

_MOST_PENDING = 1000
_THREADS = 4
_ANSWER_BYTES = 1024
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Webhooks:
    """Deliveries under way; safe to use from any thread.

    Args:
        settings: with the secret, and whether private addresses are allowed.
        on_done: told of each job whose delivery ended, and how: ``delivered`` or ``failed``.
        resolve: addresses of a host and port.
        delays: seconds before each further attempt.
        attempt_seconds: of one attempt.
    """

    def __init__(
        self,
        settings: HttpSettings,
        on_done: Callable[[Job, str], object] = lambda _job, _result: None,
        *,
        resolve: Resolve | None = None,
        delays: Sequence[float] = DELAYS,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> None:
        self._secret = settings.webhook_secret
        self._private = settings.webhook_private
        self._on_done = on_done
        self._resolve = resolve or addresses_of
        self._delays = delays
        self._seconds = attempt_seconds
        self._lock = threading.Lock()
        self._pending: dict[str, threading.Timer | None] = {}
        self._stopped = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="webhook")

    def require_allowed(self, url: str) -> None:
        """See that a webhook may be asked for; where its name points to is judged when it is sent.

        Raises:
            SettingError: this service signs none, for want of a secret.
            InputError: it is not an address, or one that is not allowed.
        """
        if self._secret is None:
            raise SettingError(
                "this service sends no webhooks",
                remedy="whoever runs it sets DARKCHANNEL_WEBHOOK_SECRET",
            )
        host = _split(url).hostname or ""
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host)
            self._require_public(host)

    def send(self, job: Job) -> None:
        """Have a job's end told; returns at once.  One that is being told already is left so."""
        with self._lock:
            if self._stopped or job["job_id"] in self._pending:
                return
            if len(self._pending) >= _MOST_PENDING:
                return  # the next search for jobs finds it again
            self._pending[job["job_id"]] = None
        self._submit(dict(job), 0)

    def stop(self) -> None:
        """Give up what is under way; the next start goes on with it."""
        with self._lock:
            self._stopped = True
            timers = [timer for timer in self._pending.values() if timer is not None]
        for timer in timers:
            timer.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _submit(self, job: Job, attempt: int) -> None:
        with self._lock:
            if not self._stopped:
                self._threads.submit(self._attempt, job, attempt)

    def _attempt(self, job: Job, attempt: int) -> None:
        job_id = job["job_id"]
        try:
            self._deliver(job)
        except Exception as error:  # noqa: BLE001 - whatever their server does is no fault here
            why = error.message if isinstance(error, InputError) else type(error).__name__
            LOG.warning("webhook of job %s, attempt %d: %s", job_id, attempt + 1, why)
            if attempt < len(self._delays) and not isinstance(error, InputError):
                timer = threading.Timer(
                    self._delays[attempt], self._submit, args=(job, attempt + 1)
                )
                timer.daemon = True
                with self._lock:
                    if not self._stopped:
                        self._pending[job_id] = timer
                        timer.start()
                return
            self._finish(job, "failed")
        else:
            self._finish(job, "delivered")

    def _finish(self, job: Job, result: str) -> None:
        try:
            self._on_done(job, result)
        finally:
            with self._lock:
                self._pending.pop(job["job_id"], None)

    def _deliver(self, job: Job) -> None:
        url = _split(job["webhook_url"])
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        found = self._resolve(host, port)
        for address in found:
            self._require_public(address)
        if not found:
            raise OSError("the name has no address")
        kind = f"job.{job['status']}"
        body = json.dumps(
            {
                "id": f"{job['job_id']}:{job['revision']}",
                "type": kind,
                "job": JobAnswer.of(job).model_dump(mode="json"),
            }
        ).encode()
        connection = _Pinned(url, host, port, found[0], self._seconds)
        deadline = threading.Timer(self._seconds, connection.abort)
        deadline.daemon = True
        deadline.start()
        try:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "DarkChannel",
                SIGNATURE: signature(self._secret or "", int(time.time()), body),
            }
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read(_ANSWER_BYTES)
            if not 200 <= answer.status < 300:
                raise OSError(f"answered {answer.status}")
        finally:
            deadline.cancel()
            connection.close()

    def _require_public(self, address: str) -> None:
        if not self._private and not is_public(address):
            raise InputError(
                f"a webhook may not go to {address}, which is not on the public internet",
                remedy="whoever runs the service may set DARKCHANNEL_WEBHOOK_PRIVATE=1",
            )


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """What proves that a webhook is ours and how old it is."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"t={timestamp},v1={digest.hexdigest()}"


def addresses_of(host: str, port: int) -> list[str]:
    """All addresses of a host.

    Raises:
        OSError: it has none.
    """
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: str) -> bool:
    """Whether an address lies on the public internet, also one that wraps another."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return ip.is_global and not ip.is_multicast


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        usable = usable and parts.username is None and url.isascii() and url.isprintable()
    except ValueError:
        usable = False
    if not usable:
        raise InputError(
            "the webhook's address cannot be used", remedy="write https://HOST/PATH, in ASCII"
        )
    return parts


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, under the name it was resolved from."""

    def __init__(
        self, url: SplitResult, host: str, port: int, address: str, timeout: float
    ) -> None:
        super().__init__(host, port, timeout=timeout)
        self.default_port = 443 if url.scheme == "https" else 80
        self._address = address
        self._tls = ssl.create_default_context() if url.scheme == "https" else None

    def connect(self) -> None:
        """Connect to the address, and prove the name to TLS."""
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)

    def abort(self) -> None:
        """End whatever it waits for."""
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
