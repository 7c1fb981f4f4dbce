"""What is shown of a plan: ids and states, no payload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pointsman.envelope import from_rfc3339, to_rfc3339
from pointsman.plans.state import PlanState, PlanStatus, TaskStatus


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """One task.

    Attributes:
        id: its id.
        status: what it does.
        attempts: how often it was sent.
        since: since when it does so, UTC.
        reason: why it failed, for programs; empty when it did not.
    """

    id: str
    status: TaskStatus
    attempts: int
    since: datetime
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class PlanView:
    """One plan, as `workflow_state` tells it.

    Attributes:
        plan_id: its id.
        status: what it does.
        since: since when, UTC.
        tasks: its tasks, as proposed.
    """

    plan_id: str
    status: PlanStatus
    since: datetime
    tasks: tuple[TaskView, ...]

    @staticmethod
    def of(state: PlanState) -> PlanView:
        """What is shown of `state`."""
        tasks = tuple(
            TaskView(
                id=each.task.id, status=each.status, attempts=each.tries.sent, since=each.since, reason=each.reason
            )
            for each in state.tasks
        )
        return PlanView(plan_id=state.plan_id, status=state.status, since=state.since, tasks=tasks)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; `from_json` reads it back."""
        tasks = [
            {
                "id": task.id,
                "status": task.status.value,
                "attempts": task.attempts,
                "since": to_rfc3339(task.since),
                "reason": task.reason,
            }
            for task in self.tasks
        ]
        return {"plan_id": self.plan_id, "status": self.status.value, "since": to_rfc3339(self.since), "tasks": tasks}

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> PlanView:
        """Read what `to_json` wrote.

        Raises:
            KeyError: a field is missing.
            TypeError: a field is of another kind.
            ValueError: a field has a value that is not known.
        """
        tasks = tuple(
            TaskView(
                id=str(task["id"]),
                status=TaskStatus(task["status"]),
                attempts=int(task["attempts"]),
                since=from_rfc3339(task["since"]),
                reason=str(task["reason"]),
            )
            for task in fields["tasks"]
        )
        return PlanView(
            plan_id=str(fields["plan_id"]),
            status=PlanStatus(fields["status"]),
            since=from_rfc3339(fields["since"]),
            tasks=tasks,
        )
