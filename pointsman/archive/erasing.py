"""Which records of the archive are about a subject that is to be erased. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from pointsman.decision_log import parsed_object
from pointsman.envelope import Record
from pointsman.workflow_control import header

_NAMED_BY: Final = ("workflow_id", "lead_id", "_id")


def is_about(subject_ids: Collection[str]) -> Callable[[Record], bool]:
    """Says of a record whether it is about one of `subject_ids`: by key, by workflow, or by an id in its value."""
    ids = frozenset(subject_ids)

    def says(record: Record) -> bool:
        if (record.key or b"").decode(errors="replace") in ids or header(record, "ce_workflowid") in ids:
            return True
        value = parsed_object(record.value)
        return any(isinstance(value.get(name), str) and value[name] in ids for name in _NAMED_BY)

    return says
