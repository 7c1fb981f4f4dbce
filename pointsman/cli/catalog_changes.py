"""A step of the catalog as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from pointsman.definitions.compare import field_changes
from pointsman.publish import Move


def change_lines(move: Move) -> Iterator[str]:
    """One line per agent that is added (+), changed (~) or removed (-); its changed fields below, indented."""
    before, after, changes = move.before.definitions, move.after.definitions, move.changes
    for name in changes.added:
        yield f"+ {name} {after[name].version}"
    for name in changes.changed:
        old, new = before[name], after[name]
        versions = f"{old.version} → {new.version}" if old.version != new.version else f"{new.version} (same version)"
        yield f"~ {name} {versions}"
        for change in field_changes(old, new):
            if change.field != "version":
                yield from (f"    {line}" for line in change.lines())
    for name in changes.removed:
        yield f"- {name} {before[name].version}"
    for name in move.kept:
        yield f"  {name} stays, although the folder does not hold it: `pointsman agents remove {name}` or --prune"
    if not changes:
        yield "  no changes"


def change_data(move: Move) -> dict[str, Any]:
    """The same for programs."""
    before, after, changes = move.before.definitions, move.after.definitions, move.changes
    return {
        "before": {"sequence": move.before.sequence, "version": move.before.version},
        "after": {"sequence": move.after.sequence, "version": move.after.version},
        "added": [{"name": name, "version": after[name].version} for name in changes.added],
        "changed": [
            {
                "name": name,
                "version": after[name].version,
                "fields": [asdict(change) for change in field_changes(before[name], after[name])],
            }
            for name in changes.changed
        ],
        "removed": [{"name": name, "version": before[name].version} for name in changes.removed],
        "kept": list(move.kept),
    }


def summary(move: Move) -> str:
    """What was done, in one line."""
    if not move.changes:
        return f"catalog {move.after.sequence} ({move.after.version}) is in force already"
    made = f"; made {', '.join(move.topics_made)}" if move.topics_made else ""
    return f"catalog {move.after.sequence} ({move.after.version}) is in force{made}"
