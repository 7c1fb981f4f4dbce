"""The audit record: what a person did by hand, to what, and when. Holds ids and hashes, never a payload."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pointsman.envelope import OPERATOR_SOURCE, Record, derived_id, from_rfc3339, to_rfc3339
from pointsman.topics import AUDIT


class Action(StrEnum):
    """What was done: the `ce_type` of the record."""

    REDRIVEN = "dead_letter.redriven"
    EDITED = "dead_letter.edited"
    DISCARDED = "dead_letter.discarded"
    EFFECTS_STOPPED = "effects.stopped"
    EFFECTS_STARTED = "effects.started"
    EFFECT_RESOLVED = "effect.resolved"
    AGENT_ADDED = "agent.added"
    AGENT_CHANGED = "agent.changed"
    AGENT_REMOVED = "agent.removed"
    WORKFLOW_CANCELLED = "workflow.cancelled"
    WORKFLOW_RESUMED = "workflow.resumed"
    LOGIN_GRANTED = "login.granted"
    LOGIN_REFUSED = "login.refused"
    PERSONAL_DATA_SHOWN = "personal_data.shown"
    LEAD_ERASED = "lead.erased"
    DECISION_CORRECTED = "decision.corrected"
    MAIL_OUTCOME = "mail.outcome"
    ROLLOUT_STARTED = "rollout.started"
    ROLLOUT_RAMPED = "rollout.ramped"
    ROLLOUT_PROMOTED = "rollout.promoted"
    ROLLOUT_ABORTED = "rollout.aborted"
    ROLLOUT_ROLLED_BACK = "rollout.rolled_back"
    """By the rollout's own rule, not by a person."""


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One thing that a person did.

    Attributes:
        action: what.
        subject: to what: a dead letter's id, a ledger id, `lead/<id>`, the name of a control, `agents/<name>`,
            `accounts/<name>` or `console`.
        by: who.
        at: when, UTC.
        details: more about it, by name; no personal data.
        workflow_id: the workflow that it touched, if one.
    """

    action: Action
    subject: str
    by: str
    at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
    workflow_id: str | None = None

    def to_record(self) -> Record:
        """This entry as a record for `agent_audit`, keyed by its subject."""
        at = to_rfc3339(self.at)
        about = {"action": self.action, "subject": self.subject, "by": self.by, "at": at, "details": dict(self.details)}
        attributes = {
            "ce_specversion": "1.0",
            "ce_id": derived_id(self.action, self.subject, self.by, at),
            "ce_source": f"{OPERATOR_SOURCE}{self.by}",
            "ce_type": self.action.value,
            "ce_time": at,
            "ce_subject": self.subject,
            "ce_workflowid": self.workflow_id,
            "content-type": "application/json",
        }
        headers = {name: text.encode(errors="replace") for name, text in attributes.items() if text is not None}
        value = json.dumps(about, ensure_ascii=False).encode(errors="replace")
        return Record(topic=AUDIT, key=self.subject.encode(errors="replace"), value=value, headers=headers)


def read_entry(record: Record) -> AuditEntry | None:
    """The entry in `record`; None when it holds none that this version knows."""
    try:
        about = json.loads(record.value or b"")
        workflow = record.headers.get("ce_workflowid")
        return AuditEntry(
            action=Action(about["action"]),
            subject=str(about["subject"]),
            by=str(about["by"]),
            at=from_rfc3339(about["at"]),
            details=dict(about.get("details") or {}),
            workflow_id=None if workflow is None else workflow.decode(errors="replace"),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def latest(records: Iterable[Record]) -> dict[str, AuditEntry]:
    """The latest entry per subject."""
    found: dict[str, AuditEntry] = {}
    for entry in filter(None, map(read_entry, records)):
        known = found.get(entry.subject)
        if known is None or entry.at >= known.at:
            found[entry.subject] = entry
    return found
