"""The page and its JSON over HTTP. Read-only; nothing from a message is ever sent as markup."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pointsman.console.mailbox import Mailbox
from pointsman.console.view import View

_ASSETS: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/console.css": ("console.css", "text/css; charset=utf-8"),
    "/console.js": ("console.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Feed(Protocol):
    """What fills the view while the server runs."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End."""
        ...


def create_app(
    view: View,
    mailbox: Mailbox,
    feed: Feed,
    *,
    flink_url: str = "",
    hosts: Sequence[str] = ("127.0.0.1", "localhost"),
    routers: Sequence[APIRouter] = (),
) -> FastAPI:
    """The application.

    Args:
        view: journeys and agents.
        mailbox: the mails.
        feed: started and stopped with the server.
        flink_url: linked from the page when it is http or https.
        hosts: host names it answers to; a page elsewhere cannot reach it under a name of its own.
        routers: more routes, e.g. those of unsubscription.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        feed.start()
        yield
        feed.stop()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.middleware("http")(_with_headers)
    for router in routers:
        app.include_router(router)
    link = flink_url if urlsplit(flink_url).scheme in {"http", "https"} else ""

    @app.get("/healthz")
    def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/api/state")
    def state(known: str = Query(default="", max_length=200)) -> Response:
        names = mailbox.names()
        version = f"{view.changes}-{len(names)}-{names[0] if names else ''}"
        if known == version:
            return Response(status_code=204)
        return JSONResponse({"version": version, "flink_url": link, **view.state(), "mailbox": mailbox.state()})

    for path, (name, media_type) in _ASSETS.items():
        app.get(path)(_asset(name, media_type))
    return app


def _asset(name: str, media_type: str) -> Callable[[], Response]:
    content = files("pointsman.console").joinpath("static", name).read_bytes()

    def serve() -> Response:
        return Response(content, media_type=media_type)

    return serve


async def _with_headers(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Any:
    response = await proceed(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
