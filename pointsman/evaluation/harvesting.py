"""Labelled examples from what happened: people's words, what became of mails, decisions that stood. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pointsman.decision_log import LoggedDecision
from pointsman.envelope import OPERATOR_SOURCE, Envelope, Record, decode
from pointsman.errors import InvalidEnvelopeError
from pointsman.evaluation.dataset import Example
from pointsman.evaluation.feedback import Feedback, MailOutcome

BY_MODEL: Final = frozenset({"model", "fallback_model"})
"""Ways of deciding that are a judgement. What contracts decide is nothing to learn from, and what a local model
decided must not teach the next one."""
JUDGED: Final = BY_MODEL | {"local_model"}
"""Ways of deciding that the world's answer tells something about, whoever decided."""
_NOTHING: Final = Feedback()


@dataclass(kw_only=True)
class _Known:
    """What the messages say.

    Attributes:
        by_id: each message.
        by_person: what a person has sent on, by the message that waited.
        outcomes: what became of the mails that followed, by the message that their writer answered.
    """

    by_id: dict[str, Envelope] = field(default_factory=dict)
    by_person: dict[str, Envelope] = field(default_factory=dict)
    outcomes: dict[str, MailOutcome] = field(default_factory=dict)


def harvested(
    messages: Iterable[Record], decisions: Iterable[LoggedDecision], feedback: Feedback = _NOTHING
) -> list[Example]:
    """One example per message that somebody judged; escalated and unanswered ones have none.

    A person's correction counts first, then a person's answer to an escalation, then what became of the mail, then
    what a model decided.

    Args:
        messages: records of `agent_messages`.
        decisions: entries of `agent_decisions`.
        feedback: what came of decisions.
    """
    known = _read(messages, feedback)
    found: dict[str, Example] = {}
    for entry in decisions:
        message = known.by_id.get(entry.message_id or "")
        example = _judged(message, entry, known, feedback) if message else None
        if example:
            found[example.id] = example
    return list(found.values())


def _read(messages: Iterable[Record], feedback: Feedback) -> _Known:
    known = _Known()
    for record in messages:
        message = _message(record)
        if message is None:
            continue
        known.by_id[message.id] = message
        if message.source.startswith(OPERATOR_SOURCE) and message.target_agent and message.causation_id:
            known.by_person[message.causation_id] = message
        outcome = feedback.outcomes.get(message.id)
        if outcome and message.causation_id:
            known.outcomes[message.causation_id] = outcome
    return known


def _judged(message: Envelope, entry: LoggedDecision, known: _Known, feedback: Feedback) -> Example | None:
    correction = feedback.corrections.get(message.id)
    if correction is not None:
        return _example(message, correction.agent, "correction", correction.reason or "a person corrected it")
    person = known.by_person.get(message.id)
    if person is not None:
        return _example(message, person.target_agent, "person", "a person named this agent")
    if entry.outcome != "routed" or entry.how not in JUDGED:
        return None
    outcome = known.outcomes.get(message.id)
    if outcome is not None:
        answer = entry.agent if outcome.is_good else None
        return _example(message, answer, f"outcome:{outcome.value}", f"its mail ended with: {outcome.value}")
    if entry.how in BY_MODEL:
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
