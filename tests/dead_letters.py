"""Dead letters in memory, for tests of whoever works on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pointsman.deadletters import dead_letter
from pointsman.envelope import Envelope, Record
from pointsman.errors import ErrorReason
from pointsman.topics import AUDIT, ERRORS, MESSAGES

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def failed(
    topic: str = MESSAGES, *, reason: str = "contract_violation", stage: str = "router", **changes: Any
) -> Record:
    """A dead letter as it is written; `changes` are of the message in it, or `value` and `key` of the record."""
    raw = {name: changes.pop(name) for name in ("value", "key") if name in changes}
    values = {
        "id": "m-1", "source": "/agents/a", "event_type": "lead.scored", "workflow_id": "w-1",
        "payload": {"lead_id": "w-1", "name": "Mara Lind"}, "time": AT, **changes,
    }  # fmt: skip
    original = replace(Envelope(**values).to_record(topic), partition=3, offset=41, **raw)
    return dead_letter(
        original, reason=ErrorReason(reason), stage=stage, detail="$.lead_id is missing", attempts=1, first_at=AT,
        now=AT, catalog="c1",
    )  # fmt: skip


class MemoryTopics:
    """Topics in memory: what is published is there; dead letters and audit records are found again."""

    def __init__(self, *letters: Record) -> None:
        self.written: list[Record] = []
        self.transactions: list[list[Record]] = []
        self._letters = [replace(letter, partition=0, offset=offset) for offset, letter in enumerate(letters)]

    def letters(self) -> Iterable[Record]:
        return list(self._letters)

    def audit(self) -> Iterable[Record]:
        return [record for record in self.written if record.topic == AUDIT]

    def publish(self, records: Iterable[Record]) -> None:
        transaction = list(records)
        self.transactions.append(transaction)
        self.written += transaction

    def add(self, letter: Record) -> str:
        """One more dead letter; its id."""
        self._letters.append(replace(letter, partition=0, offset=len(self._letters)))
        return f"{ERRORS}/0/{len(self._letters) - 1}"

    @property
    def sent(self) -> list[Record]:
        """What was sent back."""
        return [record for record in self.written if record.topic != AUDIT]
