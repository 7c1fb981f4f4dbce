"""How far a workflow may go before a person looks: what it has come to, and which limit that is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pointsman.envelope import AGENT_SOURCE, OPERATOR_SOURCE, Envelope, to_rfc3339


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What a workflow has come to at one message, counted by the job and not taken from anybody's headers.

    Attributes:
        step: number of messages of the workflow so far, this one included (from 1).
        visits: how often the same agent has said exactly this, type and payload, in the workflow (from 1).
        is_cancelled: a person has cancelled the workflow.
    """

    step: int
    visits: int = 1
    is_cancelled: bool = False


@dataclass(frozen=True, kw_only=True)
class Excess:
    """A limit that a message is over.

    Attributes:
        code: for programs: `step_limit`, `visit_limit` or `deadline_passed`.
        reason: one sentence for a person.
    """

    code: str
    reason: str


def excess(message: Envelope, counters: Counters, now: datetime, *, max_steps: int, max_visits: int) -> Excess | None:
    """The limit that `message` is over, if any. What a person sends is over none: that is how work goes on after one.

    Args:
        message: the message.
        counters: what its workflow has come to.
        now: the time, UTC.
        max_steps: messages that one workflow may have routed.
        max_visits: how often one agent may say the same in one workflow.
    """
    if is_by_person(message):
        return None
    if counters.step > max_steps:
        reason = f"the workflow has made {counters.step} steps, at most {max_steps} are allowed"
        return Excess(code="step_limit", reason=reason)
    if message.source.startswith(AGENT_SOURCE) and counters.visits > max_visits:
        reason = f"the agent has said the same {counters.visits} times, at most {max_visits} are allowed: a circle"
        return Excess(code="visit_limit", reason=reason)
    if message.deadline is not None and now > message.deadline:
        return Excess(code="deadline_passed", reason=f"its deadline, {to_rfc3339(message.deadline)}, has passed")
    return None


def is_by_person(message: Envelope) -> bool:
    """Whether a person sent `message`."""
    return message.source.startswith(OPERATOR_SOURCE)
