"""One workflow: its timeline, its mails as sent, and what a person does to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.concurrency import run_in_threadpool

from pointsman.cases import Case, make_case
from pointsman.catalog import Catalog
from pointsman.catalog_history import kept_catalogs
from pointsman.console.desk import Desk
from pointsman.console.mails import mails
from pointsman.console.problems import ProblemError
from pointsman.console.sessions import Operator, TheDesk, Viewer
from pointsman.decision_log import Place, read_decisions
from pointsman.envelope import Record
from pointsman.evaluation.feedback import MailOutcome, correction_record, outcome_record
from pointsman.runtime.ledger import EffectState
from pointsman.timeline import timeline
from pointsman.topics import CATALOGS, MESSAGES
from pointsman.workflow_acts import cancel_records, resume_records
from pointsman.workflow_control import header
from pointsman.workflow_records import effects_of

router = APIRouter(prefix="/api/workflows", include_in_schema=False)

Reason = Annotated[str, Body(embed=True, max_length=300)]


@router.get("/{key}")
async def show(key: str, desk: TheDesk, session: Viewer) -> dict[str, Any]:
    """The workflow's timeline; texts and addresses only while personal data is shown."""
    workflow_id = desk.view.workflow_id(key)
    records = await records_of(desk, workflow_id)
    effects = await effects_of(desk.store, records, workflow_id)
    unmask = session.is_unlocked(desk.now())
    told = timeline(workflow_id, records, effects)
    if not told.rows:
        raise ProblemError(404, "No workflow has this id, or it is older than what Kafka keeps.", code="workflow")
    waiting = [one.message_id for one in desk.view.waiting() if one.workflow_id == workflow_id]
    return {
        "key": key,
        "card": desk.view.card(workflow_id),
        "waiting": waiting,
        "is_unlocked": unmask,
        **told.to_json(unmask=unmask),
        "mails": mails(effects, records, unmask=unmask),
    }


@router.get("/{key}/case")
async def case(key: str, desk: TheDesk, session: Viewer) -> dict[str, Any]:
    """The workflow for offline replay, as `pointsman case save` writes it."""
    workflow_id = desk.view.workflow_id(key)
    records = await records_of(desk, workflow_id)
    catalogs = await run_in_threadpool(lambda: kept_catalogs(desk.topics.read(CATALOGS)))
    mask = not session.is_unlocked(desk.now())
    made = await run_in_threadpool(lambda: case_of(workflow_id, records, catalogs, mask=mask))
    return made.to_json()


@router.post("/{key}/cancel", status_code=202)
async def cancel(key: str, desk: TheDesk, session: Operator, reason: Reason = "") -> dict[str, str]:
    """End a workflow for good."""
    workflow_id = desk.view.workflow_id(key)
    records = cancel_records(workflow_id, session.name, reason, desk.now())
    await run_in_threadpool(desk.topics.publish, records, _transaction(records))
    return {"message_id": header(records[0], "ce_id")}


@router.post("/{key}/resume", status_code=202)
async def resume(
    key: str,
    desk: TheDesk,
    session: Operator,
    message_id: Annotated[str, Body(max_length=400)],
    agent: Annotated[str | None, Body(max_length=63)] = None,
) -> dict[str, str]:
    """Send a message on that waits for a person; to `agent`, or to whom the router then finds."""
    waiting = desk.view.waiting_message(message_id)
    if waiting is None or waiting.workflow_id != desk.view.workflow_id(key):
        raise ProblemError(409, "It does not wait any more: somebody has decided.", code="decided")
    if agent is not None and agent not in desk.view.catalog.definitions:
        raise ProblemError(422, "No agent of that name is in force.", code="agent")
    records = resume_records(waiting.record, session.name, agent, desk.now())
    await run_in_threadpool(desk.topics.publish, records, _transaction(records))
    return {"message_id": header(records[0], "ce_id")}


@router.post("/{key}/correct", status_code=202)
async def correct(
    key: str,
    desk: TheDesk,
    session: Operator,
    message_id: Annotated[str, Body(max_length=400)],
    agent: Annotated[str | None, Body(max_length=63)] = None,
    reason: Annotated[str, Body(max_length=300)] = "",
) -> dict[str, str]:
    """Note who should have got a message, null for nobody: a label to learn from, which moves nothing."""
    workflow_id = desk.view.workflow_id(key)
    decisions = read_decisions(await records_of(desk, workflow_id))
    decided = [one for one in decisions if one.message_id == message_id]
    if not decided:
        raise ProblemError(404, "There is no decision on that message.", code="decision")
    last = decided[-1]
    if agent is not None and agent not in {str(each.get("agent")) for each in last.candidates}:
        raise ProblemError(422, "That agent was no candidate for the message.", code="agent")
    record = correction_record(
        message_id, workflow_id, agent, last.agent or last.outcome, session.name, reason, desk.now()
    )
    await run_in_threadpool(desk.topics.publish, [record], f"pointsman.feedback.{header(record, 'ce_id')}")
    return {"message_id": message_id}


@router.post("/{key}/outcome", status_code=202)
async def note_outcome(
    key: str,
    desk: TheDesk,
    session: Operator,
    effect_id: Annotated[str, Body(max_length=400)],
    outcome: Annotated[MailOutcome, Body()],
) -> dict[str, str]:
    """Note what became of a mail of the workflow: a label to learn from, which moves nothing."""
    workflow_id = desk.view.workflow_id(key)
    effects = await effects_of(desk.store, await records_of(desk, workflow_id), workflow_id)
    mail = next((one for one in effects if one["_id"] == effect_id), None)
    if mail is None:
        raise ProblemError(404, "There is no such mail of this workflow.", code="mail")
    if mail["state"] != EffectState.SENT:
        raise ProblemError(409, "Nothing can have come of it: the mail is not known to be sent.", code="unsent")
    if "erased_at" in mail:
        raise ProblemError(409, "Nothing is noted about somebody who was erased.", code="erased")
    record = outcome_record(mail, outcome, session.name, desk.now(), workflow_id)
    await run_in_threadpool(desk.topics.publish, [record], f"pointsman.feedback.{header(record, 'ce_id')}")
    return {"effect_id": effect_id}


async def records_of(desk: Desk, workflow_id: str) -> Sequence[Record]:
    """Every record of a workflow: from memory, or from Kafka when it is not there any more."""
    known = desk.view.records(workflow_id)
    return known if known is not None else await run_in_threadpool(desk.topics.of_workflow, workflow_id)


def case_of(workflow_id: str, records: Sequence[Record], catalogs: dict[str, Catalog], *, mask: bool) -> Case:
    """The workflow as a regression test.

    Args:
        workflow_id: the workflow.
        records: its records.
        catalogs: every catalog that is known, by version.
        mask: disguise the people in it.

    Raises:
        RefusedError: with people disguised a decision would come out otherwise.
        ProblemError: 409, nothing was decided yet or a message is gone.
    """
    decisions = sorted(read_decisions(records), key=lambda one: one.step)
    held = {Place.of(record): record for record in records if record.topic == MESSAGES}
    if not decisions or any(one.message_place not in held for one in decisions):
        raise ProblemError(409, "Its messages are not all there: wait a moment, or they are too old.", code="case")
    return make_case(workflow_id, [(one, held[one.message_place]) for one in decisions], catalogs, mask=mask)


def _transaction(records: Sequence[Record]) -> str:
    return f"pointsman.workflows.{header(records[0], 'ce_id')}"
