"""Criteria and sort orders as SQL over the column `doc`. Values are parameters, always; no text of theirs is SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from pointsman_postgresql.documents import TIME, encoded, milliseconds

_COMPARED: Final = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}


class Query:
    """A condition, and the parameters that stand in it.

    Args:
        criteria: as `pointsman.store.DocumentStore.find` has them.
        parameters: those that stand before.
    """

    def __init__(self, criteria: Mapping[str, Any], *parameters: Any) -> None:
        self.parameters: list[Any] = list(parameters)
        conditions = [each for name, wanted in criteria.items() for each in self._conditions(name, wanted)]
        self.condition = " AND ".join(conditions) or "true"

    def _conditions(self, name: str, wanted: Any) -> list[str]:
        field = self._field(name)
        if isinstance(wanted, dict) and any(key.startswith("$") for key in wanted):
            return [self._operator(field, operator, value) for operator, value in wanted.items()]
        return [self._equal(field, wanted)]

    def _operator(self, field: str, operator: str, value: Any) -> str:
        if operator in _COMPARED:
            return self._compared(field, _COMPARED[operator], value)
        others: dict[str, Callable[[], str]] = {
            "$eq": lambda: self._equal(field, value),
            "$ne": lambda: f"NOT {self._equal(field, value)}",
            "$in": lambda: f"({' OR '.join(self._equal(field, one) for one in value) or 'false'})",
            "$exists": lambda: f"({field} IS NOT NULL) = {'true' if value else 'false'}",
        }
        return others[operator]()

    def _equal(self, field: str, value: Any) -> str:
        if value is None:
            return f"(coalesce({field}, 'null') = 'null')"
        wanted = f"{self._parameter(encoded(value))}::jsonb"
        holds = f"jsonb_typeof({field}) = 'array' AND jsonb_typeof({wanted}) <> 'array' AND {field} @> {wanted}"
        return f"coalesce({field} = {wanted} OR ({holds}), false)"

    def _compared(self, field: str, sign: str, value: Any) -> str:
        if isinstance(value, datetime):
            found, wanted = _time(field), f"{self._parameter(str(milliseconds(value)))}::text::bigint"
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found, wanted = _number(field), f"{self._parameter(str(value))}::text::numeric"
        elif isinstance(value, str):
            found, wanted = _text(field), f'{self._parameter(value)}::text COLLATE "C"'
        else:
            return "false"  # what cannot be kept is in no document
        return f"coalesce({found} {sign} {wanted}, false)"

    def _field(self, name: str) -> str:
        return f"(doc #> {self._parameter(name.split('.'))}::text[])"

    def _parameter(self, value: Any) -> str:
        self.parameters.append(value)
        return f"${len(self.parameters)}"


def order(field: str, direction: int) -> str:
    """What sorts by `field` across kinds of values: nothing, numbers, texts, truth values, times."""
    kind = f"coalesce(array_position(ARRAY['number', 'string', 'boolean', 'object'], jsonb_typeof({field})), 0)"
    parts = (kind, _number(field), f'{_text(field)} COLLATE "C"', f"{field} = 'true'", _time(field))
    return ", ".join(f"{part} {'ASC' if direction > 0 else 'DESC'} NULLS FIRST" for part in parts)


def _number(field: str) -> str:
    return f"CASE WHEN jsonb_typeof({field}) = 'number' THEN ({field} #>> '{{}}')::numeric END"


def _text(field: str) -> str:
    return f"CASE WHEN jsonb_typeof({field}) = 'string' THEN {field} #>> '{{}}' END"


def _time(field: str) -> str:
    return f"CASE WHEN jsonb_typeof({field} -> '{TIME}') = 'number' THEN ({field} ->> '{TIME}')::bigint END"
