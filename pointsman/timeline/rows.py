"""The rows of a timeline: each says one thing that happened to a workflow, word for word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pointsman.decision_log import Place
from pointsman.envelope import to_rfc3339
from pointsman.masking import masked, masked_line


class Part(StrEnum):
    """Which part of the system a row tells of."""

    LEAD = "lead"
    """MongoDB: a document came through the connector."""
    MESSAGE = "message"
    """Kafka: a message came in on `agent_messages`; its `usage` is what its agent spent on it."""
    DECISION = "decision"
    """Flink: the router decided on it."""
    MODEL = "model"
    """The router's model was asked."""
    INBOX = "inbox"
    """Kafka: it lies in its agent's inbox."""
    ESCALATION = "escalation"
    """Kafka: it waits for a person."""
    DEAD_LETTER = "dead_letter"
    """Kafka: nothing more can be done with it until a person looks."""
    EFFECT = "effect"
    """MongoDB's ledger: a mail, or what else left the system."""
    PERSON = "person"
    """The audit: what a person did by hand."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What models did for one step.

    Attributes:
        model: the model that answered; None where an agent does not say.
        calls: calls made, tries that failed among them where that is known.
        input_tokens: tokens of the prompts.
        output_tokens: tokens of the answers.
        cost_usd: US dollars; None when the price is unknown.
        latency_ms: milliseconds, retries included; None where nobody measured.
    """

    model: str | None = None
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class Looked:
    """One candidate: an agent that lists the type.

    Attributes:
        agent: its name.
        version: its version.
        fits: whether its contract takes the message.
        why: why it fell out, or how it came in.
    """

    agent: str
    version: str
    fits: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that happened.

    Attributes:
        hop: 0 before the first message; then the number of the message that it belongs to.
        part: which part of the system it happened in.
        at: when, UTC; None when nobody noted it.
        title: the event type, the outcome, or the state of an effect.
        message_id: the message that it belongs to, if one.
        attempt: how often that message had been sent again by a person.
        sender: who wrote it.
        receiver: who gets it next: an agent, `a person`, or empty.
        how: how the router decided.
        code: the reason for programs.
        why: the reason for people.
        candidates: whom the router looked at.
        usage: what a model did for it.
        catalog: version of the catalog that decided.
        place: where its record lies on Kafka.
        content: the payload, the model's raw answer, or the effect's facts.
    """

    hop: int
    part: Part
    at: datetime | None
    title: str
    message_id: str | None = None
    attempt: int = 0
    sender: str = ""
    receiver: str = ""
    how: str = ""
    code: str = ""
    why: str = ""
    candidates: tuple[Looked, ...] = ()
    usage: Usage | None = None
    catalog: str = ""
    place: Place | None = None
    content: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, *, unmask: bool = False) -> dict[str, Any]:
        """The row as a JSON object.

        Args:
            unmask: also tell what people wrote and who they are.
        """
        text = str if unmask else masked_line
        return {
            "hop": self.hop,
            "part": self.part.value,
            "at": to_rfc3339(self.at) if self.at else None,
            "title": text(self.title),
            "message_id": text(self.message_id) if self.message_id is not None else None,
            "attempt": self.attempt,
            "from": text(self.sender),
            "to": text(self.receiver),
            "how": text(self.how),
            "code": text(self.code),
            "why": text(self.why),
            "candidates": [vars(one) | {"why": text(one.why)} for one in self.candidates],
            "usage": vars(self.usage) if self.usage else None,
            "catalog": text(self.catalog),
            "place": str(self.place) if self.place else None,
            "content": dict(self.content) if unmask else masked(dict(self.content)),
        }
