"""`pointsman workflows`: where each one stands, and what a person can do about it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from pointsman.cli.options import By, DryRun, Yes, confirm, duration, operator
from pointsman.cli.output import Output, OutputOption, print_lines, print_rows
from pointsman.cli.rebuilding import rebuild_states
from pointsman.deadletter_queue import Selection
from pointsman.deadletter_work import DeadLetterTopics, DeadLetterWork, KafkaDeadLetterTopics
from pointsman.envelope import PLAN_FAILED, Record
from pointsman.errors import ConfigurationError, RefusedError
from pointsman.escalations import PREFIX
from pointsman.journeys import Journey, Journeys
from pointsman.kafka import publish, read_all
from pointsman.logging import mask
from pointsman.plaintext import one_line
from pointsman.plans import PlanStatus, PlanView, TaskStatus
from pointsman.settings import settings
from pointsman.topics import DECISIONS, ERRORS, ESCALATIONS, MESSAGES, WORKFLOW_STATE
from pointsman.workflow_acts import cancel_records, resume_records
from pointsman.workflow_control import (
    belongs_to,
    header,
    open_escalations,
    plan_retry,
)
from pointsman.workflow_states import Status, WorkflowState, latest_states

app = typer.Typer(no_args_is_help=True)
app.command("rebuild")(rebuild_states)

_CELL: Final = 60
_PLAN_ID: Final = 36

WorkflowId = Annotated[str, typer.Argument(help="The workflow's id: the lead's, where a lead began it.")]


@app.command("ls")
def list_workflows(
    status: Annotated[Status | None, typer.Option(help="Only those.")] = None,
    older_than: Annotated[
        str | None, typer.Option(help="Only those without news for that long: 90s, 10m, 2h, 3d.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most that many, the latest first.")] = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """Where each workflow stands, as of its latest message."""
    before = datetime.now(UTC) - duration(older_than) if older_than else None
    rows = [in_short(state) for state in chosen(_states().values(), status, before)[:limit]]
    print_rows(rows, ("workflow", "status", "where", "since", "steps", "reason"), output, right=("steps",))


@app.command()
def show(workflow_id: WorkflowId, output: OutputOption = Output.TABLE) -> None:
    """One workflow: where it stands, its way so far, and what waits for a person."""
    state, messages = _state(workflow_id), _of(workflow_id, MESSAGES)
    journeys = Journeys()
    for record in [*messages, *_of(workflow_id, DECISIONS)]:
        journeys.feed(record)
    journey = journeys.get(workflow_id)
    waiting = open_escalations(workflow_id, _of(workflow_id, ESCALATIONS), messages)
    lines = [*described(state, journey), *(_waiting_line(escalation) for escalation in waiting)]
    hops = [asdict(hop) for hop in journey.hops] if journey else []
    plan = state.plan.to_json() if state.plan else None
    data = {**in_short(state), "plan": plan, "hops": hops, "waiting": [_waiting(escalation) for escalation in waiting]}
    print_lines(lines, data, output)


@app.command()
def cancel(
    workflow_id: WorkflowId,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    *,
    by: By = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """End a workflow for good: nothing of it is routed any more. What an agent already has it still answers."""
    state = _state(workflow_id)
    if state.status is Status.CANCELLED:
        typer.echo(f"{_cell(workflow_id)} was cancelled already")
        return
    records = cancel_records(workflow_id, operator(by), reason, datetime.now(UTC))
    if not dry_run:
        confirm(f"End workflow {_cell(workflow_id)} for good?", yes=yes)
        _send(records)
    _tell(records[0], dry_run=dry_run)


@app.command()
def resume(
    workflow_id: WorkflowId,
    agent: Annotated[
        str | None, typer.Option(help="Who gets it; else the agent that waits for approval, or the router's choice.")
    ] = None,
    *,
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Send on the latest message that waits for a person; no limit holds it, but its answers are counted as before."""
    state = _state(workflow_id)
    if state.status is Status.CANCELLED:
        raise ConfigurationError(f"workflow {_cell(workflow_id)} is cancelled, and that is for good")
    waiting = open_escalations(workflow_id, _of(workflow_id, ESCALATIONS), _of(workflow_id, MESSAGES))
    if not waiting:
        what = f"nothing of workflow {_cell(workflow_id)} waits for a person: it is {state.status}"
        raise ConfigurationError(what, "`pointsman workflows show` tells its way")
    records = resume_records(waiting[-1], operator(by), agent, datetime.now(UTC))
    if not dry_run:
        _send(records)
    _tell(records[0], dry_run=dry_run)


@app.command()
def retry(workflow_id: WorkflowId, *, by: By = None, dry_run: DryRun = False) -> None:
    """Send again what failed: of a failed plan the failed tasks; else the latest dead letter, as `dlq redrive` does."""
    state = _states().get(workflow_id)
    if state and state.plan and state.plan.status is PlanStatus.FAILED and state.status is not Status.CANCELLED:
        _retry_plan(workflow_id, state.plan, operator(by), dry_run=dry_run)
        return
    work = DeadLetterWork(topics=dead_letter_topics(), by=operator(by), now=lambda: datetime.now(UTC), pause=time.sleep)
    letters = [letter for letter in work.find(Selection()) if letter.workflow_id == workflow_id]
    if not letters:
        what = f"workflow {_cell(workflow_id)} has no dead letter that nobody has dealt with"
        raise RefusedError(what, "`pointsman workflows show` tells its way")
    latest = [max(letters, key=lambda letter: letter.failed_at)]
    for done in work.preview(latest) if dry_run else work.redrive(latest, 1):
        if not done.is_done:
            raise RefusedError(done.text, "`pointsman dlq show` tells more")
        typer.echo(f"{done.id} {done.text}")


