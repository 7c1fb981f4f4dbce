"""The records of the workflows that were touched last, so that a timeline needs no walk over whole topics. Pure."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from pointsman.envelope import Record
from pointsman.topics import AUDIT, DECISIONS, LEADS
from pointsman.workflow_control import header

MOST_BYTES: Final = 32 * 1024 * 1024
_OVERHEAD_BYTES: Final = 600


@dataclass
class _Kept:
    records: list[Record] = field(default_factory=list)
    size: int = 0


class RecentRecords:
    """Keeps records by workflow; whole workflows go, the least recently touched first.

    Args:
        most_bytes: how much is kept in all.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._size = 0
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._is_complete = True

    def feed(self, record: Record) -> None:
        """Take one record over."""
        workflow_id = workflow_of(record)
        if not workflow_id:
            return
        kept = self._kept.setdefault(workflow_id, _Kept())
        self._kept.move_to_end(workflow_id)
        size = _size(record)
        kept.records.append(record)
        kept.size += size
        self._size += size
        while self._size > self._most_bytes and self._kept:
            _, gone = self._kept.popitem(last=False)
            self._size -= gone.size
            self._is_complete = False

    def of(self, workflow_id: str) -> list[Record] | None:
        """Every record of a workflow that was seen; None when some may have been let go."""
        kept = self._kept.get(workflow_id)
        if kept is None or not (self._is_complete or _has_its_beginning(kept.records)):
            return None
        return list(kept.records)


def workflow_of(record: Record) -> str:
    """The workflow that `record` says it belongs to; empty when it says none."""
    if record.topic in (DECISIONS, LEADS):
        try:
            about = json.loads(record.value or b"")
            found = about.get("workflow_id" if record.topic == DECISIONS else "_id")
        except (ValueError, AttributeError, RecursionError):
            return ""
        return found if isinstance(found, str) else ""
    return header(record, "ce_workflowid")


def _has_its_beginning(records: list[Record]) -> bool:
    """Whether the first message is among them, that is, no earlier one was let go."""
    return any(
        header(record, "ce_id") and not header(record, "ce_causationid") and record.topic != AUDIT for record in records
    )


def _size(record: Record) -> int:
    headers = sum(len(name) + len(value) for name, value in record.headers.items())
    return len(record.key or b"") + len(record.value or b"") + headers + _OVERHEAD_BYTES
