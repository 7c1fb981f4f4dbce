"""The message: CloudEvents 1.0 in Kafka binary mode, its lineage and its ids.

Attributes travel in headers, the payload (a JSON object) in the value, the workflow id is the record key.
Protocol: CloudEvents 1.0.2, Kafka protocol binding, part 3.2 "Binary content mode".
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from pointsman.errors import ErrorReason, InvalidEnvelopeError
from pointsman.usage import BUDGET_HEADERS, ROUTING_HEADER, USAGE_HEADERS, Budget, Usage

MAX_PAYLOAD_BYTES: Final = 1024 * 1024
DEFAULT_PRIORITY: Final = 5
OPERATOR_SOURCE: Final = "/operators/"
"""Sources below this prefix are people; only they may name the next agent (`ce_targetagent`)."""
AGENT_SOURCE: Final = "/agents/"
"""Sources below this prefix are agents, each by its name."""
WORKFLOW_CANCELLED: Final = "workflow.cancelled"
"""Event type with which a person ends a workflow: nothing of it is routed any more. From others it does nothing."""
PLAN_PROPOSED: Final = "plan.proposed"
"""Event type with which an agent whose definition emits it, or a person, splits work into tasks."""
TASK_FAILED: Final = "task.failed"
"""Event type that says: a message of a task became a dead letter, or its agent had nothing to say."""
PLAN_FAILED: Final = "plan.failed"
"""Event type that says: a task has failed for good, and what could be compensated has been."""
PLAN_RETRIED: Final = "plan.retried"
"""Event type with which a person has a failed plan go on. From others it does nothing."""
RESERVED_TYPES: Final = frozenset({PLAN_PROPOSED, TASK_FAILED, PLAN_RETRIED})
"""Event types that the job itself takes: no agent ever gets them."""

AVRO: Final = b"application/avro"
"""Content type of a value in Confluent's framing: a zero byte, a schema's id, an Avro body."""
JSON: Final = b"application/json"

SEALED: Final = b"\x01"
"""First byte of an encrypted value (see `pointsman.shredding`); neither JSON text nor framed Avro begins with it."""
ENCRYPTION_HEADER: Final = "ce_encryption"
"""Says with what a value is encrypted; `content-type` says what is inside."""

CLAIM_HEADER: Final = "ce_claim"
"""Says to an agent that the router may write this message more than once: act only after claiming it."""
MUST_CLAIM: Final = b"required"

_NAMESPACE: Final = uuid.UUID("8f3a1c52-6f0e-5d7c-9a55-2f6b1f0d7c11")
_OWN_HEADERS: Final = frozenset({
    "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "content-type", "ce_workflowid",
    "ce_causationid", "ce_hop", "ce_deadline", "ce_priority", "ce_agentversion", "ce_catalog", "ce_targetagent",
    "ce_targetversion", "ce_release", "ce_attempt", "ce_planid", "ce_taskid", "ce_tasktry", *USAGE_HEADERS.values(),
    *BUDGET_HEADERS.values(), ROUTING_HEADER, CLAIM_HEADER, ENCRYPTION_HEADER,
})  # fmt: skip

Payload = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A Kafka record, as bytes.

    Attributes:
        topic: where it is, or where it goes.
        key: record key; None when it had none.
        value: record value; None is a tombstone.
        headers: header values by name (the last of a repeated name).
        partition: partition it was read from, -1 before it is written.
        offset: offset it was read at, -1 before it is written.
        timestamp_ms: Kafka's timestamp in milliseconds, 0 if unknown.
        decoded: the payload in a value that is Avro or encrypted, or why there is none (see `pointsman.avro` and
            `pointsman.shredding`); None for any other value, and while nobody has looked.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    partition: int = -1
    offset: int = -1
    timestamp_ms: int = 0
    decoded: Payload | InvalidEnvelopeError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRef:
    """The task of a plan that a message belongs to; answers inherit it.

    Attributes:
        plan_id: the plan's id.
        task_id: the task's id within its plan.
        number: which try of the task it is, from 1.
    """

    plan_id: str
    task_id: str
    number: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """One message between agents.

    Attributes:
        id: unique with `source`; derived for replies, so that a redelivery makes the same id.
        source: who says it: `/agents/<name>`, `/connectors/...`, `/operators/<person>`.
        event_type: past-tense type, e.g. `lead.scored` (`ce_type` on the wire).
        workflow_id: the same for a lead's whole journey; the record key.
        payload: the JSON object.
        time: when it happened, UTC.
        subject: what it is about, e.g. `lead/42`.
        causation_id: id of the message that this one answers.
        hop: number of routing decisions between the workflow's first message and this one.
        priority: 0 (can wait) to 9 (overtakes).
        deadline: after this time nobody needs the answer.
        agent_version: version of the agent that wrote it, or that it is routed to.
        catalog: version of the agent catalog that routed it.
        target_agent: the next agent, named by a person; ignored from any other source.
        target_version: which version of the agent it is for, where two stand side by side; from the router only.
        release: the side of a rollout that has decided on its workflow; answers inherit it.
        attempt: how often a person has sent it again after it became a dead letter; not inherited by answers.
        task: the task of a plan that it belongs to.
        usage: what handling the message that this one answers has used; on an agent's first reply only.
        budget: what the models may still use for its workflow; from the router to the agent only.
        routing_usage: what the router's model has used for it; from the router to the agent and on its first reply.
        must_claim: the agent that gets it may act only after claiming it; from the router to the agent only.
        extra: headers this version does not know; they survive a hop.
    """

    id: str
    source: str
    event_type: str
    workflow_id: str
    payload: Payload
    time: datetime
    subject: str | None = None
    causation_id: str | None = None
    hop: int = 0
    priority: int = DEFAULT_PRIORITY
    deadline: datetime | None = None
    agent_version: str | None = None
    catalog: str | None = None
    target_agent: str | None = None
    target_version: str | None = None
    release: str | None = None
    attempt: int = 0
    task: TaskRef | None = None
    usage: Usage = field(default=Usage())
    budget: Budget = field(default=Budget())
    routing_usage: Usage = field(default=Usage())
    must_claim: bool = False
    extra: Mapping[str, bytes] = field(default_factory=dict)

    def reply(
        self,
        *,
        agent: str,
        agent_version: str,
        index: int,
        event_type: str,
        payload: Payload,
        time: datetime,
        subject: str | None = None,
    ) -> Envelope:
        """The `index`-th answer (from 0) of `agent` to this message, with an id derived from all three."""
        return replace(
            self,
            id=derived_id(self.id, agent, str(index)),
            source=f"{AGENT_SOURCE}{agent}",
            event_type=event_type,
            payload=payload,
            time=time,
            subject=subject or self.subject,
            causation_id=self.id,
            agent_version=agent_version,
            target_agent=None,
            target_version=None,
            attempt=0,
            usage=Usage(),
            budget=Budget(),
            routing_usage=Usage(),
            must_claim=False,
        )

    def headers(self) -> dict[str, bytes]:
        """All headers of this message, unknown ones included."""
        texts: dict[str, str | None] = {
            "ce_specversion": "1.0",
            "ce_id": self.id,
            "ce_source": self.source,
            "ce_type": self.event_type,
            "ce_time": to_rfc3339(self.time),
            "ce_subject": self.subject,
            "content-type": JSON.decode(),
            "ce_workflowid": self.workflow_id,
            "ce_causationid": self.causation_id,
            "ce_hop": str(self.hop),
            "ce_priority": str(self.priority),
            "ce_deadline": to_rfc3339(self.deadline) if self.deadline else None,
            "ce_agentversion": self.agent_version,
            "ce_catalog": self.catalog,
            "ce_targetagent": self.target_agent,
            "ce_targetversion": self.target_version,
            "ce_release": self.release,
            "ce_attempt": str(self.attempt) if self.attempt else None,
            "ce_planid": self.task.plan_id if self.task else None,
            "ce_taskid": self.task.task_id if self.task else None,
            "ce_tasktry": str(self.task.number) if self.task else None,
            ROUTING_HEADER: self.routing_usage.to_text() if self.routing_usage else None,
            CLAIM_HEADER: MUST_CLAIM.decode() if self.must_claim else None,
        }
        own = {name: text.encode() for name, text in texts.items() if text is not None}
        return {**self.extra, **own, **self.usage.headers(), **self.budget.headers()}

    def to_record(self, topic: str) -> Record:
        """This message as a record for `topic`, keyed by workflow id."""
        return Record(
            topic=topic, key=self.workflow_id.encode(), value=encode_payload(self.payload), headers=self.headers()
        )


def decode(record: Record) -> Envelope:
    """Read a record as a message.

    Raises:
        InvalidEnvelopeError: it is none; the error says which header or byte is wrong, never what it held.
    """
    if record.value is None:
        raise InvalidEnvelopeError(ErrorReason.TOMBSTONE, "the record has no value")
    text = _texts(record.headers)
    if text["ce_specversion"] != "1.0":
        raise InvalidEnvelopeError(ErrorReason.NOT_A_MESSAGE, "header ce_specversion is missing or not 1.0")
    return Envelope(
        id=_required(text, "ce_id"),
        source=_required(text, "ce_source"),
        event_type=_required(text, "ce_type"),
        workflow_id=_required(text, "ce_workflowid"),
        payload=payload_of(record),
        time=_time(text, "ce_time") or datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
        subject=text["ce_subject"],
        causation_id=text["ce_causationid"],
        hop=_whole_number(text, "ce_hop", default=0, most=1_000_000),
        priority=_whole_number(text, "ce_priority", default=DEFAULT_PRIORITY, most=9),
        deadline=_time(text, "ce_deadline"),
        agent_version=text["ce_agentversion"],
        catalog=text["ce_catalog"],
        target_agent=text["ce_targetagent"],
        target_version=text["ce_targetversion"],
        release=text["ce_release"],
        attempt=_whole_number(text, "ce_attempt", default=0, most=1_000_000),
        task=_task(text),
        usage=Usage.from_headers(record.headers),
        budget=Budget.from_headers(record.headers),
        routing_usage=Usage.from_text(text[ROUTING_HEADER] or ""),
        must_claim=text[CLAIM_HEADER] is not None,
        extra={name: value for name, value in record.headers.items() if name not in _OWN_HEADERS},
    )


def payload_of(record: Record) -> Payload:
    """The payload of a record, whatever it is written in.

    Raises:
        InvalidEnvelopeError: it has none.
    """
    if isinstance(record.decoded, InvalidEnvelopeError):
        raise record.decoded
    return decode_payload(record.value or b"") if record.decoded is None else record.decoded


def encode_payload(payload: Payload) -> bytes:
    """The payload as JSON bytes in UTF-8.

    Raises:
        ValueError: it holds NaN, infinity or something JSON cannot say.
    """
    return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def decode_payload(value: bytes) -> Payload:
    """Read a record's value as a JSON object.

    Raises:
        InvalidEnvelopeError: too large, not UTF-8, not JSON (RFC 8259: no NaN, no repeated name), no object.
    """
    if len(value) > MAX_PAYLOAD_BYTES:
        detail = f"the value has {len(value)} bytes, at most {MAX_PAYLOAD_BYTES} are allowed"
        raise InvalidEnvelopeError(ErrorReason.TOO_LARGE, detail)
    if value.startswith(b"\0"):
        detail = "the value is Avro, and no schema registry is configured: set POINTSMAN_SCHEMA_REGISTRY_URL"
        raise InvalidEnvelopeError(ErrorReason.INVALID_AVRO, detail)
    if value.startswith(SEALED):
        detail = "the value is encrypted, and no key is configured: set POINTSMAN_ENCRYPTION_KEYS"
        raise InvalidEnvelopeError(ErrorReason.INVALID_ENCRYPTION, detail)
    try:
        payload = _STRICT_JSON.decode(value.decode(json.detect_encoding(value), "surrogatepass"))
    except (ValueError, RecursionError) as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidEnvelopeError(ErrorReason.INVALID_JSON, f"the value is not JSON{where}") from None
    if not isinstance(payload, dict):
        raise InvalidEnvelopeError(ErrorReason.INVALID_JSON, "the value is JSON but not an object")
    if b"\\u" in value and _holds_lone_surrogate(payload):
        raise InvalidEnvelopeError(ErrorReason.INVALID_JSON, "a text holds half of a surrogate pair")
    return payload


def derived_id(*parts: str) -> str:
    """A stable id from its parts (UUID version 5, RFC 9562)."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))


