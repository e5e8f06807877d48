"""How much a request's body may hold, whether its length was announced or not (pure ASGI)."""

from __future__ import annotations

import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darkchannel.api.problems import problem


class BodyLimit:
    """Answers 413 to a body that is too large, before it is all here."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._announced(scope) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        counted, too_large, begun = 0, False, False

        async def count() -> Message:
            nonlocal counted, too_large
            message = await receive()
            counted += len(message.get("body", b""))
            if counted > self._max_bytes:
                too_large = True
                raise _TooLargeError
            return message

        async def answer(message: Message) -> None:
            nonlocal begun
            # Frameworks make an answer of their own of whatever reading a body raises.
            if not too_large or begun:
                begun = True
                await send(message)

        with contextlib.suppress(_TooLargeError):
            await self._app(scope, count, answer)
        if too_large and not begun:
            await self._refuse(scope, receive, send)

    @staticmethod
    def _announced(scope: Scope) -> int:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                return int(value)
        return 0

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = problem(
            413,
            f"the request's body is larger than {self._max_bytes:,} bytes",
            error="InputError",
            remedy="send less at once",
            headers={"Connection": "close"},  # the rest of it is not waited for
        )
        await response(scope, receive, send)


class _TooLargeError(Exception):
    """More came than may."""
