"""What holds for every request and every answer: size, host, headers. Plain ASGI, so that streams stay streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pointsman.console.problems import problem

MOST_BODY_BYTES: Final = 64 * 1024
MOST_OPERATOR_BODY_BYTES: Final = 2 * 1024 * 1024
_PROBES: Final = ("/healthz", "/readyz")
_LARGE: Final = ("/api/agents/", "/api/dead-letters/")
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class Guard:
    """Puts the headers on every answer, answers only to its own names, and reads no body that is too large.

    Args:
        app: the application behind.
        hosts: host names that it answers to.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._named = TrustedHostMiddleware(app, allowed_hosts=list(hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = MOST_OPERATOR_BODY_BYTES if scope["path"].startswith(_LARGE) else MOST_BODY_BYTES
        body = _Body(receive, most)
        if body.is_declared_too_large(scope):
            await problem(413, f"At most {most} bytes are taken.", "too_large")(scope, receive, _dressed(send))
            return
        # A probe asks by the address of the process, whatever that is.
        behind = self._app if scope["path"] in _PROBES else self._named
        await behind(scope, body.receive, _dressed(send))


class _Body:
    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._read = 0

    def is_declared_too_large(self, scope: Scope) -> bool:
        declared = Headers(scope=scope).get("content-length", "0")
        return not declared.isdecimal() or len(declared) > 12 or int(declared) > self._most

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._most:
                # As if the sender had hung up: nothing more is read, and nobody works on half a body.
                return {"type": "http.disconnect"}
        return message


def _dressed(send: Send) -> Send:
    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                # A page of its own kind may say more precisely what it allows.
                headers.setdefault(name, value)
        await send(message)

    return dressed
