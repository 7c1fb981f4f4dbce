"""Agents: what is in force, who can follow whom, how it came about, and changing a definition."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from pointsman.audit import AuditEntry, read_entry
from pointsman.catalog import Catalog, digest
from pointsman.catalog_history import SUBJECT_PREFIX, Author, kept_catalogs
from pointsman.console.desk import Desk
from pointsman.console.graph import graph
from pointsman.console.problems import ProblemError
from pointsman.console.sessions import Acting, Operator, TheDesk, Viewer
from pointsman.console.view import key_of
from pointsman.definitions.compare import field_changes
from pointsman.definitions.files import MAX_FILE_BYTES
from pointsman.definitions.loader import LoadResult, load_text
from pointsman.definitions.model import AgentDefinition
from pointsman.definitions.writing import to_yaml
from pointsman.envelope import to_rfc3339
from pointsman.publish import apply, planned
from pointsman.rollouts.report import report
from pointsman.topics import AUDIT, CATALOGS

router = APIRouter(prefix="/api/agents", include_in_schema=False)

_MOST_HISTORY: Final = 100
_MOST_DIFFERENCES: Final = 20


class Edit(BaseModel):
    """A definition as somebody wrote it.

    Attributes:
        text: the YAML.
        base: SHA-256 of the definition that it was made from; empty for a new agent.
    """

    text: str = Field(max_length=MAX_FILE_BYTES)
    base: str = Field(default="", max_length=64)


@router.get("")
def catalog(desk: TheDesk, _: Viewer) -> dict[str, Any]:
    """The agents in force, and the graph of who can follow whom with what really went along it."""
    found, health = desk.view.catalog, desk.watch.health
    return {
        "sequence": found.sequence,
        "version": found.version,
        "agents": [{**_in_short(one), "lag": health.lag.get(one.name)} for one in found.definitions.values()],
        "graph": graph(found, desk.view.traffic()),
        "rollout": _rollout(desk),
    }


@router.get("/{name}")
async def show(name: str, desk: TheDesk, _: Viewer) -> dict[str, Any]:
    """One agent: contracts, the definition as YAML, and what was changed by whom."""
    found = desk.view.catalog.definitions.get(name)
    if found is None:
        raise ProblemError(404, "No agent of that name is in force.", code="agent")
    return {
        **_in_short(found),
        "contracts": {
            "accepts": [{"type": one.type, "contract": one.contract} for one in found.accepts],
            "emits": [
                {"type": one.type, "terminal": one.terminal, "next_agent": one.next_agent, "contract": one.contract}
                for one in found.emits
            ],
        },
        "limits": found.limits.model_dump(mode="json"),
        "model": found.model.model_dump(mode="json"),
        "examples": found.examples,
        "counter_examples": found.counter_examples,
        "yaml": as_yaml(found),
        "base": digest(found),
        "history": await run_in_threadpool(history, desk, name),
    }


@router.post("/{name}/check")
def check_edit(name: str, edit: Edit, desk: TheDesk, _: Acting) -> dict[str, Any]:
    """What is wrong with an edited definition, and what applying it would change."""
    result = _loaded(name, edit, desk.view.catalog)
    return {"problems": _problems(result), "is_valid": not result.errors, "changes": _changes(desk, result)}


@router.post("/{name}/apply", status_code=202)
async def apply_edit(name: str, edit: Edit, desk: TheDesk, session: Operator) -> dict[str, Any]:
    """Put an edited definition in force; refused when anything is wrong or somebody else was faster."""
    before = await run_in_threadpool(desk.catalog.load)
    known = before.definitions.get(name)
    if (digest(known) if known else "") != edit.base:
        raise ProblemError(409, "Somebody has changed this agent meanwhile: load it again.", code="changed")
    result = _loaded(name, edit, before)
    if result.errors:
        errors = [{"pointer": f"/{one['line']}:{one['column']}", "detail": one["message"]} for one in _problems(result)]
        raise ProblemError(422, "Nothing was applied.", code="definition", errors=errors)
    author = Author(by=session.name, at=desk.now())
    move = await run_in_threadpool(lambda: apply(desk.catalog, result.definitions, author=author))
    return {"sequence": move.after.sequence, "version": move.after.version, "is_changed": bool(move.changes)}


def history(desk: Desk, name: str) -> list[dict[str, Any]]:
    """What was changed about an agent, the latest first, each with the fields that differ."""
    entries = [entry for record in desk.topics.read(AUDIT) if (entry := read_entry(record)) and _is_about(entry, name)]
    catalogs = kept_catalogs(desk.topics.read(CATALOGS)) if entries else {}
    latest = sorted(entries, key=lambda entry: entry.at, reverse=True)
    return [_step(entry, name, catalogs) for entry in latest[:_MOST_HISTORY]]


def as_yaml(definition: AgentDefinition) -> str:
    """The definition as somebody would write it: what has its default is left out."""
    return to_yaml(definition.model_dump(mode="json", exclude_defaults=True))


def _is_about(entry: AuditEntry, name: str) -> bool:
    return entry.subject == f"{SUBJECT_PREFIX}{name}"


def _step(entry: AuditEntry, name: str, catalogs: dict[str, Catalog]) -> dict[str, Any]:
    old, new = (_definition(catalogs, entry.details.get(which), name) for which in ("catalog_before", "catalog"))
    changes = [vars(change) for change in field_changes(old, new)] if old and new else []
    return {
        "at": to_rfc3339(entry.at),
        "by": entry.by,
        "action": entry.action.value,
        "version": entry.details.get("version"),
        "version_before": entry.details.get("version_before"),
        "catalog": entry.details.get("catalog"),
        "changes": changes,
    }


def _definition(catalogs: dict[str, Catalog], version: Any, name: str) -> AgentDefinition | None:
    catalog = catalogs.get(version) if isinstance(version, str) else None
    return catalog.definitions.get(name) if catalog else None


def _loaded(name: str, edit: Edit, catalog: Catalog) -> LoadResult:
    return load_text(edit.text, f"{name}.yaml", beside=catalog.definitions.values())


def _problems(result: LoadResult) -> list[dict[str, Any]]:
    return [
        {"line": one.line, "column": one.column, "message": one.message, "severity": one.severity}
        for one in result.problems
    ]


def _changes(desk: Desk, result: LoadResult) -> list[dict[str, Any]]:
    """The fields that an apply would change."""
    move = planned(desk.view.catalog, result.definitions)
    before, after = move.before.definitions, move.after.definitions
    return [vars(one) for name in move.changes.changed for one in field_changes(before[name], after[name])]


def _rollout(desk: Desk) -> dict[str, Any] | None:
    """The latest rollout; the messages on which its sides differ by what pages call their workflows."""
    found = desk.view.rollout()
    if found is None:
        return None
    told = report(*found)
    shadow = told["counts"]["shadow"]
    shadow["differences"] = [
        {"workflow": key_of(one["workflow_id"]), **{name: one[name] for name in ("event_type", "live", "shadow")}}
        for one in shadow["differences"][:_MOST_DIFFERENCES]
    ]
    return told


def _in_short(definition: AgentDefinition) -> dict[str, Any]:
    return {
        "name": definition.name,
        "version": definition.version,
        "description": definition.description,
        "accepts": [entry.type for entry in definition.accepts],
        "emits": [{"type": entry.type, "terminal": entry.terminal} for entry in definition.emits],
    }
