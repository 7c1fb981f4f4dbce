"""What changed between two versions of a definition, field by field, for a person."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pointsman.definitions.model import AgentDefinition

_ABSENT: Final = object()
_SHORT: Final = 60


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """One field that differs.

    Attributes:
        field: where, e.g. `accepts[lead.scored].contract.properties.score.maximum`.
        before: the old value as text; None when the field is new.
        after: the new value as text; None when the field is gone.
    """

    field: str
    before: str | None
    after: str | None

    def lines(self) -> list[str]:
        """The change for a terminal: one line, or a difference by lines when a text is long."""
        if self.before is None:
            return [f"{self.field}: new: {_cut(self.after)}"]
        if self.after is None:
            return [f"{self.field}: gone, was {_cut(self.before)}"]
        if max(len(self.before), len(self.after)) <= _SHORT:
            return [f"{self.field}: {self.before} → {self.after}"]
        compared = difflib.ndiff(self.before.splitlines(), self.after.splitlines())
        return [f"{self.field}:", *(f"  {line}" for line in compared if line[:2] in {"- ", "+ "})]


def field_changes(before: AgentDefinition, after: AgentDefinition) -> list[FieldChange]:
    """Every field in which the two differ, in the order of the format."""
    old, new = dict(_leaves(_keyed(before))), dict(_leaves(_keyed(after)))
    changed = [field for field in {**old, **new} if old.get(field, _ABSENT) != new.get(field, _ABSENT)]
    return [FieldChange(field=field, before=_text(old, field), after=_text(new, field)) for field in changed]


def _keyed(definition: AgentDefinition) -> dict[str, Any]:
    """The definition with its event types as keys, so that a new entry does not shift the others."""
    data = definition.model_dump(mode="json")
    for field in ("accepts", "emits"):
        data[field] = {f"[{entry['type']}]": entry for entry in data[field]}
    return data


def _leaves(value: Any, field: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _leaves(part, f"{field}{name}" if name.startswith("[") else f"{field}.{name}".lstrip("."))
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        for index, part in enumerate(value):
            yield from _leaves(part, f"{field}[{index}]")
    else:
        yield field, value


def _text(leaves: dict[str, Any], field: str) -> str | None:
    if field not in leaves:
        return None
    value = leaves[field]
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) > 1 and len(str(value)) > _SHORT:
        return "\n".join(part if isinstance(part, str) else json.dumps(part) for part in value)
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str | None) -> str:
    flat = " ".join((text or "").split())
    return flat if len(flat) <= 2 * _SHORT else f"{flat[: 2 * _SHORT - 1]}…"