def _retry_plan(workflow_id: str, plan: PlanView, person: str, *, dry_run: bool) -> None:
    waiting = open_escalations(workflow_id, _of(workflow_id, ESCALATIONS), _of(workflow_id, MESSAGES))
    news = [header(escalation, "ce_id") for escalation in waiting if header(escalation, "ce_type") == PLAN_FAILED]
    message = plan_retry(workflow_id, plan, news[-1] if news else None, person, datetime.now(UTC))
    if not dry_run:
        _send([message.to_record(MESSAGES)])
    failed = ", ".join(task.id for task in plan.tasks if task.status is TaskStatus.FAILED)
    told = f"{message.id} {message.event_type} workflow {_cell(workflow_id)}: {failed or 'the rest of the plan'}"
    typer.echo(f"{'would send ' if dry_run else ''}{told}")


def dead_letter_topics() -> DeadLetterTopics:
    """The dead letters of the cluster that the settings name."""
    return KafkaDeadLetterTopics(settings().kafka_bootstrap)


def chosen(states: Iterable[WorkflowState], status: Status | None, before: datetime | None) -> list[WorkflowState]:
    """Those with `status` and no news since `before`, the latest first."""
    fitting = [
        state
        for state in states
        if (status is None or state.status is status) and (before is None or state.since <= before)
    ]
    return sorted(fitting, key=lambda state: state.since, reverse=True)


def described(state: WorkflowState, journey: Journey | None) -> list[str]:
    """The state and the way of one workflow, a line each."""
    first = f"{_cell(state.workflow_id)}  {state.status}  {_cell(state.where)}  since {_time(state.since)}"
    why = f"{_cell(state.reason_code)}: {_cell(state.reason, 300)}"
    lines = [first, f"  {state.steps} steps, catalog {_cell(state.catalog)}, {why}"]
    lines += plan_lines(state.plan) if state.plan else []
    for hop in journey.hops if journey else ():
        to = hop.agent or hop.outcome or "at the router"
        lines.append(
            f"  {_time(hop.decided_at)}  {hop.event_type}  {hop.source} → {to}  ({hop.how or '-'}) {hop.reason}"
        )
    return lines


def plan_lines(plan: PlanView) -> list[str]:
    """A plan as a small table, a line each."""
    head = f"  plan {plan.plan_id[:_PLAN_ID]}  {plan.status}  since {_time(plan.since)}"
    rows = [("task", "status", "attempts", "since", "reason")]
    rows += [(one.id, one.status.value, str(one.attempts), _time(one.since), one.reason) for one in plan.tasks]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    cells = ([_cell(cell).ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return [head, *(f"    {'  '.join(row).rstrip()}" for row in cells)]


def _waiting(escalation: Record) -> dict[str, str]:
    reason, text = (header(escalation, f"{PREFIX}{name}") for name in ("reason", "message"))
    return {"type": _cell(header(escalation, "ce_type")), "reason_code": _cell(reason), "reason": _cell(text, 300)}


def _waiting_line(escalation: Record) -> str:
    told = _waiting(escalation)
    return f"  waits for a person: {told['type']} ({told['reason_code']}) {told['reason']}"


def _states() -> dict[str, WorkflowState]:
    bootstrap = settings().kafka_bootstrap
    ended_at_agents = [*read_all(bootstrap, ERRORS), *read_all(bootstrap, ESCALATIONS)]
    return latest_states(read_all(bootstrap, WORKFLOW_STATE), ended_at_agents)


def _state(workflow_id: str) -> WorkflowState:
    state = _states().get(workflow_id)
    if state is None:
        raise ConfigurationError(f"there is no workflow {_cell(workflow_id)}", "`pointsman workflows ls` lists them")
    return state


def _of(workflow_id: str, topic: str) -> Sequence[Record]:
    return [record for record in read_all(settings().kafka_bootstrap, topic) if belongs_to(workflow_id, record)]


def _send(records: Sequence[Record]) -> None:
    publish(settings().kafka_bootstrap, records, f"pointsman.workflows.{header(records[0], 'ce_id')}")


def _tell(message: Record, *, dry_run: bool) -> None:
    would, workflow = "would send " if dry_run else "", _cell(header(message, "ce_workflowid"))
    typer.echo(f"{would}{header(message, 'ce_id')} {header(message, 'ce_type')} workflow {workflow}")


def in_short(state: WorkflowState) -> dict[str, Any]:
    """The state as a row of a list: no address, nothing that moves the cursor."""
    return {
        "workflow": _cell(state.workflow_id),
        "status": state.status.value,
        "where": _cell(state.where),
        "since": state.since,
        "steps": state.steps,
        "reason": f"{_cell(state.reason_code)}: {_cell(state.reason, 200)}",
        "catalog": _cell(state.catalog),
    }


def _time(time: datetime | None) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S") if time else "-"


def _cell(text: str, longest: int = _CELL) -> str:
    return mask(one_line(text, longest))
