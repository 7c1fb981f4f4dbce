"""Where a plan stands, and how that is kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pointsman.envelope import Payload, from_rfc3339, to_rfc3339
from pointsman.plans.model import ProposedPlan, Task

UNDO: Final = ".undo"
"""Ends the task id of the message that compensates a task; no task's own id holds a dot."""
_STATE_VERSION: Final = 1


class PlanStatus(StrEnum):
    """What a plan does."""

    RUNNING = "running"
    COMPENSATING = "compensating"
    """A task has failed for good; nothing new begins, what was done is being undone."""
    JOINED = "joined"
    FAILED = "failed"


class TaskStatus(StrEnum):
    """What a task does."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    NOT_COMPENSATED = "not_compensated"


@dataclass(frozen=True, kw_only=True)
class Tries:
    """How often a message was sent, and how often it may be.

    Attributes:
        sent: messages sent so far.
        granted: how many may be sent.
    """

    sent: int = 0
    granted: int = 0

    @property
    def is_spent(self) -> bool:
        """Whether none is left."""
        return self.sent >= self.granted

    def renewed(self, attempts: int) -> Tries:
        """With `attempts` more, counted on."""
        return replace(self, granted=self.sent + attempts)

    def spent(self) -> Tries:
        """With one more sent."""
        return replace(self, sent=self.sent + 1)


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """Where one task stands.

    Attributes:
        task: the task as proposed.
        status: what it does.
        since: when that began, UTC.
        tries: its own messages.
        undo: the messages that compensate it.
        order: how many tasks were done before it; 0 while it is not done. Compensation goes backwards.
        result: what it came to, when done.
        reason: why it failed, for programs.
    """

    task: Task
    status: TaskStatus
    since: datetime
    tries: Tries
    undo: Tries = Tries()
    order: int = 0
    result: Payload | None = None
    reason: str = ""

    @property
    def is_over(self) -> bool:
        """Whether what needs this task may begin."""
        return self.status is TaskStatus.DONE or (self.status is TaskStatus.FAILED and self.task.optional)

    @property
    def outcome(self) -> Payload:
        """What others get of it."""
        return self.result if self.result is not None else {"failed": self.reason}


@dataclass(frozen=True, kw_only=True)
class PlanState:
    """Where a plan stands.

    Attributes:
        plan_id: its id.
        workflow_id: the workflow that it belongs to.
        headers: those of the message that proposed it: what it sends inherits them.
        plan: the plan as proposed.
        status: what it does.
        since: when that began, UTC.
        tasks: its tasks, as proposed.
        rounds: how often a person had it go on after it had failed.
    """

    plan_id: str
    workflow_id: str
    headers: Mapping[str, bytes]
    plan: ProposedPlan
    status: PlanStatus
    since: datetime
    tasks: tuple[TaskState, ...]
    rounds: int = 0

    def task(self, task_id: str) -> TaskState | None:
        """The task of that id."""
        return next((each for each in self.tasks if each.task.id == task_id), None)

    def with_task(self, changed: TaskState) -> PlanState:
        """With `changed` in its place."""
        tasks = tuple(changed if each.task.id == changed.task.id else each for each in self.tasks)
        return replace(self, tasks=tasks)

    def slim(self) -> PlanState:
        """Without what only further messages would need."""
        emptied = {
            "tasks": [{**_task_json(each.task), "payload": {}, "compensate": None} for each in self.tasks],
            "join": {"event_type": self.plan.join.event_type},
        }
        plan = ProposedPlan.model_validate(emptied)
        tasks = tuple(
            replace(state, task=task, result=None) for state, task in zip(self.tasks, plan.tasks, strict=True)
        )
        return replace(self, plan=plan, tasks=tasks, headers={})

    def to_bytes(self) -> bytes:
        """The state as bytes; `from_bytes` reads them back.

        Raises:
            ValueError: a payload holds something that JSON cannot say.
        """
        about = {
            "v": _STATE_VERSION,
            "plan_id": self.plan_id,
            "workflow_id": self.workflow_id,
            "headers": {name: base64.b64encode(octets).decode() for name, octets in self.headers.items()},
            "plan": {"tasks": [_task_json(task) for task in self.plan.tasks], "join": _call_json(self.plan.join)},
            "status": self.status.value,
            "since": to_rfc3339(self.since),
            "tasks": [_state_json(each) for each in self.tasks],
            "rounds": self.rounds,
        }
        return json.dumps(about, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    @staticmethod
    def from_bytes(octets: bytes) -> PlanState:
        """What `to_bytes` wrote."""
        about: Mapping[str, Any] = json.loads(bytes(octets))
        plan = ProposedPlan.model_validate(about["plan"])
        return PlanState(
            plan_id=about["plan_id"],
            workflow_id=about["workflow_id"],
            headers={name: base64.b64decode(text) for name, text in about["headers"].items()},
            plan=plan,
            status=PlanStatus(about["status"]),
            since=from_rfc3339(about["since"]),
            tasks=tuple(_state_from(task, kept) for task, kept in zip(plan.tasks, about["tasks"], strict=True)),
            rounds=about["rounds"],
        )


def _call_json(call: Any) -> dict[str, Any]:
    return {"event_type": call.event_type, "payload": call.payload}


def _task_json(task: Task) -> dict[str, Any]:
    return {
        **_call_json(task),
        "id": task.id,
        "needs": task.needs,
        "attempts": task.attempts,
        "optional": task.optional,
        "compensate": _call_json(task.compensate) if task.compensate else None,
    }


def _state_json(state: TaskState) -> dict[str, Any]:
    return {
        "status": state.status.value,
        "since": to_rfc3339(state.since),
        "tries": [state.tries.sent, state.tries.granted],
        "undo": [state.undo.sent, state.undo.granted],
        "order": state.order,
        "result": state.result,
        "reason": state.reason,
    }


def _state_from(task: Task, kept: Mapping[str, Any]) -> TaskState:
    tries, undo = (Tries(sent=kept[name][0], granted=kept[name][1]) for name in ("tries", "undo"))
    return TaskState(
        task=task,
        status=TaskStatus(kept["status"]),
        since=from_rfc3339(kept["since"]),
        tries=tries,
        undo=undo,
        order=kept["order"],
        result=kept["result"],
        reason=kept["reason"],
    )
