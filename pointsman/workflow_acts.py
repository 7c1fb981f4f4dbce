"""What a person does to a workflow, as records for one transaction: the message that does it and its audit. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pointsman.audit import Action, AuditEntry
from pointsman.envelope import Record
from pointsman.escalations import PREFIX
from pointsman.topics import MESSAGES
from pointsman.workflow_control import cancellation, header, resumed


def cancel_records(workflow_id: str, person: str, reason: str, now: datetime) -> list[Record]:
    """What ends a workflow for good.

    Args:
        workflow_id: the workflow.
        person: who says so.
        reason: why, for the record.
        now: the time, UTC.
    """
    message = cancellation(workflow_id, person, reason, now)
    details = {"message_id": message.id, "reason": reason}
    return [message.to_record(MESSAGES), _entry(Action.WORKFLOW_CANCELLED, workflow_id, person, now, details)]


def resume_records(escalation: Record, person: str, agent: str | None, now: datetime) -> list[Record]:
    """What sends an escalated message on.

    Args:
        escalation: its record in `agent_escalations`.
        person: who sends it.
        agent: the agent that shall get it; None leaves that to the router.
        now: the time, UTC.
    """
    message = resumed(escalation, person, agent, now)
    details = {
        "message_id": header(escalation, "ce_id"),
        "sent_as": header(message, "ce_id"),
        "agent": header(message, "ce_targetagent") or None,
        "reason_code": header(escalation, f"{PREFIX}reason"),
    }
    workflow_id = header(escalation, "ce_workflowid")
    return [message, _entry(Action.WORKFLOW_RESUMED, workflow_id, person, now, details)]


def _entry(action: Action, workflow_id: str, person: str, now: datetime, details: dict[str, Any]) -> Record:
    entry = AuditEntry(action=action, subject=workflow_id, by=person, at=now, details=details, workflow_id=workflow_id)
    return entry.to_record()
