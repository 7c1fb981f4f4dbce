"""What came of decisions: people who corrected one, and what became of the mails that followed. Pure.

An outcome belongs to the decision that chose the agent which wrote the mail: the message that this agent answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pointsman.audit import Action, AuditEntry
from pointsman.envelope import Record
from pointsman.suppressions import SuppressionReason

SUBJECT_PREFIX: Final = "decisions/"
"""How the subject of an audit record about a decision begins."""
MAIL_PREFIX: Final = "mails/"
"""How the subject of an audit record about a mail's outcome begins."""
READER: Final = "mail-reader"
"""In whose name a reply stands that was recognised in a folder of mails."""
_RECOGNISED: Final = "recognised"


class MailOutcome(StrEnum):
    """What became of a mail, the most telling first."""

    MEETING = "meeting"
    REPLY = "reply"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    BOUNCE = "bounce"

    @property
    def is_good(self) -> bool:
        """Whether it speaks for the decision; the others say that nobody should have written."""
        return self in (MailOutcome.MEETING, MailOutcome.REPLY)


_BY_REASON: Final[Mapping[str, MailOutcome]] = {
    SuppressionReason.UNSUBSCRIBED: MailOutcome.UNSUBSCRIBE,
    SuppressionReason.ASKED: MailOutcome.UNSUBSCRIBE,
    SuppressionReason.RETURNED: MailOutcome.BOUNCE,
    SuppressionReason.REFUSED: MailOutcome.BOUNCE,
    SuppressionReason.COMPLAINED: MailOutcome.COMPLAINT,
}
"""What reasons on the suppression list say about mails; who was erased says nothing."""


@dataclass(frozen=True, kw_only=True)
class Correction:
    """A person's word on a decision.

    Attributes:
        agent: who should have got the message; None for nobody.
        by: who says so.
        reason: why.
    """

    agent: str | None
    by: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """Everything that came of decisions.

    Attributes:
        corrections: people's words by message id.
        outcomes: what became of mails, by the id of the message that a mail was drafted in.
    """

    corrections: Mapping[str, Correction] = field(default_factory=dict)
    outcomes: Mapping[str, MailOutcome] = field(default_factory=dict)


def correction_record(
    message_id: str, workflow_id: str | None, agent: str | None, decided: str, by: str, reason: str, at: datetime
) -> Record:
    """The audit record of a correction; the latest one of a message counts.

    Args:
        message_id: the message.
        workflow_id: its workflow.
        agent: who should have got it; None for nobody.
        decided: who got it, or the outcome.
        by: who says so.
        reason: why.
        at: when, UTC.
    """
    details = {"message_id": message_id, "agent": agent, "decided": decided, "reason": reason}
    subject = f"{SUBJECT_PREFIX}{message_id}"
    return AuditEntry(
        action=Action.DECISION_CORRECTED, subject=subject, by=by, at=at, details=details, workflow_id=workflow_id
    ).to_record()


def outcome_record(
    effect: Mapping[str, Any], outcome: MailOutcome, by: str, at: datetime, workflow_id: str | None = None
) -> Record:
    """The audit record of what became of a mail.

    Args:
        effect: the mail's document in the ledger.
        outcome: what became of it.
        by: who says so.
        at: when, UTC.
        workflow_id: the mail's workflow, where the ledger knows no lead.
    """
    return _noted(effect, {"outcome": outcome.value}, by, at, workflow_id)


def reply_record(effect: Mapping[str, Any], at: datetime) -> Record:
    """The audit record of a reply that a program recognised; what people say of the mail counts before it.

    Args:
        effect: the mail's document in the ledger.
        at: when it was read, UTC.
    """
    return _noted(effect, {"outcome": MailOutcome.REPLY.value, _RECOGNISED: True}, READER, at)


def noted_outcomes(entries: Iterable[AuditEntry]) -> dict[str, MailOutcome]:
    """What the audit says became of mails, by ledger id: the latest word of a person, else a reply that came.

    Args:
        entries: the audit, in any order.
    """
    acts = sorted(entries, key=lambda entry: entry.at)
    return _told(acts, is_recognised=True) | _told(acts, is_recognised=False)


def feedback(
    entries: Iterable[AuditEntry], effects: Iterable[Mapping[str, Any]], suppressions: Iterable[Mapping[str, Any]]
) -> Feedback:
    """What the audit, the ledger of mails and the suppression list say about decisions.

    Args:
        entries: the audit.
        effects: the ledger's documents.
        suppressions: the suppression list's documents.
    """
    acts = sorted(entries, key=lambda entry: entry.at)
    # Whoever answers "no more mails" has replied, too: what the list says of somebody counts before a reply.
    said, replied = _told(acts, is_recognised=False), _told(acts, is_recognised=True)
    listed = {str(one["_id"]): _BY_REASON.get(str(one.get("reason"))) for one in suppressions}
    outcomes: dict[str, MailOutcome] = {}
    for effect in effects:
        identity, facts = str(effect["_id"]), effect["facts"]
        became = said.get(identity) or listed.get(str(facts.get("recipient"))) or replied.get(identity)
        if effect.get("state") == "sent" and became is not None and "message" in facts:
            outcomes[str(facts["message"])] = became
    return Feedback(corrections=_corrections(acts), outcomes=outcomes)


def _corrections(acts: Iterable[AuditEntry]) -> dict[str, Correction]:
    return {
        str(entry.details.get("message_id")): Correction(
            agent=entry.details.get("agent"), by=entry.by, reason=str(entry.details.get("reason") or "")
        )
        for entry in acts
        if entry.action is Action.DECISION_CORRECTED
    }


def _told(acts: Iterable[AuditEntry], *, is_recognised: bool) -> dict[str, MailOutcome]:
    found = {
        entry.subject.removeprefix(MAIL_PREFIX): _outcome(entry.details.get("outcome"))
        for entry in acts
        if entry.action is Action.MAIL_OUTCOME and (entry.details.get(_RECOGNISED) is True) is is_recognised
    }
    return {identity: outcome for identity, outcome in found.items() if outcome is not None}


def _noted(
    effect: Mapping[str, Any], details: Mapping[str, Any], by: str, at: datetime, workflow_id: str | None = None
) -> Record:
    lead = effect["facts"].get("lead_id", workflow_id)
    return AuditEntry(
        action=Action.MAIL_OUTCOME, subject=f"{MAIL_PREFIX}{effect['_id']}", by=by, at=at,
        details=details, workflow_id=None if lead is None else str(lead),
    ).to_record()  # fmt: skip


def _outcome(text: Any) -> MailOutcome | None:
    try:
        return MailOutcome(text)
    except ValueError:
        return None
