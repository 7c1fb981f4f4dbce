"""The console as one application: pages, the interface behind them, the public lead form and the leads' API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.resources import files
from typing import Final, Protocol

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.staticfiles import StaticFiles

from pointsman.console.desk import Desk
from pointsman.console.guard import Guard
from pointsman.console.overview import Overview
from pointsman.console.problems import install_problems
from pointsman.console.rates import Rates
from pointsman.console.routes import agents, board, cards, leads, letters, sessions, sso, waiting, workflows
from pointsman.console.sessions import TheDesk
from pointsman.console.tickets import Tickets
from pointsman.errors import PointsmanError
from pointsman.leads import COLLECTION

_PAGES: Final = ("/", "/login", "/workflows/{key}", "/waiting", "/dead-letters", "/agents", "/agents/{name}")
_OPEN_PAGES: Final = {"/form": "form.html", "/api/docs": "docs.html"}


class Feed(Protocol):
    """What runs beside the server: fills the view, watches the cluster."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End."""
        ...


def create_app(
    desk: Desk,
    feeds: Sequence[Feed] = (),
    *,
    hosts: Sequence[str] = ("127.0.0.1", "localhost"),
    routers: Sequence[APIRouter] = (),
) -> FastAPI:
    """The application.

    Args:
        desk: what it works with.
        feeds: started and stopped with the server.
        hosts: host names it answers to; a page elsewhere cannot reach it under a name of its own.
        routers: more routes, e.g. those of unsubscription.
    """
    app = FastAPI(
        title="Pointsman",
        summary="Hand leads in over HTTP.",
        version="1",
        lifespan=_lifespan(desk, feeds),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.desk, app.state.overview = desk, Overview(desk)
    app.state.rates, app.state.tickets = Rates(), Tickets(desk.now, desk.access.form_secret)
    app.state.key_checks = sessions.key_checks()
    app.add_middleware(Guard, hosts=hosts)
    install_problems(app)
    for module in (leads, sessions, sso, board, workflows, waiting, letters, agents, cards):
        app.include_router(module.router)
    for router in routers:
        app.include_router(router)
    app.get("/healthz", summary="Does the process answer?", tags=["health"])(healthz)
    app.get("/readyz", summary="Do the things it needs answer?", tags=["health"])(readyz)
    _add_pages(app)
    return app


def healthz() -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


async def readyz(desk: TheDesk) -> Response:
    """200 when Kafka and MongoDB answer, else 503; which of them does not is in the body."""
    try:
        await desk.store.get(COLLECTION, "-")
        mongodb = "up"
    except PointsmanError:
        mongodb = "down"
    parts = {"kafka": desk.view.kafka, "mongodb": mongodb}
    return JSONResponse(parts, status_code=200 if set(parts.values()) == {"up"} else 503)


def _lifespan(desk: Desk, feeds: Sequence[Feed]) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(desk.store.close)
            for feed in feeds:
                feed.start()
                stack.callback(feed.stop)
            yield

    return lifespan


def _add_pages(app: FastAPI) -> None:
    """One document for all pages behind the login; it holds no data, so that it needs none itself."""
    static = files("pointsman.console").joinpath("static")
    for paths, name in [(_PAGES, "index.html"), *(((path,), name) for path, name in _OPEN_PAGES.items())]:
        page = static.joinpath(name).read_bytes()

        def serve(page: bytes = page) -> Response:
            return Response(page, media_type="text/html; charset=utf-8")

        for path in paths:
            app.add_api_route(path, serve, include_in_schema=False, methods=["GET"])
    app.mount("/static", StaticFiles(packages=[("pointsman.console", "static")]))
