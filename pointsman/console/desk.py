"""What the console works with: what it has read, and the ports through which a person's word takes effect."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pointsman.console.access import Access, Session
from pointsman.console.health import HealthWatch
from pointsman.console.sso import SingleSignOn
from pointsman.console.view import View
from pointsman.deadletter_queue import DeadLetter, Selection
from pointsman.deadletter_work import DeadLetterTopics, DeadLetterWork
from pointsman.envelope import Record
from pointsman.kafka import publish, read_all
from pointsman.publish import CatalogTopic
from pointsman.store import DocumentStore
from pointsman.telemetry.spans import Spans
from pointsman.workflow_records import read_topics


class Topics(Protocol):
    """Kafka, as far as pages need it."""

    def read(self, topic: str) -> Iterable[Record]:
        """Every committed record of a topic."""
        ...

    def of_workflow(self, workflow_id: str) -> Sequence[Record]:
        """Every committed record of a workflow, on whichever topic."""
        ...

    def publish(self, records: Sequence[Record], transactional_id: str) -> None:
        """Write all or none."""
        ...


@dataclass(frozen=True, kw_only=True)
class KafkaTopics:
    """Topics of a Kafka cluster.

    Attributes:
        bootstrap: the broker's address.
    """

    bootstrap: str

    def read(self, topic: str) -> Iterable[Record]:
        return read_all(self.bootstrap, topic)

    def of_workflow(self, workflow_id: str) -> Sequence[Record]:
        return read_topics(self.bootstrap, workflow_id)

    def publish(self, records: Sequence[Record], transactional_id: str) -> None:
        publish(self.bootstrap, records, transactional_id)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Everything that the routes need.

    Attributes:
        view: what was read from Kafka.
        watch: lag and checkpoints.
        access: who may do what.
        store: leads and the effect ledger.
        topics: Kafka.
        catalog: the agent definitions.
        letters: the dead letters.
        api_keys: who may post leads, by name.
        sso: the way in by an OpenID provider; None: there is none.
        now: the clock, UTC.
        spans: traces of leads that come in here.
        flink_url: Flink's page, empty when there is none to link to.
        epoch: differs with every start, so that a page knows when counting began anew.
    """

    view: View
    watch: HealthWatch
    access: Access
    store: DocumentStore
    topics: Topics
    catalog: CatalogTopic
    letters: DeadLetterTopics
    now: Callable[[], datetime]
    api_keys: dict[str, str] = field(default_factory=dict, repr=False)
    sso: SingleSignOn | None = None
    spans: Spans = field(default_factory=Spans, repr=False)
    flink_url: str = ""
    epoch: str = field(default_factory=lambda: f"{time.time_ns():x}")

    def find_letters(self, selection: Selection) -> list[DeadLetter]:
        """The dead letters that `selection` takes, as Kafka has them now."""
        return list(self._work("console").find(selection))

    def letter_work(self, session: Session) -> DeadLetterWork:
        """What `session` can do about dead letters."""
        return self._work(session.name)

    def _work(self, by: str) -> DeadLetterWork:
        return DeadLetterWork(topics=self.letters, by=by, now=self.now, pause=time.sleep)
