"""`pointsman agents history` and `agents diff --version`: who changed which definition, when, and what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from pointsman.audit import AuditEntry, read_entry
from pointsman.catalog import Catalog
from pointsman.catalog_history import SUBJECT_PREFIX, kept_catalogs
from pointsman.cli.output import Output, OutputOption, print_rows
from pointsman.definitions.compare import field_changes
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError
from pointsman.kafka import KafkaAdmin, load_catalog, read_all
from pointsman.masking import masked_line
from pointsman.settings import settings
from pointsman.topics import AUDIT, CATALOGS


def history(
    name: Annotated[str | None, typer.Argument(help="Only this agent; all of them if left out.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Who added, changed or removed an agent, when, and which fields; the latest last."""
    rows = changes(records(AUDIT), catalogs(), name)
    if not rows:
        what = f"nobody has changed an agent {masked_line(name)}" if name else "nobody has changed an agent"
        raise ConfigurationError(what, f"`pointsman agents ls` names those in force; {AUDIT} is kept for 90 days")
    print_rows(rows, ("at", "by", "what", "agent", "version", "catalog", "fields"), output)


def changes(audit: Iterable[Record], kept: dict[str, Catalog], name: str | None) -> list[dict[str, Any]]:
    """A row for each change of an agent, in the order of time."""
    entries = [entry for record in audit if (entry := read_entry(record)) and entry.subject.startswith(SUBJECT_PREFIX)]
    wanted = [entry for entry in entries if name is None or entry.subject == f"{SUBJECT_PREFIX}{name}"]
    return [_row(entry, kept) for entry in sorted(wanted, key=lambda entry: entry.at)]


def records(topic: str) -> list[Record]:
    """The records of a topic of the cluster that the settings name; none when there is no such topic."""
    bootstrap = settings().kafka_bootstrap
    return list(read_all(bootstrap, topic)) if topic in KafkaAdmin(bootstrap).topics() else []


def catalogs() -> dict[str, Catalog]:
    """Every catalog that the cluster keeps, by version, the one in force last."""
    current = load_catalog(settings().kafka_bootstrap)
    return {**kept_catalogs(records(CATALOGS)), current.version: current}


def _row(entry: AuditEntry, kept: dict[str, Catalog]) -> dict[str, Any]:
    name, details = entry.subject.removeprefix(SUBJECT_PREFIX), entry.details
    return {
        "at": entry.at,
        "by": masked_line(entry.by),
        "what": entry.action.value.removeprefix("agent."),
        "agent": name,
        "version": details.get("version") or details.get("version_before"),
        "catalog": details.get("catalog"),
        "catalog_before": details.get("catalog_before"),
        "fields": _fields(name, kept.get(str(details.get("catalog_before"))), kept.get(str(details.get("catalog")))),
    }


def _fields(name: str, before: Catalog | None, after: Catalog | None) -> list[str]:
    old = before.definitions.get(name) if before else None
    new = after.definitions.get(name) if after else None
    return [change.field for change in field_changes(old, new)] if old and new else []
