"""The console on parts in memory: what it writes to Kafka it reads again, as it does with a broker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastapi.testclient import TestClient

from pointsman.catalog import Catalog, CatalogReader
from pointsman.console.access import Access
from pointsman.console.desk import Desk
from pointsman.console.health import HealthWatch
from pointsman.console.server import create_app
from pointsman.console.view import View
from pointsman.definitions import AgentDefinition
from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError
from pointsman.settings import ConsoleAccount
from pointsman.testing import InMemoryStore, ManualClock
from pointsman.topics import AUDIT, DEFINITIONS, ERRORS, Topic
from pointsman.workflow_records import concerns

OPERATOR_KEY = "o" * 24
VIEWER_KEY = "v" * 24
API_KEY = "a" * 24
ACCOUNTS = [
    ConsoleAccount.model_validate({"name": "Olga", "role": "operator", "key": OPERATOR_KEY}),
    ConsoleAccount.model_validate({"name": "Vic", "role": "viewer", "key": VIEWER_KEY}),
]
ORIGIN = "http://127.0.0.1"


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
    """A desk in memory and everything behind it."""

    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
        self.view = View()
        self.kafka = MemoryKafka(self.view)
        self.store = InMemoryStore()
        self.cluster = StillCluster()
        self.watch = HealthWatch(self.cluster, lambda: self.view.catalog.definitions)
        self.desk = Desk(
            view=self.view,
            watch=self.watch,
            access=Access(ACCOUNTS, self.clock),
            store=self.store,
            topics=self.kafka,
            catalog=MemoryCatalog(self.kafka),
            letters=MemoryLetters(self.kafka),
            now=self.clock,
            api_keys={"site": API_KEY},
            flink_url="http://127.0.0.1:8081",
        )
        self.app = create_app(self.desk)
        self.view.set_kafka("up")

    @contextmanager
    def client(self, key: str | None = None) -> Iterator[TestClient]:
        """A browser; logged in with `key`, its changes carry what the page would send along."""
        with TestClient(self.app, base_url=ORIGIN, headers={"Origin": ORIGIN}) as client:
            if key is not None:
                login(client, key)
            yield client


def login(client: TestClient, key: str) -> dict[str, Any]:
    answer = client.post("/api/session", json={"key": key})
    assert answer.status_code == 200, answer.text
    about: dict[str, Any] = answer.json()
    client.headers["X-CSRF-Token"] = about["csrf"]
    return about
