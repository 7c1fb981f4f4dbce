"""Every catalog that was ever in force, by its version: `agent_definitions` keeps only the latest. Pure.

A decision names the version of the catalog that made it. One record per version, on a compacted topic, holds the whole
set, so that the decision can be explained and made again however much has changed since.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pointsman.audit import Action, AuditEntry
from pointsman.catalog import Catalog, diff, digest, parse_definition
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError, PermanentError
from pointsman.topics import CATALOGS

SUBJECT_PREFIX: Final = "agents/"
"""How the subject of an audit record about an agent's definition begins."""


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who changes definitions, and when.

    Attributes:
        by: their name.
        at: the time, UTC.
    """

    by: str
    at: datetime


def kept_record(catalog: Catalog) -> Record:
    """`catalog` as a record for `agent_catalogs`; equal for equal definitions, whoever applies them."""
    kept = {"version": catalog.version, "agents": catalog_json(catalog)}
    value = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    return Record(
        topic=CATALOGS,
        key=catalog.version.encode(),
        value=value.encode(),
        headers={"content-type": b"application/json"},
    )


def kept_catalogs(records: Iterable[Record]) -> dict[str, Catalog]:
    """The catalogs in the records of `agent_catalogs`, by the version they had then; what is none is left out."""
    return dict(filter(None, map(_read, records)))


def catalog_json(catalog: Catalog) -> dict[str, Any]:
    """The definitions of `catalog` as a JSON object, by agent name; `parse_catalog` reads it."""
    return {name: definition.model_dump(mode="json") for name, definition in catalog.definitions.items()}


def parse_catalog(agents: Mapping[str, Any]) -> Catalog:
    """Read what `catalog_json` made.

    Raises:
        PermanentError: one of them is no definition.
    """
    return Catalog.of(parse_definition(json.dumps(agent).encode()) for agent in agents.values())


def named(catalogs: dict[str, Catalog], beginning: str) -> Catalog:
    """The one catalog whose version begins so.

    Raises:
        ConfigurationError: none or several do.
    """
    found = [catalog for version, catalog in catalogs.items() if version.startswith(beginning)]
    if len(found) != 1 or not beginning:
        what = "several catalogs have" if found else "no catalog has"
        raise ConfigurationError(
            f"{what} a version that begins with {beginning[:20]!r}", "`pointsman agents history` names them"
        )
    return found[0]


def audit_records(before: Catalog, after: Catalog, author: Author) -> Iterator[Record]:
    """A record for each agent that `author` adds, changes or removes."""
    changes = diff(before, after)
    acts = {
        Action.AGENT_ADDED: changes.added,
        Action.AGENT_CHANGED: changes.changed,
        Action.AGENT_REMOVED: changes.removed,
    }
    for action, names in acts.items():
        for name in names:
            yield _entry(action, name, before, after, author).to_record()


def _entry(action: Action, name: str, before: Catalog, after: Catalog, author: Author) -> AuditEntry:
    old, new = before.definitions.get(name), after.definitions.get(name)
    details = {
        "version": new.version if new else None,
        "version_before": old.version if old else None,
        "sha256": digest(new) if new else None,
        "catalog": after.version,
        "catalog_before": before.version if before.definitions else None,
        "catalog_sequence": after.sequence,
    }
    return AuditEntry(action=action, subject=f"{SUBJECT_PREFIX}{name}", by=author.by, at=author.at, details=details)


def _read(record: Record) -> tuple[str, Catalog] | None:
    try:
        kept = json.loads(record.value or b"")
        # Not the version that it has now: definitions may have got new fields since.
        return str(kept["version"]), parse_catalog(kept["agents"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, PermanentError):
        return None
