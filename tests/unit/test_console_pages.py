"""Pages and headers: nothing from elsewhere, nothing inline, no text of a message as markup; the feed behind them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from fastapi import APIRouter, Response
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from pointsman.console.reading import KafkaFeed
from pointsman.console.server import create_app
from pointsman.console.view import View
from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError, StoreUnavailableError
from tests.console_desk import ORIGIN, VIEWER_KEY, Office, login
from tests.journey_records import message

PAGES = [
    "/",
    "/login",
    "/workflows/w-1",
    "/waiting",
    "/dead-letters",
    "/agents",
    "/agents/greeter",
    "/form",
    "/api/docs",
]
STATIC = Path(str(files("pointsman.console"))) / "static"
SCRIPTS = sorted(STATIC.rglob("*.js"))


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def client(office: Office) -> Iterator[TestClient]:
    with office.client() as client:
        yield client


class Collected(HTMLParser):
    """Addresses and inline code of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.found += [value for name in ("src", "href") if (value := known.get(name)) and not value.startswith("#")]
        self.inline += [name for name in known if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in known):
            self.inline.append(tag)


@pytest.mark.parametrize("path", PAGES)
def test_pages_load_nothing_from_elsewhere_and_hold_nothing_inline(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = Collected()
    page.feed(answer.text)
    assert page.inline == []
    assert all(address.startswith("/") and client.get(address).status_code == 200 for address in page.found)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_set_texts_only_as_text_and_import_only_what_is_served(client: TestClient, script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    for danger in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "https://",
        "new Function",
    ):
        assert danger not in text
    for name in re.findall(r'from "([^"]+)"', text):
        address = (script.parent / name).resolve().relative_to(STATIC.resolve())
        answer = client.get(f"/static/{address}")
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/javascript")


def test_every_answer_keeps_browsers_from_guessing_framing_and_storing(client: TestClient) -> None:
    for path in ("/", "/api/session", "/static/app.js", "/nowhere"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_routes_of_others_keep_the_headers_that_they_set_themselves(office: Office) -> None:
    more = APIRouter()

    @more.get("/u")
    def unsubscribe() -> Response:
        return Response("ok", headers={"Content-Security-Policy": "form-action 'self'"})

    with TestClient(create_app(office.desk, routers=[more]), base_url=ORIGIN) as client:
        headers = client.get("/u").headers
    assert headers["content-security-policy"] == "form-action 'self'"
    assert headers["x-content-type-options"] == "nosniff"


def test_errors_are_problem_details_that_repeat_nothing_of_the_request(client: TestClient) -> None:
    answer = client.get("/nowhere/mara@nordhafen.example")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "mara" not in answer.text
    wrong = client.post("/api/session", json={"key": {"mara@nordhafen.example": 1}})
    assert (wrong.status_code, "mara" in wrong.text) == (422, False)


def test_a_large_body_is_refused_whether_its_length_is_told_or_not(client: TestClient) -> None:
    body = b'{"key": "' + b"x" * 70_000 + b'"}'
    headers = {"Content-Type": "application/json"}
    assert client.post("/api/session", content=body, headers=headers).status_code == 413
    chunks = (body[start : start + 1000] for start in range(0, len(body), 1000))
    assert client.post("/api/session", content=chunks, headers=headers).status_code in {400, 413}


def test_the_process_is_alive_also_when_nothing_else_is_and_ready_when_all_is(
    office: Office, client: TestClient
) -> None:
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").json() == {"kafka": "up", "mongodb": "up"}
    office.view.set_kafka("down")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["kafka"]) == (503, "down")


def test_it_is_not_ready_without_mongodb(office: Office, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(collection: str, key: str) -> None:
        raise StoreUnavailableError("MongoDB does not answer")

    monkeypatch.setattr(office.store, "get", away)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["mongodb"]) == (503, "down")


def test_a_fault_is_a_problem_without_its_text(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("mara@nordhafen.example")

    monkeypatch.setattr(office.view, "cards", broken)
    with TestClient(office.app, base_url=ORIGIN, headers={"Origin": ORIGIN}, raise_server_exceptions=False) as client:
        login(client, VIEWER_KEY)
        with capture_logs() as logged:
            answer = client.get("/api/workflows")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:pointsman:problem:fault")
    assert "mara" not in answer.text
    assert [(one["event"], one["route"]) for one in logged] == [("a request failed", "/api/workflows")]


def test_the_feed_says_when_kafka_is_away_and_reads_on_when_it_is_back() -> None:
    view, fed, tried = View(), threading.Event(), threading.Event()
    answers = iter([False, True])

    def follow(stop: threading.Event) -> Iterator[Record]:
        yield message("w", 1, "lead.received")
        fed.set()
        stop.wait()

    def is_alive() -> bool:
        tried.set()
        return next(answers, True)

    feed = KafkaFeed(view, follow, is_alive)
    seen: list[str] = [view.kafka]
    feed.start()
    assert fed.wait(5)
    assert tried.wait(5)
    feed.stop()
    assert [*seen, view.kafka] == ["connecting", "down"]
    assert len(view.cards()) == 1


def test_the_feed_stops_while_kafka_refuses() -> None:
    refused = threading.Event()

    def follow(_: threading.Event) -> Iterator[Record]:
        refused.set()
        raise BrokerUnavailableError("Kafka is away")
        yield

    view = View()
    feed = KafkaFeed(view, follow, lambda: False)
    feed.start()
    assert refused.wait(5)
    feed.stop()
    assert view.kafka == "down"
