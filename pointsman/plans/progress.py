"""A plan and what happened → where the plan stands then, and what it sends. Pure, and the same every time.

What has happened already changes nothing: a task is done once, the join leaves once. Ids of what is sent are derived
from the plan, the task and the try, so that a repetition after a restart makes the same messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pointsman.envelope import PLAN_FAILED, Payload, TaskRef, derived_id
from pointsman.plans.bounds import MAX_RESULTS_BYTES, carried_size
from pointsman.plans.model import RESULTS, Call, ProposedPlan
from pointsman.plans.state import UNDO, PlanState, PlanStatus, TaskState, TaskStatus, Tries


@dataclass(frozen=True, kw_only=True)
class Done:
    """A task has come to its end.

    Attributes:
        task_id: the task.
        result: its result.
    """

    task_id: str
    result: Payload


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A try of a task has failed.

    Attributes:
        task_id: the task.
        number: which try, from 1.
        reason: why, for programs.
    """

    task_id: str
    number: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Retried:
    """A person has a failed plan go on."""


Event = Done | Failed | Retried


@dataclass(frozen=True, kw_only=True)
class Send:
    """A message that the plan sends.

    Attributes:
        id: its derived id.
        event_type: its type.
        payload: its payload, results included.
        task: the task that it belongs to; None for the join and for `plan.failed`.
    """

    id: str
    event_type: str
    payload: Payload
    task: TaskRef | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """What an event came to.

    Attributes:
        state: where the plan stands then.
        sends: what it sends, in order.
        code: what happened, for programs, e.g. `task_done`.
        reason: the same for a person.
        is_change: whether the plan stands elsewhere than before.
    """

    state: PlanState
    sends: tuple[Send, ...] = ()
    code: str
    reason: str
    is_change: bool = True


def started(plan_id: str, workflow_id: str, plan: ProposedPlan, headers: Mapping[str, bytes], at: datetime) -> Step:
    """A plan begins: the tasks that need no other are sent.

    Args:
        plan_id: its id.
        workflow_id: the workflow that it belongs to.
        plan: the plan, checked.
        headers: those that its messages inherit.
        at: the time, UTC.
    """
    tasks = tuple(
        TaskState(task=task, status=TaskStatus.WAITING, since=at, tries=Tries(granted=task.attempts))
        for task in plan.tasks
    )
    state = PlanState(
        plan_id=plan_id,
        workflow_id=workflow_id,
        headers=headers,
        plan=plan,
        status=PlanStatus.RUNNING,
        since=at,
        tasks=tasks,
    )
    return _settled(state, at, "plan_started", f"a plan of {len(tasks)} tasks has begun")


def advanced(state: PlanState, event: Event, at: datetime) -> Step:
    """What `event` makes of the plan; nothing, when that has happened before.

    Args:
        state: where the plan stands.
        event: what happened.
        at: the time, UTC.
    """
    if isinstance(event, Retried):
        return _retried(state, at)
    task_id, is_undo = event.task_id.removesuffix(UNDO), event.task_id.endswith(UNDO)
    task = state.task(task_id)
    if task is None:
        return _unchanged(state, "task_unknown", "the plan has no such task")
    if is_undo:
        return _undone(state, task, event, at)
    return _done(state, task, event, at) if isinstance(event, Done) else _failed(state, task, event, at)


def _done(state: PlanState, task: TaskState, event: Done, at: datetime) -> Step:
    # What failed may still come to a result: a dead letter that a person has sent again.
    if state.status is PlanStatus.JOINED or task.status not in {TaskStatus.RUNNING, TaskStatus.FAILED}:
        return _unchanged(state, "task_over", f"task {task.task.id} is {task.status.value}, its plan {state.status}")
    size = carried_size(event.result)
    if size is None or size + sum(carried_size(each.outcome) or 0 for each in state.tasks) > MAX_RESULTS_BYTES:
        reason = "invalid_json" if size is None else "too_large"
        return _failed(state, task, Failed(task_id=task.task.id, number=task.tries.sent, reason=reason), at)
    order = 1 + max(each.order for each in state.tasks)
    done = replace(task, status=TaskStatus.DONE, since=at, result=event.result, order=order, reason="")
    return _settled(state.with_task(done), at, "task_done", f"task {task.task.id} is done")


