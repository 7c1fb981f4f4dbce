"""The stream of events: everything at first, then only what has changed; resumed where it was cut off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.sse import ServerSentEvent

from pointsman.console.overview import Overview
from pointsman.console.routes.board import events
from tests.console_desk import VIEWER_KEY, Office
from tests.journey_records import message


@pytest.fixture
def office() -> Office:
    office = Office()
    office.kafka.write(message("w", 1, "a.b"), message("v", 1, "a.b"))
    return office


class Page:
    """A page that reads the stream."""

    def __init__(self, office: Office, last_event_id: str = "") -> None:
        self.is_gone = False
        app = SimpleNamespace(state=SimpleNamespace(overview=Overview(office.desk)))
        request: Any = SimpleNamespace(app=app, is_disconnected=self._is_gone)
        session = office.desk.access.login("Vic", VIEWER_KEY)
        assert session
        self.stream: AsyncIterator[ServerSentEvent] = events(request, office.desk, session, last_event_id)

    async def next(self, kind: str) -> ServerSentEvent:
        """The next event of that kind."""
        async for event in self.stream:
            if event.event == kind:
                return event
        message = f"the stream has ended without {kind}"
        raise AssertionError(message)

    async def _is_gone(self) -> bool:
        return self.is_gone


def keys(event: ServerSentEvent) -> tuple[bool, set[str]]:
    assert isinstance(event.data, dict)
    return event.data["is_all"], {card["key"] for card in event.data["cards"]}


async def test_a_page_is_told_everything_and_then_what_has_changed(office: Office) -> None:
    page = Page(office)
    assert keys(await page.next("cards")) == (True, {"w", "v"})
    office.kafka.write(message("v", 2, "a.c"))
    assert keys(await page.next("cards")) == (False, {"v"})


async def test_a_page_that_was_cut_off_is_told_what_it_has_missed(office: Office) -> None:
    heard = (await Page(office).next("cards")).id
    assert heard
    office.kafka.write(message("u", 1, "a.b"))
    assert keys(await Page(office, heard).next("cards")) == (False, {"u"})


@pytest.mark.parametrize("last", ["older-3", "-3", "x", "", "older-99999999999999999999"])
async def test_a_page_from_before_the_server_started_is_told_everything(office: Office, last: str) -> None:
    assert keys(await Page(office, last).next("cards")) == (True, {"w", "v"})


async def test_figures_come_with_it_and_say_what_is_not_known(office: Office) -> None:
    event = await Page(office).next("figures")
    assert isinstance(event.data, dict)
    assert event.data["totals"] == {"running": 2}
    assert event.data["job"] == {"state": None, "checkpoint_age_s": None}
    assert event.data["unknown_effects"] == 0


async def test_the_stream_ends_with_the_page_and_with_the_session(office: Office) -> None:
    page, other = Page(office), Page(office)
    await page.next("figures")
    page.is_gone = True
    assert [event async for event in page.stream] == []
    await other.next("figures")
    office.clock.advance(13 * 3600)
    assert [event async for event in other.stream] == []


async def test_figures_are_worked_out_once_a_second_however_many_ask(office: Office) -> None:
    seconds = [0.0]
    overview = Overview(office.desk, monotonic=lambda: seconds[0])
    first = await overview.figures()
    office.kafka.write(message("u", 1, "a.b"))
    assert await overview.figures() is first
    seconds[0] = 1.0
    assert (await overview.figures())["totals"] == {"running": 3}
