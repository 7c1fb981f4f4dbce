"""The page: read-only, bounded, no text of a message as markup, addresses masked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from pointsman.catalog import Catalog
from pointsman.console.mailbox import MOST_SHOWN, Mailbox
from pointsman.console.reading import KafkaFeed
from pointsman.console.server import create_app
from pointsman.console.view import View
from pointsman.definitions import AgentDefinition
from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError
from pointsman.topics import DECISIONS, DEFINITIONS
from tests.journey_records import decision, message

MAIL = (
    b"From: Alex Kim <alex@sdr.example>\r\nTo: Ann Example <ann@acme.example>\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    b"Hello Ann, <script>alert(1)</script>\r\nwrite to bob@acme.example\r\n"
)
AGENT = AgentDefinition.model_validate({
    "name": "greeter",
    "version": "1.0.0",
    "description": "Greets.",
    "accepts": [{"type": "hello.said", "contract": {}}],
    "emits": [{"type": "greeting.written", "contract": {}, "terminal": True}],
})  # fmt: skip


class NoFeed:
    def start(self) -> None: ...

    def stop(self) -> None: ...


@pytest.fixture
def view() -> View:
    return View()


@pytest.fixture
def client(view: View, tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(view, Mailbox(tmp_path), NoFeed(), flink_url="http://127.0.0.1:8081")
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def test_the_state_tells_journeys_agents_and_mails(client: TestClient, view: View, tmp_path: Path) -> None:
    for record in (
        message("w", 1, "lead.received", {"company": "Acme"}),
        decision("w", 1, "lead.received"),
        *Catalog.of([AGENT]).records(Catalog()),
    ):
        view.feed(record)
    view.set_kafka("up")
    (tmp_path / "1.eml").write_bytes(MAIL)
    state = client.get("/api/state").json()
    assert state["kafka"] == "up"
    assert state["counts"] == {"working": 1, "completed": 0, "abstained": 0, "rejected": 0}
    assert state["journeys"][0]["title"] == "Acme"
    assert state["journeys"][0]["hops"][0]["reason"] == "It asks for a demo."
    assert state["catalog"]["agents"][0]["emits"] == [{"type": "greeting.written", "terminal": True}]
    assert state["mailbox"]["mails"][0]["subject"] == "Grüße"
    assert state["flink_url"] == "http://127.0.0.1:8081"


def test_nothing_is_sent_again_while_nothing_has_changed(client: TestClient, view: View, tmp_path: Path) -> None:
    version = client.get("/api/state").json()["version"]
    assert client.get("/api/state", params={"known": version}).status_code == 204
    view.feed(message("w", 1, "lead.received"))
    second = client.get("/api/state", params={"known": version})
    assert second.status_code == 200
    (tmp_path / "1.eml").write_bytes(MAIL)
    assert client.get("/api/state", params={"known": second.json()["version"]}).status_code == 200


def test_no_address_leaves_the_server(client: TestClient, view: View, tmp_path: Path) -> None:
    (tmp_path / "1.eml").write_bytes(MAIL)
    view.feed(message("ann@acme.example", 1, "lead.received", {"email": "ann@acme.example"}))
    view.feed(decision("v", 1, "lead.received", reason="from ann@acme.example", source="/people/ann@acme.example"))
    text = client.get("/api/state").text
    assert "a***@acme.example" in text
    for address in ("ann@", "bob@", "alex@"):
        assert address not in text


@pytest.mark.parametrize(
    "path", ["/", "/console.js", "/console.css", "/icon.svg", "/api/state", "/healthz", "/nowhere"]
)
def test_every_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_page_needs_nothing_from_elsewhere_and_no_inline_code(client: TestClient) -> None:
    class Collected(HTMLParser):
        found: list[str] = []  # noqa: RUF012
        inline: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            known = dict(attrs)
            self.found += [
                value for name in ("src", "href") if (value := known.get(name)) and not value.startswith("#")
            ]
            self.inline += [name for name in known if name.startswith("on") or name == "style"]
            if tag == "style" or (tag == "script" and "src" not in known):
                self.inline.append(tag)

    page = Collected()
    page.feed(client.get("/").text)
    assert page.inline == []
    assert set(page.found) == {"/icon.svg", "/console.css", "/console.js"}
    for path in page.found:
        assert client.get(path).status_code == 200


def test_the_script_sets_texts_only_as_text(client: TestClient) -> None:
    script = client.get("/console.js").text
    for danger in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert danger not in script


def test_it_answers_only_to_its_own_name_and_changes_nothing(client: TestClient) -> None:
    assert client.get("/api/state", headers={"Host": "evil.example"}).status_code == 400
    assert client.post("/api/state").status_code == 405
    assert client.get("/docs").status_code == 404


def test_a_flink_address_that_is_no_web_address_is_not_linked(view: View, tmp_path: Path) -> None:
    app = create_app(view, Mailbox(tmp_path), NoFeed(), flink_url="javascript:alert(1)")
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/api/state").json()["flink_url"] == ""


def test_ids_that_look_alike_when_masked_stay_apart_and_half_characters_do_no_harm(
    client: TestClient, view: View
) -> None:
    for workflow in ("ann@acme.example", "abe@acme.example", "\ud800", "plain-1"):
        view.feed(decision(workflow, 1, "a.b", reason="\ud800"))
    ids = [journey["id"] for journey in client.get("/api/state").json()["journeys"]]
    assert len(set(ids)) == 4
    assert "plain-1" in ids


def test_health_is_plain(client: TestClient) -> None:
    assert client.get("/healthz").text == "ok\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\xfe",
        b"Subject: a\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xff",
        b"To: <<<>>>,,\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        b"From: " + b"(" * 5000,
    ],
)
def test_a_malformed_mail_is_shown_as_well_as_can_be(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1.eml").write_bytes(content)
    assert Mailbox(tmp_path).state()["count"] == 1


def test_the_mailbox_shows_the_newest_and_counts_all(tmp_path: Path) -> None:
    for number in range(MOST_SHOWN + 5):
        (tmp_path / f"{number:03d}.eml").write_bytes(MAIL)
    (tmp_path / "half.part").write_bytes(b"")
    state = Mailbox(tmp_path).state()
    assert (state["count"], len(state["mails"]), state["mails"][0]["id"]) == (55, MOST_SHOWN, "054")
    assert Mailbox(tmp_path / "nowhere").state() == {"count": 0, "mails": []}


def test_garbage_on_the_definitions_topic_keeps_what_is_in_force(view: View) -> None:
    for record in Catalog.of([AGENT]).records(Catalog()):
        view.feed(record)
    view.feed(Record(topic=DEFINITIONS, key=b"greeter", value=b"\xff", headers={}))
    view.feed(Record(topic=DECISIONS, key=None, value=None, headers={}))
    assert [agent["name"] for agent in view.state()["catalog"]["agents"]] == ["greeter"]


def test_the_feed_says_when_kafka_is_away_and_reads_on_when_it_is_back(view: View) -> None:
    fed, tried = threading.Event(), threading.Event()
    answers = iter([False, True])

    def follow(stop: threading.Event) -> Iterator[Record]:
        yield message("w", 1, "lead.received")
        fed.set()
        stop.wait()

    def is_alive() -> bool:
        tried.set()
        return next(answers, True)

    feed = KafkaFeed(view, follow, is_alive)
    assert view.state()["kafka"] == "connecting"
    feed.start()
    assert fed.wait(5)
    assert tried.wait(5)
    feed.stop()
    assert view.state()["kafka"] == "down"
    assert len(view.state()["journeys"]) == 1


def test_the_feed_stops_while_kafka_refuses(view: View) -> None:
    refused = threading.Event()

    def follow(_: threading.Event) -> Iterator[Record]:
        refused.set()
        raise BrokerUnavailableError("Kafka is away")
        yield

    feed = KafkaFeed(view, follow, lambda: False)
    feed.start()
    assert refused.wait(5)
    feed.stop()
    assert view.state()["kafka"] == "down"