def _failed(state: PlanState, task: TaskState, event: Failed, at: datetime) -> Step:
    if state.status is PlanStatus.JOINED or task.status is not TaskStatus.RUNNING or event.number != task.tries.sent:
        return _unchanged(state, "task_over", f"try {event.number} of task {task.task.id} is not awaited")
    failed = replace(task, since=at, reason=event.reason)
    if state.status is PlanStatus.RUNNING and not task.tries.is_spent:
        again, send = _sent(state, failed)
        reason = f"task {task.task.id} failed ({event.reason}) and is tried again, as number {again.tries.sent}"
        return Step(state=state.with_task(again), sends=(send,), code="task_retried", reason=reason)
    reason = f"task {task.task.id} failed ({event.reason}) in its last try"
    return _settled(state.with_task(replace(failed, status=TaskStatus.FAILED)), at, "task_failed", reason)


def _undone(state: PlanState, task: TaskState, event: Done | Failed, at: datetime) -> Step:
    stale = isinstance(event, Failed) and event.number != task.undo.sent
    if task.status is not TaskStatus.COMPENSATING or stale:
        return _unchanged(state, "task_over", f"the compensation of task {task.task.id} is not awaited")
    if isinstance(event, Failed) and not task.undo.is_spent:
        again, send = _undo_sent(state, replace(task, since=at))
        reason = f"the compensation of task {task.task.id} failed ({event.reason}) and is tried again"
        return Step(state=state.with_task(again), sends=(send,), code="task_retried", reason=reason)
    if isinstance(event, Failed):
        ended = replace(task, status=TaskStatus.NOT_COMPENSATED, since=at, reason=event.reason)
        return _settled(state.with_task(ended), at, "task_not_compensated", f"task {task.task.id} is not undone")
    ended = replace(task, status=TaskStatus.COMPENSATED, since=at)
    return _settled(state.with_task(ended), at, "task_compensated", f"task {task.task.id} is undone")


def _retried(state: PlanState, at: datetime) -> Step:
    if state.status is not PlanStatus.FAILED:
        return _unchanged(state, "plan_not_failed", f"the plan is {state.status}: nothing is to be tried again")
    tasks = tuple(_renewed(task, at) for task in state.tasks)
    again = replace(state, status=PlanStatus.RUNNING, since=at, tasks=tasks, rounds=state.rounds + 1)
    return _settled(again, at, "plan_retried", "a person has the plan go on with what failed")


def _renewed(task: TaskState, at: datetime) -> TaskState:
    if task.status is TaskStatus.NOT_COMPENSATED:
        return replace(task, status=TaskStatus.DONE, since=at, reason="")  # what it did stands
    if task.status is TaskStatus.COMPENSATED or (task.status is TaskStatus.FAILED and not task.task.optional):
        tries = task.tries.renewed(task.task.attempts)
        return replace(task, status=TaskStatus.WAITING, since=at, tries=tries, result=None, order=0, reason="")
    return task


def _settled(state: PlanState, at: datetime, code: str, reason: str) -> Step:
    """Send what is due now; `code` gives way to what the whole plan has come to."""
    sends: list[Send] = []
    if state.status is PlanStatus.RUNNING and any(_fails_the_plan(task) for task in state.tasks):
        state, code = replace(state, status=PlanStatus.COMPENSATING, since=at), "plan_compensating"
        reason = f"{reason}: the plan has failed"
    if state.status is PlanStatus.RUNNING:
        state, sends = _begun(state, at)
        if all(task.is_over for task in state.tasks):
            state, code = replace(state, status=PlanStatus.JOINED, since=at), "plan_joined"
            sends, reason = [_join(state)], f"{reason}: the plan is complete"
    if state.status is PlanStatus.COMPENSATING:
        state, sends = _undoing(state, at)
        code = "plan_failed" if state.status is PlanStatus.FAILED else code
    return Step(state=state, sends=tuple(sends), code=code, reason=reason)


