"""Labelled examples from what happened: decisions that stood, and what people decided in the router's place. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pointsman.decision_log import LoggedDecision
from pointsman.envelope import OPERATOR_SOURCE, Envelope, Record, decode
from pointsman.errors import InvalidEnvelopeError
from pointsman.evaluation.dataset import Example

BY_MODEL: Final = frozenset({"model", "fallback_model"})
"""Ways of deciding that are a judgement. What contracts decide is nothing to learn from, and what a local model
decided must not teach the next one."""


def harvested(messages: Iterable[Record], decisions: Iterable[LoggedDecision]) -> list[Example]:
    """One example per message that somebody judged: a person before a model; escalated and unanswered ones have none.

    Args:
        messages: records of `agent_messages`.
        decisions: entries of `agent_decisions`.
    """
    by_id: dict[str, Envelope] = {}
    by_person: dict[str, Envelope] = {}
    for record in messages:
        message = _message(record)
        if message is None:
            continue
        by_id[message.id] = message
        if message.source.startswith(OPERATOR_SOURCE) and message.target_agent and message.causation_id:
            by_person[message.causation_id] = message
    found: dict[str, Example] = {}
    for entry in decisions:
        known = by_id.get(entry.message_id or "")
        example = _judged(known, entry, by_person) if known else None
        if example:
            found[example.id] = example
    return list(found.values())


def _judged(message: Envelope, entry: LoggedDecision, by_person: dict[str, Envelope]) -> Example | None:
    person = by_person.get(message.id)
    if person is not None:
        return _example(message, person.target_agent, "person", "a person named this agent")
    if entry.how in BY_MODEL and entry.outcome == "routed":
        return _example(message, entry.agent, f"decision:{entry.how}", entry.reason)
    return None


def _example(message: Envelope, answer: str | None, source: str, reason: str) -> Example:
    return Example(
        id=message.id,
        event_type=message.event_type,
        payload=message.payload,
        answer=answer,
        source=source,
        reason=reason,
    )


def _message(record: Record) -> Envelope | None:
    try:
        return decode(record)
    except InvalidEnvelopeError:
        return None