def to_rfc3339(time: datetime) -> str:
    """`time` in UTC as RFC 3339 with milliseconds, e.g. `2030-01-02T03:04:05.678Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """Parse RFC 3339.

    Raises:
        ValueError: it is malformed or has no offset from UTC.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        message = "a time needs an offset from UTC"
        raise ValueError(message)
    return time.astimezone(UTC)


def _texts(headers: Mapping[str, bytes]) -> dict[str, str | None]:
    """The headers of this version as text; None is one that is not there."""
    texts: dict[str, str | None] = dict.fromkeys(_OWN_HEADERS)
    for name, value in headers.items():
        if name in texts:
            try:
                texts[name] = value.decode()
            except UnicodeDecodeError:
                raise InvalidEnvelopeError(ErrorReason.NOT_A_MESSAGE, f"header {name} is not UTF-8") from None
    return texts


def _required(text: Mapping[str, str | None], name: str) -> str:
    value = text[name]
    if not value:
        raise InvalidEnvelopeError(ErrorReason.NOT_A_MESSAGE, f"header {name} is missing or empty")
    return value


def _task(text: Mapping[str, str | None]) -> TaskRef | None:
    plan_id, task_id = text["ce_planid"], text["ce_taskid"]
    number = _whole_number(text, "ce_tasktry", default=1, most=1_000_000)
    return TaskRef(plan_id=plan_id, task_id=task_id, number=number) if plan_id and task_id else None


def _whole_number(text: Mapping[str, str | None], name: str, *, default: int, most: int) -> int:
    value = text[name]
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and int(value) <= most):
        detail = f"header {name} is not a whole number from 0 to {most}"
        raise InvalidEnvelopeError(ErrorReason.NOT_A_MESSAGE, detail)
    return int(value)


def _time(text: Mapping[str, str | None], name: str) -> datetime | None:
    value = text[name]
    if value is None:
        return None
    try:
        return from_rfc3339(value)
    except (ValueError, OverflowError):
        raise InvalidEnvelopeError(ErrorReason.NOT_A_MESSAGE, f"header {name} is not an RFC 3339 time") from None


def _holds_lone_surrogate(payload: Payload) -> bool:
    try:
        encode_payload(payload)
    except UnicodeEncodeError:
        return True
    return False


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        message = "a name stands twice in one object"
        raise ValueError(message)
    return result


# Made once: `json.loads` would make one for each message.
_STRICT_JSON: Final = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique_names)
