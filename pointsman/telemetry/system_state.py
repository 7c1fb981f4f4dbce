"""What is known of the system as a whole, and of no single process: it outlives each of them. Pure.

Fed with the records of the topics in `TOPICS` from their beginning; asked for counts.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from pointsman.audit import read_entry
from pointsman.catalog import Catalog, CatalogReader
from pointsman.controls import is_about_effects, read_effects
from pointsman.deadletter_queue import DeadLetter
from pointsman.envelope import Record
from pointsman.errors import ErrorReason, PermanentError
from pointsman.topics import AUDIT, CONTROLS, DEFINITIONS, ERRORS, WORKFLOW_STATE
from pointsman.workflow_states import Status, WorkflowState

TOPICS: Final = (DEFINITIONS, CONTROLS, WORKFLOW_STATE, ERRORS, AUDIT)
_REASONS: Final = frozenset(reason.value for reason in ErrorReason)
OTHER: Final = "other"
"""Stands for every label value that is none of ours: labels come from closed sets."""
_OVER: Final = frozenset({Status.COMPLETED, Status.CANCELLED})
_STAGES: Final = frozenset({"leads", "router"})


class SystemState:
    """Counts of the system. For one thread.

    Attributes:
        effects_allowed: whether effects may begin.
    """

    def __init__(self) -> None:
        self.effects_allowed = True
        self._open_workflows: dict[bytes, Status] = {}
        self._open_letters: dict[str, tuple[str, str]] = {}
        self._handled_letters: set[str] = set()
        self._reader = CatalogReader()
        self._catalog = Catalog()

    @property
    def agents(self) -> list[str]:
        """Names of the agents in force, and of those that were removed and may have messages left."""
        return sorted({*self._catalog.definitions, *self._catalog.retired})

    @property
    def catalog_sequence(self) -> int:
        """Sequence of the catalog in force."""
        return self._catalog.sequence

    def open_workflows(self) -> Counter[str]:
        """Workflows that are not over, by status."""
        return Counter(status.value for status in self._open_workflows.values())

    def open_dead_letters(self) -> Counter[tuple[str, str]]:
        """Dead letters that nobody has dealt with, by stage and reason."""
        return Counter(self._open_letters.values())

    def feed(self, record: Record) -> None:
        """Take one record over, whatever it holds."""
        if record.topic == DEFINITIONS:
            self._definition(record)
        elif record.topic == CONTROLS:
            if is_about_effects(record):
                self.effects_allowed = read_effects(record).is_allowed
        elif record.topic == WORKFLOW_STATE:
            self._workflow(record)
        elif record.topic == ERRORS:
            self._letter(DeadLetter(record=record))
        elif record.topic == AUDIT:
            self._dealt_with(record)

    def _definition(self, record: Record) -> None:
        try:
            self._catalog = self._reader.accept(record.key, record.value) or self._catalog
        except PermanentError:
            return  # the router's job writes it to agent_errors; what is in force stays

    def _workflow(self, record: Record) -> None:
        state = WorkflowState.from_record(record)
        if record.key is None:
            return
        if state is None or state.status in _OVER:
            self._open_workflows.pop(record.key, None)
        else:
            self._open_workflows[record.key] = state.status

    def _letter(self, letter: DeadLetter) -> None:
        agent = letter.stage.removeprefix("agent/")
        stage = letter.stage if letter.stage in _STAGES or agent in self.agents else OTHER
        kind = stage, letter.reason if letter.reason in _REASONS else OTHER
        # The two topics are read side by side: what was done about a letter may come before it.
        if letter.id not in self._handled_letters:
            self._open_letters[letter.id] = kind

    def _dealt_with(self, record: Record) -> None:
        entry = read_entry(record)
        if entry is not None and entry.subject.startswith(f"{ERRORS}/"):
            self._handled_letters.add(entry.subject)
            self._open_letters.pop(entry.subject, None)
