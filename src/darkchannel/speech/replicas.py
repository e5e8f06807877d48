"""Speech services that stand for each other: asked in turn until one answers.

A name with several addresses, such as that of a scaled service of a stack, is several services.
"""

from __future__ import annotations

import ipaddress
import json
import random
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from darkchannel import errors
from darkchannel.errors import DarkChannelError, EngineUnavailableError, SettingError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

PATIENCE_SECONDS = 120.0
"""How long all of them may refuse before that is the answer; a service that restarts loads its
model in seconds, and one that is busy has its turn in less."""

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 120.0
"""What a place in a full line may take: 64 chunks of 10 s on two cores at five times real time."""

REST_SECONDS = 2.0
"""For which one that failed is left alone."""

LOCATED_SECONDS = 10.0
"""For which the addresses of a name count: services are scaled up and down."""

MOST_ANSWER_BYTES = 64 * 1024 * 1024

_AGAIN = frozenset({429, 500, 502, 503, 504})


def addresses_of(name: str) -> tuple[str, ...] | None:
    """The addresses in the name of an engine; None if it is no address.

    Raises:
        SettingError: it looks like one, but cannot be used.
    """
    if "://" not in name:
        return None
    return tuple(_checked(address.strip()) for address in name.split(","))


def _checked(address: str) -> str:
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or "@" in parts.netloc:
        # Not repeated here: it may hold a password.
        raise SettingError(
            "the engine is not the address of a speech service",
            remedy="write http://HOST:PORT; its key goes into DARKCHANNEL_SPEECH_KEY",
        )
    return address.rstrip("/")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a service says of its engine."""

    name: str
    fingerprint: str
    sample_rate: int
    max_tokens: int
    workers: int

    @classmethod
    def read(cls, raw: Any) -> Facts:
        """Read the answer of ``GET /engine``.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        return cls(
            name=str(raw["name"]),
            fingerprint=str(raw["fingerprint"]),
            sample_rate=int(raw["sample_rate"]),
            max_tokens=int(raw["max_tokens"]),
            workers=int(raw["workers"]),
        )


class _RefusalError(Exception):
    """One service could not answer; the message says why, and another may."""


@dataclass(eq=False, slots=True)
class _Replica:
    """One service; ``host`` is its name where ``address`` is what that was resolved to."""

    address: str
    host: str | None = None
    met: bool = False
    rests_until: float = 0.0


