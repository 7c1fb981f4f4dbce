"""What a person says about a workflow: end it, or go on where the router left it to a person. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from pointsman.envelope import (
    OPERATOR_SOURCE,
    PLAN_RETRIED,
    WORKFLOW_CANCELLED,
    Envelope,
    Record,
    derived_id,
    to_rfc3339,
)
from pointsman.escalations import PREFIX
from pointsman.plans.view import PlanView
from pointsman.topics import MESSAGES
from pointsman.usage import BUDGET_HEADERS, ROUTING_HEADER, USAGE_HEADERS

_NOT_SENT_AGAIN: Final = frozenset({
    "ce_targetagent", "ce_deadline", ROUTING_HEADER, *USAGE_HEADERS.values(), *BUDGET_HEADERS.values(),
})  # fmt: skip
"""A person's word is over every limit, and so must the answers be to what a person sent too late."""


def cancellation(workflow_id: str, person: str, reason: str, now: datetime) -> Envelope:
    """The message that ends a workflow: nothing that comes after it is routed. A repeat has the same id.

    Args:
        workflow_id: the workflow.
        person: who says so.
        reason: why, for the record.
        now: the time, UTC.
    """
    return Envelope(
        id=derived_id(workflow_id, WORKFLOW_CANCELLED),
        source=f"{OPERATOR_SOURCE}{person}",
        event_type=WORKFLOW_CANCELLED,
        workflow_id=workflow_id,
        payload={"reason": reason},
        time=now,
    )


def plan_retry(workflow_id: str, plan: PlanView, news: str | None, person: str, now: datetime) -> Envelope:
    """The message that has a failed plan go on with what failed. A repeat about the same failure has the same id.

    Args:
        workflow_id: the workflow.
        plan: its plan, which has failed.
        news: id of the `plan.failed` that waits for a person; after this it waits no more.
        person: who says so.
        now: the time, UTC.
    """
    return Envelope(
        id=derived_id(plan.plan_id, PLAN_RETRIED, to_rfc3339(plan.since)),
        source=f"{OPERATOR_SOURCE}{person}",
        event_type=PLAN_RETRIED,
        workflow_id=workflow_id,
        payload={"plan_id": plan.plan_id},
        time=now,
        causation_id=news,
    )


def open_escalations(workflow_id: str, escalations: Iterable[Record], messages: Iterable[Record]) -> list[Record]:
    """The messages of a workflow that wait for a person, in the order in which they came.

    Args:
        workflow_id: the workflow.
        escalations: the records of `agent_escalations`, each workflow's in order.
        messages: the records of `agent_messages`: what a person has sent on waits no more.
    """
    sent_on = {
        header(message, "ce_causationid")
        for message in messages
        if header(message, "ce_source").startswith(OPERATOR_SOURCE) and belongs_to(workflow_id, message)
    }
    return [
        escalation
        for escalation in escalations
        if belongs_to(workflow_id, escalation) and header(escalation, "ce_id") not in sent_on
    ]


def resumed(escalation: Record, person: str, agent: str | None, now: datetime) -> Record:
    """An escalated message as a person sends it on; a repeat has the same id, so it is routed once.

    Args:
        escalation: its record in `agent_escalations`.
        person: who sends it.
        agent: the agent that shall get it; None is the one that waits for approval, else it is left to the router.
        now: the time, UTC.
    """
    kept = {
        name: value
        for name, value in escalation.headers.items()
        if name not in _NOT_SENT_AGAIN and not name.startswith(PREFIX)
    }
    escalated = header(escalation, "ce_id")
    agent = agent or header(escalation, f"{PREFIX}proposed")
    own = {
        "ce_id": derived_id(escalated, header(escalation, "ce_source"), "resumed"),
        "ce_source": f"{OPERATOR_SOURCE}{person}",
        "ce_causationid": escalated,
        "ce_time": to_rfc3339(now),
        **({"ce_targetagent": agent} if agent else {}),
    }
    headers = {**kept, **{name: text.encode() for name, text in own.items()}}
    return replace(escalation, topic=MESSAGES, headers=headers, partition=-1, offset=-1, timestamp_ms=0)


def belongs_to(workflow_id: str, record: Record) -> bool:
    """Whether `record` says that it is one of the workflow's."""
    return header(record, "ce_workflowid") == workflow_id


def header(record: Record, name: str) -> str:
    """The text of a header; empty when it is missing."""
    return record.headers.get(name, b"").decode(errors="replace")
