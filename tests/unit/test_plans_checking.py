"""A plan that cannot be carried out is refused before anything of it is sent, and the task is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pointsman.catalog import Catalog
from pointsman.definitions import Accepts, AgentDefinition, Emits
from pointsman.errors import ErrorReason, InvalidPlanError
from pointsman.plans import ProposedPlan, checked_plan
from pointsman.plans.bounds import MAX_PLAN_BYTES
from pointsman.routing import Router
from tests.plans import UNDO, proposal, task

WORKER = AgentDefinition(
    name="worker",
    version="1.0.0",
    description="Works.",
    accepts=[
        Accepts(type="work.asked", contract={"type": "object", "required": ["for"]}),
        Accepts(type="work.undone", contract={"type": "object"}),
        Accepts(type="work.joined", contract={"type": "object"}),
    ],
    emits=[Emits(type="work.done", contract={"type": "object"}, terminal=True)],
)
ROUTER = Router(Catalog.of([WORKER]))


def check(payload: dict[str, Any]) -> None:
    checked_plan(payload, ROUTER.catalog, ROUTER.candidates)


def test_a_plan_that_can_be_carried_out_passes() -> None:
    check(proposal(task("a", compensate=UNDO), task("b", needs=["a"], payload={})))


def test_the_committed_schema_is_not_stale() -> None:
    committed = json.loads(Path("docs/plan.schema.json").read_text())
    assert committed == {"$schema": committed["$schema"], **ProposedPlan.model_json_schema()}


def test_a_plan_may_end_with_a_terminal_event() -> None:
    check({"tasks": [task("a")], "join": {"event_type": "work.done", "payload": {}}})


@pytest.mark.parametrize(
    ("payload", "names"),
    [
        ({}, "tasks"),
        ({"tasks": [task("a")]}, "join"),
        (proposal(), "tasks"),
        (proposal(*(task(f"t{index}") for index in range(11))), "tasks"),
        (proposal(task("Not an id")), "tasks.0.id"),
        (proposal(task("a", attempts=0)), "tasks.0.attempts"),
        (proposal(task("a", **{"ann@example.com": 1})), "tasks.0.?"),
        (proposal(task("a"), task("a")), "task a: its id stands twice"),
        (proposal(task("a", needs=["b"])), "task a: it needs b"),
        (proposal(task("a", needs=["b"]), task("b", needs=["a"])), "it needs itself"),
        (proposal(task("a", needs=["a"])), "task a: it needs itself"),
        (proposal(task("a", event_type="no.body")), "task a: no agent accepts no.body"),
        (proposal(task("a", payload={"secret": "ann@example.com"})), "task a: no contract takes its payload: worker:"),
        (proposal(task("a"), task("b", needs=["a"], payload={"results": 1})), "task b: `results`"),
        (proposal(task("a", compensate={"event_type": "no.body"})), "task a, compensate: no agent accepts no.body"),
        ({"tasks": [task("a")], "join": {"event_type": "no.body"}}, "join: no agent accepts no.body"),
        ({"tasks": [task("a")], "join": {"event_type": "work.done", "payload": {"results": 1}}}, "join: `results`"),
        (proposal(task("a", payload={"for": "x" * MAX_PLAN_BYTES})), "bytes, at most"),
        (proposal(task("a", payload={"for": float("inf")})), "a number that JSON cannot say"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_by_name_and_without_values(
    payload: dict[str, Any], names: str
) -> None:
    with pytest.raises(InvalidPlanError) as caught:
        check(payload)
    assert names in caught.value.detail
    assert "ann@example.com" not in caught.value.detail
    assert caught.value.reason is ErrorReason.INVALID_PLAN
