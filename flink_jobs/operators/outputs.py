"""What a decision writes: to an inbox, a person or the dead letters, to the log, and to the workflow's state. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from pointsman.deadletters import dead_letter
from pointsman.envelope import CLAIM_HEADER, MUST_CLAIM, Envelope, Record, derived_id, to_rfc3339
from pointsman.errors import ErrorReason
from pointsman.escalations import escalation
from pointsman.routing.decision import Decision, Outcome
from pointsman.routing.limits import Counters
from pointsman.topics import DECISIONS, MAX_RECORD_BYTES, inbox
from pointsman.usage import BUDGET_HEADERS, MICRO, ROUTING_HEADER, USAGE_HEADERS, Budget
from pointsman.workflow_states import WorkflowState

STAGE: Final = "router"
MAX_KEPT_BYTES: Final = MAX_RECORD_BYTES - 64 * 1024
"""Largest record that is written: what the broker takes, less room for the protocol's own bytes."""
_HEADER_OVERHEAD_BYTES: Final = 16
_LONGEST_SHORT_TEXT: Final = 1000
# Made once: `json.dumps` would make one for each message.
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)
_REPLACED_HEADERS: Final = frozenset({
    *USAGE_HEADERS.values(), *BUDGET_HEADERS.values(), ROUTING_HEADER, CLAIM_HEADER, "ce_targetagent",
    "ce_targetversion", "ce_release",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A record, read as a message if it is one, and the decision on it.

    Attributes:
        record: the record as it came.
        message: the message in it; None when it holds none.
        counters: what its workflow has come to.
        decision: the decision.
        inputs: what it was made from beside the message and the catalog (`pointsman.routing.Router.inputs`).
        at: when it was made, UTC.
        must_claim: the agent may act on it only after it has claimed it: the record may be written more than once.
        release: the side of a rollout that made it; empty where only one side decides.
        inboxes: agents that get that side's messages in an inbox of their own, with their version.
    """

    record: Record
    message: Envelope | None
    counters: Counters
    decision: Decision
    inputs: Mapping[str, Any]
    at: datetime
    must_claim: bool = False
    release: str = ""
    inboxes: Mapping[str, str] = field(default_factory=dict)


def outputs(decided: Decided) -> list[Record]:
    """Every record that `decided` writes, in order; a dead letter as outcome when that would be too large for Kafka."""
    written = list(_outcome(decided))
    too_large = next((record.topic for record in written if size_of(record) > MAX_KEPT_BYTES), None)
    if too_large is None:
        return [*written, _decision_record(decided), *_state_record(decided)]
    detail = f"the record for {too_large} would be larger than {MAX_KEPT_BYTES} bytes"
    catalog = decided.decision.catalog
    letter = shortened(error_record(decided.record, ErrorReason.TOO_LARGE, detail, decided.at, catalog))
    decision = replace(
        decided.decision, outcome=Outcome.REJECTED, agent=None, reason_code=ErrorReason.TOO_LARGE.value, reason=detail
    )
    rejected = replace(decided, decision=decision)
    return [letter, _decision_record(rejected), *_state_record(rejected)]


def error_record(record: Record, reason: ErrorReason, detail: str, at: datetime, catalog: str | None) -> Record:
    """`record` as a dead letter of the router."""
    return dead_letter(
        record,
        reason=reason,
        stage=STAGE,
        detail=detail,
        attempts=1,
        first_at=_first_seen(record, at),
        now=at,
        catalog=catalog,
    )


def shortened(letter: Record) -> Record:
    """`letter`, without what Kafka would not take: its `x_error_*` headers still say where the original stands."""
    if size_of(letter) <= MAX_KEPT_BYTES:
        return letter
    why = {name: value for name, value in letter.headers.items() if name.startswith("x_error_")}
    return replace(letter, key=None, value=None, headers=why)


def size_of(record: Record) -> int:
    """About how many bytes `record` takes on the wire, never less than it does."""
    headers = record.headers
    names, values = len("".join(headers).encode()), sum(map(len, headers.values()))
    return len(record.key or b"") + len(record.value or b"") + names + values + len(headers) * _HEADER_OVERHEAD_BYTES


def _outcome(decided: Decided) -> Iterable[Record]:
    record, decision = decided.record, decided.decision
    if decision.outcome is Outcome.ROUTED and decided.message and decision.agent:
        return [_inbox_record(decided, decided.message, decision.agent)]
    if decision.outcome is Outcome.ABSTAINED:
        return [_escalation_record(decided)]
    if decision.outcome is Outcome.REJECTED:
        return [error_record(record, _error_reason(decision), decision.reason, decided.at, decision.catalog or None)]
    return []


def _inbox_record(decided: Decided, message: Envelope, agent: str) -> Record:
    record, decision, version = decided.record, decided.decision, decided.inboxes.get(agent)
    # What the cause used is counted; what is left, and what this decision used, is for the agent that gets it.
    kept = {name: value for name, value in record.headers.items() if name not in _REPLACED_HEADERS}
    call = decision.model_call
    headers = {
        **kept,
        **(decision.budget or Budget()).headers(),
        **({ROUTING_HEADER: call.usage.to_text().encode()} if call else {}),
        **({CLAIM_HEADER: MUST_CLAIM} if decided.must_claim else {}),
        "ce_hop": str(message.hop + 1).encode(),
        "ce_catalog": decision.catalog.encode(),
        "ce_agentversion": (decision.agent_version or "").encode(),
        **({"ce_release": decided.release.encode()} if decided.release else {}),
        **({"ce_targetversion": version.encode()} if version else {}),
    }
    return Record(topic=inbox(agent, version), key=message.workflow_id.encode(), value=record.value, headers=headers)


def _escalation_record(decided: Decided) -> Record:
    record, decision = decided.record, decided.decision
    counters = decided.counters
    more = {
        "candidates": ",".join(candidate.agent for candidate in decision.candidates if candidate.fits),
        **({"proposed": decision.proposed} if decision.proposed else {}),
        "step": str(counters.step),
        "visits": str(counters.visits),
        "fan_out": str(counters.fan_out),
        "model_calls": str(counters.used.calls),
        "tokens": str(counters.used.tokens),
        "cost_usd": f"{counters.used.cost_microusd / MICRO:.6f}",
    }
    return escalation(
        record,
        reason=decision.reason_code,
        detail=decision.reason,
        stage=STAGE,
        now=decided.at,
        catalog=decision.catalog,
        more=more,
    )


def _decision_record(decided: Decided) -> Record:
    """The entry of the decision log: whole, or, where Kafka would not take that, with its long texts as hashes."""
    entry, message = _decision_json(decided), decided.message
    whole = _logged(decided, entry, message.id if message else _place(decided.record), message)
    if size_of(whole) <= MAX_KEPT_BYTES:
        return whole
    return _logged(decided, _without_long_texts(entry), _place(decided.record), None)


def _logged(decided: Decided, entry: Any, about: str, message: Envelope | None) -> Record:
    attributes: dict[str, str | None] = {
        "ce_specversion": "1.0",
        "ce_id": _decision_id(about, message),
        "ce_source": "/router",
        "ce_type": "routing.decided",
        "ce_time": to_rfc3339(decided.at),
        "content-type": "application/json",
        "ce_workflowid": message.workflow_id if message else None,
        "ce_causationid": message.id if message else None,
    }
    headers = {name: text.encode(errors="replace") for name, text in attributes.items() if text is not None}
    value = _JSON.encode(entry)
    return Record(
        topic=DECISIONS, key=about.encode(errors="replace"), value=value.encode(errors="replace"), headers=headers
    )


def _place(record: Record) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"


def _without_long_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_long_texts(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_long_texts(inner) for inner in value]
    if not isinstance(value, str) or len(value) <= _LONGEST_SHORT_TEXT:
        return value
    octets = value.encode(errors="replace")
    return {"left_out_bytes": len(octets), "sha256": hashlib.sha256(octets).hexdigest()}


def _decision_id(about: str, message: Envelope | None) -> str:
    # A dead letter that was sent again is decided anew, so its decision is another one.
    attempt = [str(message.attempt)] if message and message.attempt else []
    return derived_id(about, message.source if message else "", "decision", *attempt)


def _decision_json(decided: Decided) -> dict[str, Any]:
    message, record = decided.message, decided.record
    return {
        "message_id": message.id if message else None,
        "workflow_id": message.workflow_id if message else None,
        "event_type": message.event_type if message else None,
        "source": message.source if message else None,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "step": decided.counters.step,
        "visits": decided.counters.visits,
        "attempt": message.attempt if message else 0,
        "release": decided.release or None,
        "decided_at": to_rfc3339(decided.at),
        "inputs": dict(decided.inputs),
        **decided.decision.to_json(),
    }


def _state_record(decided: Decided) -> Iterable[Record]:
    message = decided.message
    if message is None:
        return []
    decision = decided.decision
    record = WorkflowState.decided(
        workflow_id=message.workflow_id,
        message_id=message.id,
        event_type=message.event_type,
        outcome=decision.outcome,
        agent=decision.agent,
        reason_code=decision.reason_code,
        reason=decision.reason,
        is_cancelled=decided.counters.is_cancelled,
        step=decided.counters.step,
        at=decided.at,
        catalog=decision.catalog,
    ).to_record()
    # Ids of any length are let through; a state that Kafka would not take is left out.
    return [record] if size_of(record) <= MAX_KEPT_BYTES else []


def _error_reason(decision: Decision) -> ErrorReason:
    try:
        return ErrorReason(decision.reason_code)
    except ValueError:
        return ErrorReason.CONTRACT_VIOLATION


def _first_seen(record: Record, at: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC) if record.timestamp_ms > 0 else at
    except (ValueError, OverflowError, OSError):
        return at