def _begun(state: PlanState, at: datetime) -> tuple[PlanState, list[Send]]:
    """Every task that waits for nothing any more is sent."""
    over, sends = {each.task.id for each in state.tasks if each.is_over}, []
    for task in state.tasks:
        if task.status is TaskStatus.WAITING and over.issuperset(task.task.needs):
            running, send = _sent(state, replace(task, since=at))
            state = state.with_task(running)
            sends.append(send)
    return state, sends


def _undoing(state: PlanState, at: datetime) -> tuple[PlanState, list[Send]]:
    """One after the other, the last that was done first; what still runs and would have to be undone is awaited."""
    awaited = [
        each
        for each in state.tasks
        if each.status is TaskStatus.COMPENSATING or (each.status is TaskStatus.RUNNING and each.task.compensate)
    ]
    if awaited:
        return state, []
    undoable = [each for each in state.tasks if each.status is TaskStatus.DONE and each.task.compensate]
    if not undoable:
        failed = replace(state, status=PlanStatus.FAILED, since=at)
        return failed, [_plan_failed(failed)]
    last = max(undoable, key=lambda each: each.order)
    granted = replace(last, status=TaskStatus.COMPENSATING, since=at, undo=last.undo.renewed(last.task.attempts))
    undoing, send = _undo_sent(state, granted)
    return state.with_task(undoing), [send]


def _fails_the_plan(task: TaskState) -> bool:
    return task.status is TaskStatus.FAILED and not task.task.optional


def _sent(state: PlanState, task: TaskState) -> tuple[TaskState, Send]:
    running = replace(task, status=TaskStatus.RUNNING, tries=task.tries.spent())
    payload = _with_results(task.task, state, task.task.needs) if task.task.needs else task.task.payload
    return running, _task_send(state, task.task.id, running.tries.sent, task.task.event_type, payload)


def _undo_sent(state: PlanState, task: TaskState) -> tuple[TaskState, Send]:
    undoing, call = replace(task, undo=task.undo.spent()), task.task.compensate or task.task
    payload = _with_results(call, state, [task.task.id])
    return undoing, _task_send(state, f"{task.task.id}{UNDO}", undoing.undo.sent, call.event_type, payload)


def _task_send(state: PlanState, task_id: str, number: int, event_type: str, payload: Payload) -> Send:
    return Send(
        id=derived_id(state.plan_id, task_id, str(number)),
        event_type=event_type,
        payload=payload,
        task=TaskRef(plan_id=state.plan_id, task_id=task_id, number=number),
    )


def _join(state: PlanState) -> Send:
    call = state.plan.join
    payload = _with_results(call, state, [each.task.id for each in state.tasks])
    return Send(id=derived_id(state.plan_id, "@join"), event_type=call.event_type, payload=payload)


def _plan_failed(state: PlanState) -> Send:
    def ids(status: TaskStatus) -> list[str]:
        return [each.task.id for each in state.tasks if each.status is status]

    payload: Payload = {
        "plan_id": state.plan_id,
        "failed": {each.task.id: each.reason for each in state.tasks if each.status is TaskStatus.FAILED},
        "compensated": ids(TaskStatus.COMPENSATED),
        "not_compensated": ids(TaskStatus.NOT_COMPENSATED),
    }
    return Send(id=derived_id(state.plan_id, "@failed", str(state.rounds)), event_type=PLAN_FAILED, payload=payload)


def _with_results(call: Call, state: PlanState, task_ids: list[str]) -> Payload:
    outcomes = {each.task.id: each.outcome for each in state.tasks}
    return {**call.payload, RESULTS: {task_id: outcomes[task_id] for task_id in task_ids}}


def _unchanged(state: PlanState, code: str, reason: str) -> Step:
    return Step(state=state, code=code, reason=reason, is_change=False)
