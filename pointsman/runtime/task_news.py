"""What a plan hears of a task that gets no answer: without it, the plan would wait for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from pointsman.definitions import AgentDefinition
from pointsman.envelope import SEALED, TASK_FAILED, Envelope, Record, decode, derived_id
from pointsman.errors import InvalidEnvelopeError
from pointsman.topics import MESSAGES
from pointsman.usage import Usage

NO_ANSWER: Final = "no_answer"
"""Reason code: the agent had nothing to say."""


def task_failed(
    record: Record, reason_code: str, definition: AgentDefinition, now: datetime, used: Usage
) -> Sequence[Record]:
    """The news that `record` will not be answered, if it belongs to a task; else nothing. No payload, no address.

    Args:
        record: the message that gets no answer.
        reason_code: why, for programs.
        definition: the agent that had it.
        now: the time, UTC.
        used: what models have used for it all the same; it counts for the workflow.
    """
    if record.decoded is None and (record.value or b"").startswith((b"\0", SEALED)):
        # Avro whose schema, or encrypted with a key that could not be had: the news needs no payload.
        record = replace(record, decoded={})
    try:
        message = decode(record)
    except InvalidEnvelopeError:
        return []
    if not message.task:
        return []
    news = _news(message, reason_code, definition, now)
    return [replace(news, usage=used, routing_usage=message.routing_usage).to_record(MESSAGES)]


def _news(message: Envelope, reason_code: str, definition: AgentDefinition, now: datetime) -> Envelope:
    answer = message.reply(
        agent=definition.name,
        agent_version=definition.version,
        index=0,
        event_type=TASK_FAILED,
        payload={"reason_code": reason_code, "agent": definition.name},
        time=now,
    )
    # A dead letter that a person sends again may fail again, and that is news again.
    return replace(answer, id=derived_id(message.id, definition.name, TASK_FAILED, str(message.attempt)))
