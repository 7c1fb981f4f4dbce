"""One line per record, for people: when, where, what, whose, from whom to whom. No personal data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pointsman.deadletters import PREFIX
from pointsman.envelope import Record
from pointsman.logging import mask
from pointsman.plaintext import one_line
from pointsman.topics import DECISIONS, ERRORS, ESCALATIONS, LEADS, MESSAGES, agent_of

_ROUTER: Final = "router"
_LONGEST: Final = 80


@dataclass(frozen=True, kw_only=True)
class MessageLine:
    """What is shown of one record.

    Attributes:
        time: Kafka's timestamp, local time of the reader.
        topic: the topic.
        event_type: the event type, or what the record is instead.
        workflow: the workflow id.
        sender: who wrote it.
        receiver: who gets it.
    """

    time: datetime
    topic: str
    event_type: str
    workflow: str
    sender: str
    receiver: str


def message_line(record: Record) -> MessageLine:
    """The line for `record`; works for any bytes."""
    return MessageLine(
        time=datetime.fromtimestamp(record.timestamp_ms / 1000, UTC).astimezone(),
        topic=record.topic,
        event_type=_event_type(record),
        workflow=_text(workflow_of(record)),
        sender=_sender(record),
        receiver=_receiver(record),
    )


def workflow_of(record: Record) -> str:
    """The workflow id that `record` says it belongs to, else its key."""
    named = record.headers.get("ce_workflowid") or record.key or b""
    if record.topic == DECISIONS and "ce_workflowid" not in record.headers:
        return str(_decision(record).get("workflow_id", ""))
    return named.decode(errors="replace")


def _event_type(record: Record) -> str:
    if record.topic == LEADS:
        return "lead document"
    if record.topic == DECISIONS:
        return _text(str(_decision(record).get("event_type", "decision")))
    return _header(record, "ce_type") or "no message"


def _sender(record: Record) -> str:
    if record.topic == LEADS:
        return "mongodb"
    if record.topic == DECISIONS or agent_of(record.topic) or record.topic == ESCALATIONS:
        return _ROUTER
    if record.topic == ERRORS:
        return _header(record, f"{PREFIX}stage").removeprefix("agent/") or "?"
    return _header(record, "ce_source").rpartition("/")[2] or "?"


def _receiver(record: Record) -> str:
    if record.topic == DECISIONS:
        decision = _decision(record)
        how = f"{decision.get('outcome', '?')}, {decision.get('how', '?')}"
        return _text(f"{decision.get('agent') or '-'} ({how})")
    if record.topic == ERRORS:
        return f"dead letter ({_header(record, f'{PREFIX}reason') or '?'})"
    fixed = {LEADS: _ROUTER, MESSAGES: _ROUTER, ESCALATIONS: "a person"}
    return fixed.get(record.topic) or agent_of(record.topic) or "?"


def _decision(record: Record) -> dict[str, Any]:
    try:
        decision = json.loads(record.value or b"")
    except (ValueError, RecursionError):
        return {}
    return decision if isinstance(decision, dict) else {}


def _header(record: Record, name: str) -> str:
    return _text(record.headers.get(name, b"").decode(errors="replace"))


def _text(text: str) -> str:
    # What strangers wrote must not move the cursor, and shows no address.
    return mask(one_line(text, _LONGEST))
