"""From Kafka records and ledger documents to rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from pointsman.audit import AuditEntry, read_entry
from pointsman.deadletters import PREFIX
from pointsman.decision_log import LoggedDecision, Place, parsed_object, read_decision
from pointsman.envelope import AGENT_SOURCE, Record, decode
from pointsman.errors import InvalidEnvelopeError
from pointsman.escalations import PREFIX as ESCALATION_PREFIX
from pointsman.timeline.rows import Looked, Part, Row, Usage
from pointsman.topics import AUDIT, ERRORS, ESCALATIONS, LEADS, MESSAGES, agent_of
from pointsman.workflow_control import belongs_to, header

_ROUTER: Final = "router"
_USAGE: Final = ("modelcalls", "inputtokens", "outputtokens", "costmicrousd")


def rows_of(workflow_id: str, record: Record) -> Sequence[Row]:
    """What `record` tells of the workflow; nothing when it is of another one. Never raises for what a record holds."""
    if record.topic == LEADS:
        return _lead(workflow_id, record)
    if record.topic == AUDIT:
        return _act(workflow_id, record)
    decision = read_decision(record)
    if decision is not None:
        return _decision(decision) if decision.workflow_id == workflow_id else ()
    if not belongs_to(workflow_id, record):
        return ()
    if record.topic == MESSAGES:
        return _message(record)
    if record.topic == ERRORS:
        return [_dead_letter(record)]
    if record.topic == ESCALATIONS:
        return [_escalation(record)]
    return [_inbox(record)] if agent_of(record.topic) else ()


def _lead(workflow_id: str, record: Record) -> Sequence[Row]:
    document = parsed_object(record.value)
    if document.get("_id") != workflow_id:
        return ()
    return [
        Row(
            hop=0, part=Part.LEAD, at=_kafka_time(record), title="document", sender="mongodb", receiver=_ROUTER,
            place=Place.of(record), content=document,
        )
    ]  # fmt: skip


def _message(record: Record) -> Sequence[Row]:
    try:
        message = decode(record)
    except InvalidEnvelopeError:
        return ()  # the router's decision on it says so
    return [
        Row(
            hop=0, part=Part.MESSAGE, title=message.event_type, message_id=message.id,
            # What a person sends again keeps its time of writing.
            at=(_kafka_time(record) if message.attempt else None) or message.time,
            attempt=message.attempt, sender=_speaker(message.source), receiver=_ROUTER, usage=_spent(record),
            place=Place.of(record), content=message.payload,
        )
    ]  # fmt: skip


def _decision(decision: LoggedDecision) -> Sequence[Row]:
    decided = Row(
        hop=0, part=Part.DECISION, at=decision.decided_at, title=decision.outcome, message_id=decision.message_id,
        attempt=decision.attempt, sender=_ROUTER, receiver=decision.agent or "", how=decision.how,
        code=decision.reason_code, why=decision.reason, candidates=tuple(map(_looked, decision.candidates)),
        catalog=decision.catalog, place=decision.place,
    )  # fmt: skip
    call = decision.model_call
    if call is None:
        return [decided]
    asked = replace(
        decided, part=Part.MODEL, title=str(call.get("model") or "a model"), receiver="", code="", why="",
        candidates=(), usage=asked_usage(call), content={"raw_answer": call.get("raw_answer")},
    )  # fmt: skip
    return [decided, asked]


def _inbox(record: Record) -> Row:
    return replace(
        _about(record), part=Part.INBOX, sender=_ROUTER, receiver=agent_of(record.topic) or "",
        catalog=header(record, "ce_catalog"),
    )  # fmt: skip


def _escalation(record: Record) -> Row:
    told = {name: header(record, f"{ESCALATION_PREFIX}{name}") for name in ("reason", "message", "catalog")}
    return replace(
        _about(record), part=Part.ESCALATION, sender=_ROUTER, receiver="a person", code=told["reason"],
        why=told["message"], catalog=told["catalog"],
    )  # fmt: skip


def _dead_letter(record: Record) -> Row:
    told = {name: header(record, f"{PREFIX}{name}") for name in ("reason", "message", "stage", "catalog", "attempts")}
    return replace(
        _about(record), part=Part.DEAD_LETTER, sender=told["stage"].removeprefix("agent/"), receiver="a person",
        code=told["reason"], why=told["message"], catalog=told["catalog"], content={"attempts": told["attempts"]},
    )  # fmt: skip


def _about(record: Record) -> Row:
    attempt = header(record, "ce_attempt")
    return Row(
        hop=0, part=Part.INBOX, at=_kafka_time(record), title=header(record, "ce_type"),
        message_id=header(record, "ce_id"), attempt=int(attempt) if attempt.isdecimal() else 0, place=Place.of(record),
    )  # fmt: skip


def _act(workflow_id: str, record: Record) -> Sequence[Row]:
    entry = read_entry(record)
    if entry is None or entry.workflow_id != workflow_id:
        return ()
    return [_done(entry, record)]


def _done(entry: AuditEntry, record: Record) -> Row:
    about = entry.details.get("message_id")
    return Row(
        hop=0, part=Part.PERSON, at=entry.at, title=entry.action.value, sender=entry.by, why=entry.subject,
        message_id=about if isinstance(about, str) else None, place=Place.of(record), content=entry.details,
    )  # fmt: skip


def effect_row(document: Mapping[str, Any]) -> Row:
    """What a document of the ledger tells."""
    facts = document.get("facts")
    known: Mapping[str, Any] = facts if isinstance(facts, Mapping) else {}
    about = known.get("message")
    at = document.get("finished_at") or document.get("reserved_at")
    return Row(
        hop=0, part=Part.EFFECT, at=at if isinstance(at, datetime) else None, title=str(document.get("state")),
        message_id=about if isinstance(about, str) else None, sender=str(document.get("owner") or ""),
        code=str(known.get("reason") or ""),
        content={"effect_id": document.get("_id"), "attempt": document.get("attempt"), **known},
    )  # fmt: skip


def _looked(candidate: Mapping[str, Any]) -> Looked:
    return Looked(
        agent=str(candidate.get("agent") or ""),
        version=str(candidate.get("version") or ""),
        fits=candidate.get("fits") is True,
        why=str(candidate.get("why") or ""),
    )


def asked_usage(call: Mapping[str, Any]) -> Usage:
    """What the router's model did, from a decision's `model_call`."""
    return Usage(
        model=str(call.get("model") or "") or None,
        calls=_whole(call.get("attempts")),
        input_tokens=_whole(call.get("input_tokens")),
        output_tokens=_whole(call.get("output_tokens")),
        cost_usd=_amount(call.get("cost_usd")),
        latency_ms=_amount(call.get("latency_ms")),
    )


def _spent(record: Record) -> Usage | None:
    """What the agent that wrote `record` says it has used; None when it says nothing."""
    told = {name: header(record, f"ce_{name}") for name in _USAGE}
    numbers = {name: int(text) if text.isascii() and text.isdecimal() else 0 for name, text in told.items()}
    if not numbers["modelcalls"]:
        return None
    return Usage(
        calls=numbers["modelcalls"],
        input_tokens=numbers["inputtokens"],
        output_tokens=numbers["outputtokens"],
        # Nothing is written for an unknown price, and no model is for nothing.
        cost_usd=numbers["costmicrousd"] / 1e6 if numbers["costmicrousd"] else None,
    )


def _speaker(source: str) -> str:
    """A name for `source`: the agent's, or the whole of it."""
    return source.removeprefix(AGENT_SOURCE)


def _kafka_time(record: Record) -> datetime | None:
    return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC) if record.timestamp_ms > 0 else None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _amount(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