class Replicas:
    """Services with one engine; used by one thread at a time."""

    def __init__(
        self,
        addresses: Sequence[str],
        key: str | None,
        *,
        patience: float = PATIENCE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Name the services; nothing is asked yet.

        Args:
            addresses: such as ``http://127.0.0.1:8001``.
            key: an API key, where they want one.
            patience: seconds for which all may refuse.
            sleep: waits that many seconds.

        Raises:
            EngineUnavailableError: httpx is not installed.
        """
        try:
            import httpx
        except ImportError as error:
            raise EngineUnavailableError(
                "an engine elsewhere needs httpx", remedy="pip install 'darkchannel[remote]'"
            ) from error
        self._httpx = httpx
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._client: httpx.Client | None = None
        self._addresses = tuple(dict.fromkeys(addresses))
        self._replicas: list[_Replica] = []
        self._located = -LOCATED_SECONDS
        self._patience = patience
        self._sleep = sleep
        self._facts: Facts | None = None

    @property
    def facts(self) -> Facts:
        """Of the engine; the first address that answers decides which one it is.

        Raises:
            EngineUnavailableError: none answers.
        """
        if self._facts is not None:
            return self._facts
        self._facts = self._patiently(self._first_facts)
        return self._facts

    def workers(self) -> int:
        """How many chunks they speak at a time, all together; those that do not answer count 1."""
        total = 0
        for replica in self._known():
            try:
                total += self._ask_facts(replica).workers
            except _RefusalError:
                total += 1
        return total

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask one of them, and another where that one cannot answer.

        Args:
            method: of HTTP.
            path: what is asked.
            body: to be sent as JSON.

        Returns:
            The JSON of the answer.

        Raises:
            DarkChannelError: what the service says is wrong with the request.
            EngineUnavailableError: none answers.
        """
        facts = self.facts

        def answer(replica: _Replica) -> Any:
            self._meet(replica, facts)
            return self._request(replica, method, path, body)

        return self._patiently(lambda: self._first(self._in_turn(), answer))

    def close(self) -> None:
        """Let go of the connections; they come back with the next request."""
        for replica in self._replicas:
            replica.met = False
        if self._client is not None:
            self._client.close()
            self._client = None

    def _patiently(self, ask: Callable[[], T]) -> T:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return ask()
            except _RefusalError as refusal:
                if time.monotonic() >= deadline:
                    raise EngineUnavailableError(
                        f"no speech service answers ({refusal})",
                        remedy="see whether it runs: darkchannel serve speech",
                    ) from refusal
            self._sleep(random.uniform(0.2, 0.6))  # noqa: S311 - spreads load

    def _first(self, replicas: Sequence[_Replica], ask: Callable[[_Replica], T]) -> T:
        """The answer of the first that has one; what the others say if none has."""
        reasons = []
        for replica in replicas:
            try:
                return ask(replica)
            except _RefusalError as refusal:
                replica.rests_until = time.monotonic() + REST_SECONDS
                replica.met = False  # it may come back as another
                reasons.append(f"{replica.address}: {refusal}")
        raise _RefusalError("; ".join(reasons))

    def _first_facts(self) -> Facts:
        return self._first(self._known(), self._ask_facts)

    def _in_turn(self) -> list[_Replica]:
        """Any order spreads the load; those that failed a moment ago come last."""
        known = self._known()
        shuffled = random.sample(known, len(known))
        now = time.monotonic()
        return sorted(shuffled, key=lambda replica: replica.rests_until > now)

    def _known(self) -> list[_Replica]:
        now = time.monotonic()
        if now - self._located >= LOCATED_SECONDS:
            before = {replica.address: replica for replica in self._replicas}
            found = [one for address in self._addresses for one in located(address)]
            self._replicas = [before.get(where) or _Replica(where, host) for where, host in found]
            self._located = now
        return self._replicas

    def _meet(self, replica: _Replica, facts: Facts) -> None:
        """See once that its engine sounds as the others'."""
        if replica.met:
            return
        found = self._ask_facts(replica)
        if found.fingerprint != facts.fingerprint:
            raise _RefusalError(
                f"its engine is {found.fingerprint}, another than {facts.fingerprint}"
            )
        replica.met = True

    def _ask_facts(self, replica: _Replica) -> Facts:
        try:
            return Facts.read(self._request(replica, "GET", "/engine", None))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _RefusalError("it is no speech service of this kind") from error

    def _connected(self) -> httpx.Client:
        if self._client is None:
            self._client = self._httpx.Client(
                headers=self._headers,
                timeout=self._httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
                follow_redirects=False,
                trust_env=False,  # no proxy and no .netrc: requests go where they were told to
            )
        return self._client

    def _request(self, replica: _Replica, method: str, path: str, body: Any) -> Any:
        try:
            headers = {} if replica.host is None else {"Host": replica.host}
            where = replica.address + path
            with self._connected().stream(method, where, json=body, headers=headers) as answer:
                data = bytearray()
                for block in answer.iter_bytes():
                    data += block
                    if len(data) > MOST_ANSWER_BYTES:
                        raise _RefusalError("its answer has no end")
                status = answer.status_code
        except self._httpx.HTTPError as error:
            raise _RefusalError(f"{type(error).__name__}: {error}") from error
        try:
            answered = json.loads(bytes(data))
        except ValueError as error:
            raise _RefusalError(f"it answers {status} with something else than JSON") from error
        if status == 200:
            return answered
        raise _error_of(status, answered)


def located(address: str) -> list[tuple[str, str | None]]:
    """Where the services behind an address are: each with its name, where it is another.

    Only addresses of the kind the system prefers count: a machine with IPv4 and IPv6 is one
    machine.  An https address stays as it is: its certificate is the name's.
    """
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 80
    if parts.scheme != "http" or _is_address(host):
        return [(address, None)]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return [(address, None)]  # asked by name, it fails with a reason
    family = found[0][0]
    hosts = dict.fromkeys(str(one[4][0]) for one in found if one[0] == family)
    if any(ipaddress.ip_address(ip.partition("%")[0]).is_loopback for ip in hosts):
        return [(address, None)]
    return [
        (urlunsplit(parts._replace(netloc=f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}")), host)
        for ip in hosts
    ]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _error_of(status: int, document: Any) -> Exception:
    """What a problem document says, as the error it was made of."""
    problem: dict[str, Any] = document if isinstance(document, dict) else {}
    given = problem.get("error")
    facts: dict[str, Any] = given if isinstance(given, dict) else {}
    message = str(facts.get("message") or f"the speech service answers {status}")[:2000]
    if status in {401, 403}:
        return EngineUnavailableError(
            f"the speech service refuses the key: {message}", remedy="set DARKCHANNEL_SPEECH_KEY"
        )
    kind = getattr(errors, str(facts.get("type")), None)
    if status in _AGAIN or not (isinstance(kind, type) and issubclass(kind, DarkChannelError)):
        return _RefusalError(message)
    chunk = facts.get("chunk")
    remedy = str(problem.get("remedy") or "")
    return kind(message, remedy=remedy, chunk=chunk if isinstance(chunk, int) else None)
