"""The way of one workflow in full: a row for each thing that happened, over MongoDB, Kafka, Flink, model and mail.

Pure: Kafka records and ledger documents in, rows out. Rows hold what was said word for word; `to_json` and whoever
shows them mask it unless told otherwise. Where `pointsman.journeys` follows many workflows in a bounded memory, this
explains one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from pointsman.envelope import Record
from pointsman.masking import masked_line
from pointsman.timeline.reading import effect_row, rows_of
from pointsman.timeline.rows import Looked, Part, Row, Usage

__all__ = ["Looked", "Part", "Row", "Timeline", "Usage", "timeline"]

_LAST: Final = datetime.max.replace(tzinfo=UTC)
_WITHOUT_ATTEMPT: Final = frozenset({Part.EFFECT, Part.PERSON})
"""The ledger and the audit do not say which attempt of a message they are about: their time does."""
_ORDER: Final = {part: number for number, part in enumerate(Part)}


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Everything that is known of one workflow.

    Attributes:
        workflow_id: its id.
        rows: what happened, hop by hop, and within a hop in the order of the parts.
    """

    workflow_id: str
    rows: tuple[Row, ...]

    def to_json(self, *, unmask: bool = False) -> dict[str, Any]:
        """The timeline as a JSON object; see `Row.to_json`."""
        rows = [row.to_json(unmask=unmask) for row in self.rows]
        return {"workflow_id": masked_line(self.workflow_id), "rows": rows}


def timeline(workflow_id: str, records: Iterable[Record], effects: Iterable[Mapping[str, Any]] = ()) -> Timeline:
    """What happened to one workflow.

    Args:
        workflow_id: its id.
        records: records of any topic, in any order and with repeats; those of other workflows are left out.
        effects: the ledger's documents about this workflow.
    """
    rows = [row for record in records for row in rows_of(workflow_id, record)]
    rows += [effect_row(document) for document in effects]
    unique = {(row.part, row.place or row.title, row.message_id, row.attempt): row for row in reversed(rows)}
    return Timeline(workflow_id=workflow_id, rows=tuple(_numbered(list(unique.values()))))


def _numbered(rows: Sequence[Row]) -> list[Row]:
    """`rows` in order, each with the number of its hop."""
    first_at: dict[tuple[str, int], datetime] = {}
    for row in rows:
        key = _message_of(row)
        if key and row.part in {Part.MESSAGE, Part.DECISION}:
            first_at[key] = min(first_at.get(key, _LAST), row.at or _LAST)
    in_order = sorted(first_at, key=lambda key: (first_at[key], key[1], key[0]))
    numbers = {key: number for number, key in enumerate(in_order, start=1)}
    placed = [replace(row, hop=_hop(row, numbers, first_at)) for row in rows]
    return sorted(placed, key=lambda row: (row.hop, _ORDER[row.part], row.at or _LAST, row.title))


def _hop(row: Row, numbers: Mapping[tuple[str, int], int], first_at: Mapping[tuple[str, int], datetime]) -> int:
    if row.part is Part.LEAD:
        return 0
    key = _message_of(row)
    if key is not None and key in numbers and row.part not in _WITHOUT_ATTEMPT:
        return numbers[key]
    before = {key: number for key, number in numbers.items() if row.at and first_at[key] <= row.at}
    same_id = [number for (message_id, _), number in before.items() if message_id == row.message_id]
    return max(same_id or before.values(), default=0)


def _message_of(row: Row) -> tuple[str, int] | None:
    return (row.message_id, row.attempt) if row.message_id else None
