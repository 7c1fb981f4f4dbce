"""Plans to try things with."""

from __future__ import annotations

from typing import Any

from pointsman.plans import ProposedPlan


def task(task_id: str, **more: Any) -> dict[str, Any]:
    """One task as an agent writes it."""
    return {"id": task_id, "event_type": "work.asked", "payload": {"for": task_id}, **more}


def proposal(*tasks: dict[str, Any]) -> dict[str, Any]:
    """The payload of `plan.proposed`."""
    return {"tasks": list(tasks), "join": {"event_type": "work.joined", "payload": {"company": "Acme"}}}


def plan_of(*tasks: dict[str, Any]) -> ProposedPlan:
    """A plan, unchecked."""
    return ProposedPlan.model_validate(proposal(*tasks))


UNDO: dict[str, Any] = {"event_type": "work.undone", "payload": {"why": "the plan failed"}}
