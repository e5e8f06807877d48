"""What happens to every request, whatever it asks for (pure ASGI).

It gets an id and a line in the log, is counted, and its answer carries the headers that keep a
browser from guessing.  Whatever goes wrong unexpectedly ends here, in the log and as a 500.
While a service stops, new requests get a 503, and those under way are counted down.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darkchannel.api import logs
from darkchannel.api.metrics import Metrics
from darkchannel.api.problems import problem, problem_of

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Answered without a key, and while the service stops: an orchestrator asks them."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""Set where the answer does not set them itself.  There are no CORS headers: other sites' pages
may not read answers."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Drain:
    """The end of a service: begun by SIGTERM, done when nothing is under way any more."""

    def __init__(self) -> None:
        self.begun = False
        self.under_way = 0

    @property
    def done(self) -> bool:
        """Whether the service may go."""
        return self.begun and self.under_way == 0


class Requests:
    """Ids, log lines, numbers, headers, and the last resort for errors."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        drain: Drain,
        quiet: Collection[str] = ("/healthz", "/readyz", "/metrics"),
    ) -> None:
        """Wrap an application.

        Args:
            app: to be wrapped.
            metrics: where requests are counted.
            drain: of the service.
            quiet: paths that are logged only when they fail.
        """
        self._app = app
        self._metrics = metrics
        self._drain = drain
        self._quiet = frozenset(quiet)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        with logs.binding(request_id=request_id):
            if scope["path"] in OPEN_PATHS:
                await self._answer(scope, receive, send, request_id)
                return
            self._drain.under_way += 1
            try:
                await self._answer(scope, receive, send, request_id)
            finally:
                self._drain.under_way -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        began, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if self._drain.begun and scope["path"] not in OPEN_PATHS:
                stopping = problem(503, "the service is stopping", error="UnavailableError")
                await stopping(scope, receive, watched)
            else:
                await self._app(scope, receive, watched)
        except Exception as error:
            logs.ACCESS.exception("unexpected error")
            if status:
                raise  # too late for an answer: the connection must not look like a whole one
            await problem_of(error)(scope, receive, watched)
        finally:
            self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if route != "unmatched" else "*"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.latency.labels(method, route).observe(seconds)
        if scope["path"] in self._quiet and status < 400:
            return
        fields = {
            "method": scope["method"],
            "path": scope["path"][:300],  # never the query: it may hold a signature
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
        }
        logs.ACCESS.info("request", extra={"fields": fields})
