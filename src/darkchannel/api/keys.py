"""API keys: made once, kept as hashes, compared in constant time, limited in rate.

A key is 256 random bits, so a plain SHA-256 of it cannot be guessed back; the slow hashes that
protect passwords would only slow every request down.  The file holds ``name:sha256`` a line and
is read again when it changes: a key that is taken out stops working at once.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from darkchannel.api import logs
from darkchannel.api.problems import problem
from darkchannel.api.requests import OPEN_PATHS
from darkchannel.errors import InputError, OutputError, SettingError

PREFIX = "dck_"
"""So that a key can be told from other secrets, by log filters and by scanners of repositories."""

BURST_SECONDS = 2.0
"""How many seconds' worth of requests may come at once."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOOK_AGAIN_SECONDS = 1.0


def new_key() -> str:
    """A new key; nobody can show it again."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """What is kept of a key: its SHA-256 in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


class KeyFile:
    """The file of key names and hashes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, str]:
        """Hashes by name; none where there is no file.

        Raises:
            SettingError: the file cannot be read or a line is not ``name:sha256``.
        """
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"the API keys in {self.path} cannot be read: {error}") from error
        keys = {}
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            name, _, digest = line.strip().partition(":")
            if not _NAME.fullmatch(name) or not re.fullmatch("[0-9a-f]{64}", digest):
                raise SettingError(
                    f"line {number} of {self.path}: expected NAME:SHA256",
                    remedy="make keys with `darkchannel keys add NAME`",
                )
            keys[name] = digest
        return keys

    def add(self, name: str) -> str:
        """Make a key, keep its hash, and give the key.

        Raises:
            InputError: the name is not allowed or taken.
            OutputError: the file cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} is no name for a key", remedy="use 1 to 64 of A-Z a-z 0-9 . _ -"
            )
        keys = self.read()
        if name in keys:
            raise InputError(f"there is a key {name} already", remedy="remove it first")
        key = new_key()
        self._write({**keys, name: hash_of(key)})
        return key

    def remove(self, name: str) -> None:
        """Let a key no longer work.

        Raises:
            InputError: there is none of that name.
            OutputError: the file cannot be written.
        """
        keys = self.read()
        if keys.pop(name, None) is None:
            raise InputError(f"there is no key {name}")
        self._write(keys)

    def _write(self, keys: dict[str, str]) -> None:
        text = "".join(f"{name}:{digest}\n" for name, digest in sorted(keys.items()))
        draft = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(text)
            draft.replace(self.path)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror}") from error


class Keyring:
    """The keys of a running service, kept up with the file."""

    def __init__(self, file: KeyFile) -> None:
        self._file = file
        self._keys = file.read()
        self._seen = self._version()
        self._looked = time.monotonic()

    @property
    def is_empty(self) -> bool:
        """Whether there are no keys at all: then none is asked for, on loopback alone."""
        self._keep_up()
        return not self._keys

    def name_of(self, key: str) -> str | None:
        """Whose key it is; None for nobody's.  Takes equally long whichever it is."""
        self._keep_up()
        digest, found = hash_of(key), None
        for name, known in self._keys.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found

    def _keep_up(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_AGAIN_SECONDS:
            return
        self._looked = now
        version = self._version()
        if version != self._seen:
            self._seen = version
            try:
                keys = self._file.read()
            except SettingError as error:
                logs.ACCESS.error("API keys: %s; the ones before stay", error.message)
                return
            if not keys and self._keys:
                # An empty file must not open the service to everybody.
                keys = {"nobody": "0" * 64}
            self._keys = keys

    def _version(self) -> tuple[int, int] | None:
        try:
            found = self._file.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


class Bucket:
    """A token bucket: so many requests a second, some of them at once."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._most = max(1.0, rate * BURST_SECONDS)
        self._tokens = self._most
        self._clock = clock
        self._filled = clock()

    def take(self) -> float:
        """Take a token; the seconds until there is one, 0 if it was there."""
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate


class RequireKey:
    """Lets in who has a key, not too often (pure ASGI).

    Where there are no keys the service listens on loopback alone; then only requests that
    address it there are let in, so that no web page can reach it under a name of its own.
    """

    def __init__(self, app: ASGIApp, keyring: Keyring, rate: float) -> None:
        self._app = app
        self._keyring = keyring
        self._rate = rate
        self._buckets: dict[str, Bucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, 421 or 429, or pass the request on."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> ASGIApp | None:
        if self._keyring.is_empty:
            if is_loopback(_host(headers.get("host", ""))):
                return None
            return problem(
                421,
                "without API keys this service answers only at a loopback address",
                error="InputError",
                remedy="call it at 127.0.0.1, or make a key: `darkchannel keys add NAME`",
            )
        scheme, _, key = headers.get("authorization", "").partition(" ")
        name = self._keyring.name_of(key.strip()) if scheme.lower() == "bearer" else None
        if name is None:
            return problem(
                401,
                "an API key is needed",
                error="Unauthorized",
                remedy="send `Authorization: Bearer KEY`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        logs.bind(key=name)
        wait = self._buckets.setdefault(name, Bucket(self._rate)).take()
        if wait:
            return problem(
                429,
                f"too many requests with the key {name}",
                error="TooManyRequests",
                headers={"Retry-After": str(int(wait) + 1)},
            )
        return None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_keys_off_loopback(host: str, keyring: Keyring) -> None:
    """See that a service others can reach has a key.

    Raises:
        SettingError: it has none.
    """
    if keyring.is_empty and not is_loopback(host):
        raise SettingError(
            f"listening on {host} lets others in, and there is no API key",
            remedy="make one with `darkchannel keys add NAME`, or listen on 127.0.0.1",
        )


def _host(header: str) -> str:
    """The host of a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()
