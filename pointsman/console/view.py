"""What the console shows, kept in memory and bounded. One thread feeds it with records, others ask for plain data."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime
from itertools import takewhile
from typing import Any, Final, Literal, TypeVar

from pointsman.audit import AuditEntry, read_entry
from pointsman.catalog import Catalog, CatalogReader
from pointsman.console.cards import Marks, card, stage_of, status_of
from pointsman.console.recent import RecentRecords, workflow_of
from pointsman.console.spending import Spending, Spent
from pointsman.console.stages import Stage, stages, traffic
from pointsman.console.waiting import Waiting, WaitingRoom
from pointsman.controls import EffectsControl, is_about_effects, read_effects
from pointsman.deadletter_queue import DeadLetter, with_handled
from pointsman.envelope import Record
from pointsman.errors import PermanentError
from pointsman.journeys import Journey, Journeys
from pointsman.logging import mask
from pointsman.plaintext import one_line
from pointsman.rollouts.counting import FED_BY, Counts, RolloutCounts
from pointsman.rollouts.model import Rollout, read_rollout
from pointsman.topics import AUDIT, CONTROLS, DEFINITIONS, ERRORS, WORKFLOW_STATE
from pointsman.workflow_states import Status, WorkflowState

MOST_JOURNEYS: Final = 1_000
MOST_LETTERS: Final = 5_000
_LONGEST_ID: Final = 200

Kafka = Literal["connecting", "up", "down"]
_Kept = TypeVar("_Kept")


class View:
    """Workflows, agents, dead letters and what waits for a person."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._journeys = Journeys(MOST_JOURNEYS)
        self._recent = RecentRecords()
        self._waiting = WaitingRoom()
        self._spending = Spending()
        self._reader = CatalogReader()
        self._catalog = Catalog()
        self._rollout: Rollout | None = None
        self._rollout_counts = RolloutCounts()
        self._control: Record | None = None
        self._letters: dict[str, Record] = {}
        self._handled: dict[str, AuditEntry] = {}
        self._cancelled: dict[str, None] = {}
        self._touched: dict[str, int] = {}
        self._ids: dict[str, str] = {}
        self._died_now: Mapping[str, DeadLetter] | None = None
        self._kafka: Kafka = "connecting"
        self._changes = 0

    def feed(self, record: Record) -> None:
        """Take one record over, whatever it holds."""
        with self._lock:
            self._changes += 1
            self._take(record)
            if workflow_id := workflow_of(record):
                _put(self._touched, workflow_id, self._changes, 2 * MOST_JOURNEYS)
                _put(self._ids, key_of(workflow_id), workflow_id, 2 * MOST_JOURNEYS)

    def set_kafka(self, state: Kafka) -> None:
        """Note whether Kafka answers."""
        with self._lock:
            self._changes += state != self._kafka
            self._kafka = state

    @property
    def kafka(self) -> Kafka:
        """Whether Kafka answers."""
        return self._kafka

    @property
    def changes(self) -> int:
        """Grows with everything that can change a page."""
        return self._changes

    @property
    def catalog(self) -> Catalog:
        """The agents in force."""
        return self._catalog

    @property
    def effects(self) -> EffectsControl:
        """The kill switch as it stands."""
        return read_effects(self._control)

    def rollout(self) -> tuple[Rollout, Counts] | None:
        """The latest rollout and what was counted about it; None when there never was one."""
        with self._lock:
            # A copy: what it is made of goes on changing.
            return (self._rollout, deepcopy(self._rollout_counts.of(self._rollout.id))) if self._rollout else None

    def workflow_id(self, key: str) -> str:
        """The workflow that a page calls `key`."""
        return self._ids.get(key, key)

    def cards(self, since: int = 0) -> list[dict[str, Any]]:
        """Each workflow that something happened to after change number `since`, the latest touched first."""
        with self._lock:
            if since == 0:
                return [self._card(one) for one in self._journeys.all()]
            # The latest touched stand at the end, so this looks at no more than what it returns.
            changed = takewhile(lambda one: self._touched[one] > since, reversed(self._touched))
            found = [journey for one in changed if (journey := self._journeys.get(one))]
            return [self._card(one) for one in found]

    def card(self, workflow_id: str) -> dict[str, Any] | None:
        """One workflow for the board, if it is known."""
        with self._lock:
            journey = self._journeys.get(workflow_id)
            return self._card(journey) if journey else None

    def title(self, workflow_id: str) -> str:
        """Whom the workflow is about, as far as it may be shown."""
        found = self.card(workflow_id)
        return str(found["title"]) if found else ""

    def standing(self) -> tuple[dict[str, int], list[Stage]]:
        """How many workflows are in which state; how many stand in each stage, and how long it takes."""
        with self._lock:
            journeys, catalog = self._journeys.all(), self._catalog
            marks = self._marks()
            states = Counter(status_of(one, marks).value for one in journeys)
            here = Counter(stage for one in journeys if (stage := stage_of(one, marks)))
        return dict(states), stages(journeys, here, catalog)

    def traffic(self) -> list[tuple[str, str, str, int]]:
        """Who sent how many messages of which type to whom, among the workflows that are known."""
        with self._lock:
            journeys = self._journeys.all()
        return sorted((*way, count) for way, count in traffic(journeys).items())

    def records(self, workflow_id: str) -> list[Record] | None:
        """Every record of a workflow; None when they are not all in memory."""
        with self._lock:
            return self._recent.of(workflow_id)

    def waiting(self) -> list[Waiting]:
        """Messages that wait for a person."""
        with self._lock:
            return self._waiting.all()

    def waiting_message(self, message_id: str) -> Waiting | None:
        """The message of that id, if it waits for a person."""
        with self._lock:
            return self._waiting.get(message_id)

    def open_letters(self) -> list[DeadLetter]:
        """Dead letters that nobody has dealt with."""
        with self._lock:
            letters = list(with_handled(self._letters.values(), self._handled))
        return [letter for letter in letters if letter.handled is None]

    def spent(self, now: datetime) -> Spent:
        """What models cost in the hour before `now`."""
        with self._lock:
            return self._spending.report(now)

    def _card(self, journey: Journey) -> dict[str, Any]:
        return card(journey, key_of(journey.workflow_id), self._marks())

    def _marks(self) -> Marks:
        return Marks(letters=self._died(), waiting=self._waiting.by_message(), cancelled=self._cancelled)

    def _died(self) -> Mapping[str, DeadLetter]:
        """The open dead letters by message id; worked out anew when one came or was dealt with."""
        if self._died_now is None:
            letters = self.open_letters()
            self._died_now = {letter.message_id: letter for letter in letters if letter.message_id}
        return self._died_now

    def _take(self, record: Record) -> None:
        self._recent.feed(record)
        self._journeys.feed(record)
        self._waiting.feed(record)
        self._spending.feed(record)
        if record.topic in FED_BY:
            self._rollout_counts.feed(record)
        take = _TAKE.get(record.topic)
        if take:
            take(self, record)

    def _definition(self, record: Record) -> None:
        try:
            self._rollout = read_rollout(record) or self._rollout
            self._catalog = self._reader.accept(record.key, record.value) or self._catalog
        except PermanentError:
            return  # the router's job writes it to agent_errors; what is in force stays

    def _state(self, record: Record) -> None:
        state = WorkflowState.from_record(record)
        if state and state.status is Status.CANCELLED:
            _put(self._cancelled, state.workflow_id, None, 2 * MOST_JOURNEYS)

    def _letter(self, record: Record) -> None:
        _put(self._letters, DeadLetter(record=record).id, record, MOST_LETTERS)
        self._died_now = None

    def _act(self, record: Record) -> None:
        entry = read_entry(record)
        known = self._handled.get(entry.subject) if entry else None
        if entry and (known is None or entry.at >= known.at):
            _put(self._handled, entry.subject, entry, 4 * MOST_LETTERS)
            self._died_now = None

    def _switch(self, record: Record) -> None:
        self._control = record if is_about_effects(record) else self._control


_TAKE: Final[dict[str, Callable[[View, Record], None]]] = {
    DEFINITIONS: View._definition,  # noqa: SLF001 (its own)
    WORKFLOW_STATE: View._state,  # noqa: SLF001
    ERRORS: View._letter,  # noqa: SLF001
    AUDIT: View._act,  # noqa: SLF001
    CONTROLS: View._switch,  # noqa: SLF001
}


def _put(kept: dict[str, _Kept], key: str, value: _Kept, most: int) -> None:
    """Keep `value` as the latest one; beyond `most` the oldest goes."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > most:
        del kept[next(iter(kept))]


def key_of(workflow_id: str) -> str:
    """What pages call a workflow: its id, or a digest of it where the id holds an address or is no plain text."""
    if mask(one_line(workflow_id, _LONGEST_ID)) == workflow_id and "/" not in workflow_id:
        return workflow_id
    return hashlib.sha256(workflow_id.encode(errors="surrogatepass")).hexdigest()[:24]
