"""The live board: workflows as they move, as server-sent events that a page resumes where it was cut off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from pointsman.console.desk import Desk
from pointsman.console.overview import Overview
from pointsman.console.sessions import TheDesk, Viewer

router = APIRouter(prefix="/api", include_in_schema=False)

_LOOK_S: Final = 0.2
_FIGURES_S: Final = 1.0
_MOST_CARDS: Final = 500


@router.get("/overview")
async def figures(request: Request, _: Viewer) -> dict[str, Any]:
    """The board's figures, once."""
    overview: Overview = request.app.state.overview
    return await overview.figures()


@router.get("/workflows")
def workflows(desk: TheDesk, _: Viewer) -> dict[str, Any]:
    """The workflows that were touched last, once."""
    cards = desk.view.cards()
    return {"cards": cards[:_MOST_CARDS], "left_out": max(0, len(cards) - _MOST_CARDS)}


@router.get("/events", response_class=EventSourceResponse)
async def events(
    request: Request, desk: TheDesk, session: Viewer, last_event_id: Annotated[str, Header(max_length=80)] = ""
) -> AsyncIterator[ServerSentEvent]:
    """`cards` with each workflow that moved since the page last heard, `figures` at most once a second."""
    overview: Overview = request.app.state.overview
    seen, told = _resumed(desk, last_event_id), -_FIGURES_S
    while desk.now() < session.ends_at and not await request.is_disconnected():
        changes = desk.view.changes
        if seen is None or changes != seen:
            cards = await run_in_threadpool(desk.view.cards, seen or 0)
            data = {"is_all": seen is None, "cards": cards[:_MOST_CARDS]}
            yield ServerSentEvent(event="cards", id=f"{desk.epoch}-{changes}", data=data)
            seen = changes
        if time.monotonic() - told >= _FIGURES_S:
            yield ServerSentEvent(event="figures", data=await overview.figures())
            told = time.monotonic()
        await asyncio.sleep(_LOOK_S)


def _resumed(desk: Desk, last_event_id: str) -> int | None:
    """The change up to which the page knows everything; None when it must be told all."""
    epoch, _, number = last_event_id.rpartition("-")
    if epoch != desk.epoch or not number.isdecimal() or len(number) > 15:
        return None
    return int(number)
