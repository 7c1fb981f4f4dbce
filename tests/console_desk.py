"""The console on parts in memory: what it writes to Kafka it reads again, as it does with a broker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from pointsman.audit import read_entry
from pointsman.catalog import Catalog, CatalogReader
from pointsman.console.access import Access
from pointsman.console.desk import Desk
from pointsman.console.health import HealthWatch
from pointsman.console.server import create_app
from pointsman.console.sso import SingleSignOn
from pointsman.console.view import View
from pointsman.console_account import ConsoleAccount
from pointsman.definitions import AgentDefinition
from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError
from pointsman.testing import InMemoryStore, ManualClock
from pointsman.topics import AUDIT, DEFINITIONS, ERRORS, Topic
from pointsman.workflow_records import concerns

OPERATOR_KEY = "o" * 24
VIEWER_KEY = "v" * 24
API_KEY = "a" * 24
SECRET = "s" * 24
# A hash says itself what it costs: tests that log in at each turn take a cheap one.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ORIGIN = "http://127.0.0.1"


def account(name: str, role: str, key: str) -> ConsoleAccount:
    """An account as the settings hold it."""
    return ConsoleAccount.model_validate({"name": name, "role": role, "key_hash": CHEAP.hash(key)})


ACCOUNTS = [account("Olga", "operator", OPERATOR_KEY), account("Vic", "viewer", VIEWER_KEY)]
NAMES = {OPERATOR_KEY: "Olga", VIEWER_KEY: "Vic"}


class MemoryKafka:
    """Every topic that the console reads or writes, and the view that follows them."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.records: list[Record] = []
        self.is_down = False

    def write(self, *records: Record) -> None:
        """Append `records`, one partition per topic, and have the view read them."""
        for record in records:
            offset = sum(one.topic == record.topic for one in self.records)
            placed = replace(record, partition=0, offset=offset, timestamp_ms=record.timestamp_ms or 1_900_000_000_000)
            self.records.append(placed)
            self.view.feed(placed)

    def of(self, topic: str) -> list[Record]:
        return [record for record in self.records if record.topic == topic]

    def read(self, topic: str) -> Iterable[Record]:
        return self.of(topic)

    def of_workflow(self, workflow_id: str) -> Sequence[Record]:
        return [record for record in self.records if concerns(workflow_id, record)]

    def publish(self, records: Sequence[Record], transactional_id: str) -> None:
        assert transactional_id
        if self.is_down:
            raise BrokerUnavailableError("Kafka does not answer")
        self.write(*records)


class MemoryCatalog:
    """The catalog in `MemoryKafka`."""

    def __init__(self, kafka: MemoryKafka) -> None:
        self._kafka = kafka

    def load(self) -> Catalog:
        reader, catalog = CatalogReader(), Catalog()
        for record in self._kafka.of(DEFINITIONS):
            catalog = reader.accept(record.key, record.value) or catalog
        return catalog

    def ensure_topics(self, topics: Iterable[Topic]) -> list[str]:
        return [topic.name for topic in topics]

    def register(self, definitions: Iterable[AgentDefinition]) -> None:
        """There is no registry."""

    def publish(self, records: Iterable[Record]) -> None:
        self._kafka.write(*records)


class MemoryLetters:
    """The dead letters in `MemoryKafka`."""

    def __init__(self, kafka: MemoryKafka) -> None:
        self._kafka = kafka

    def letters(self) -> Iterable[Record]:
        return self._kafka.of(ERRORS)

    def audit(self) -> Iterable[Record]:
        return self._kafka.of(AUDIT)

    def publish(self, records: Iterable[Record]) -> None:
        self._kafka.write(*records)


class StillCluster:
    """A cluster whose answers are set."""

    def __init__(self) -> None:
        self.lags: dict[str, int] = {}
        self.state = "RUNNING"
        self.checkpoint_at: datetime | None = None

    def lag(self, agent: str) -> int:
        return self.lags[agent]

    def job(self) -> tuple[str, datetime | None]:
        return self.state, self.checkpoint_at


class Office:
    """A desk in memory and everything behind it.

    Args:
        sso: the way in by a provider, if there is one.
        owner: whom the link of a local stack logs in, if there is one.
    """

    def __init__(self, sso: SingleSignOn | None = None, owner: str | None = None) -> None:
        self.clock = ManualClock(datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
        self.view = View()
        self.kafka = MemoryKafka(self.view)
        self.store = InMemoryStore()
        self.cluster = StillCluster()
        self.watch = HealthWatch(self.cluster, lambda: self.view.catalog.definitions)
        self.desk = Desk(
            view=self.view,
            watch=self.watch,
            access=Access(
                ACCOUNTS, self.clock, secret=SECRET, owner=owner, sso=sso.options.fingerprint() if sso else None
            ),
            store=self.store,
            topics=self.kafka,
            catalog=MemoryCatalog(self.kafka),
            letters=MemoryLetters(self.kafka),
            now=self.clock,
            api_keys={"site": API_KEY},
            sso=sso,
            flink_url="http://127.0.0.1:8081",
        )
        self.app = create_app(self.desk)
        self.view.set_kafka("up")

    @contextmanager
    def client(self, key: str | None = None) -> Iterator[TestClient]:
        """A browser; whoever holds `key` is logged in already, and changes carry what the page would send along."""
        with TestClient(self.app, base_url=ORIGIN, headers={"Origin": ORIGIN}) as client:
            if key is not None:
                session = self.desk.access.login(NAMES[key], key)
                assert session
                cookie = self.desk.access.to_cookie(session)
                client.cookies.set(self.desk.access.cookie_name, cookie, domain="127.0.0.1", path="/")
                client.headers["X-CSRF-Token"] = self.desk.access.csrf_token(session)
            yield client


def login(client: TestClient, key: str) -> dict[str, Any]:
    """Log in as the page does."""
    answer = client.post("/api/session", json={"name": NAMES[key], "key": key})
    assert answer.status_code == 200, answer.text
    about: dict[str, Any] = answer.json()
    client.headers["X-CSRF-Token"] = about["csrf"]
    return about


def unlock(client: TestClient) -> None:
    """Have personal data shown."""
    assert client.post("/api/session/unlock", json={"reason": "test"}).status_code == 200


def acts(office: Office) -> list[tuple[str, str, str]]:
    """What is on record: what was done, to what, by whom."""
    entries = [read_entry(record) for record in office.kafka.of(AUDIT)]
    return [(one.action.value, one.subject, one.by) for one in entries if one]
