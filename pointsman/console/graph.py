"""Who can follow whom: drawn from the contracts, with what really went along. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pointsman.catalog import Catalog
from pointsman.console.stages import depths

START: Final = "start"
END: Final = "end"


def graph(catalog: Catalog, traffic: Iterable[tuple[str, str, str, int]]) -> dict[str, Any]:
    """Nodes with their column, and edges with the event type that leads along them.

    Args:
        catalog: the agents in force.
        traffic: source, event type, agent (or `end`) and how many messages.
    """
    counted: dict[tuple[str, str, str], int] = {}
    for source, event_type, target, count in traffic:
        key = (source if source in catalog.definitions else START, event_type, target)
        counted[key] = counted.get(key, 0) + count
    edges = sorted({*_possible(catalog), *(way for way in counted if way[2] == END or way[2] in catalog.definitions)})
    columns = depths(catalog)
    last = max(columns.values(), default=0) + 2
    nodes = [{"name": name, "column": columns[name] + 1} for name in columns]
    return {
        "nodes": [{"name": START, "column": 0}, *nodes, {"name": END, "column": last}],
        "edges": [
            {"from": source, "type": event_type, "to": target, "count": counted.get((source, event_type, target), 0)}
            for source, event_type, target in edges
        ],
    }


def _possible(catalog: Catalog) -> Iterable[tuple[str, str, str]]:
    """Every way that the contracts allow."""
    emitted = {entry.type for one in catalog.definitions.values() for entry in one.emits}
    for name, definition in catalog.definitions.items():
        yield from ((START, entry.type, name) for entry in definition.accepts if entry.type not in emitted)
        for entry in definition.emits:
            followers = [entry.next_agent] if entry.next_agent else [one.name for one in catalog.accepting(entry.type)]
            yield from ((name, entry.type, follower) for follower in followers)
            if entry.terminal and not followers:
                yield name, entry.type, END
