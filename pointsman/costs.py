"""What models cost: by day, by agent, by mail. From the decision log and from what agents say they have used. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from pointsman.decision_log import LoggedDecision
from pointsman.envelope import AGENT_SOURCE, Record, decode
from pointsman.errors import InvalidEnvelopeError
from pointsman.timeline import Part, Usage
from pointsman.timeline.reading import asked_usage, rows_of

ROUTER: Final = "router"


@dataclass(frozen=True, kw_only=True)
class Spending:
    """What was used.

    Attributes:
        calls: model calls.
        input_tokens: tokens of prompts.
        output_tokens: tokens of answers.
        cost_usd: US dollars, as far as prices are known.
        unpriced_calls: calls of models whose price is unknown; what they cost is not in `cost_usd`.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unpriced_calls: int = 0

    def plus(self, usage: Usage) -> Spending:
        """This, and `usage`."""
        unpriced = usage.calls if usage.cost_usd is None else 0
        return Spending(
            calls=self.calls + usage.calls,
            input_tokens=self.input_tokens + usage.input_tokens,
            output_tokens=self.output_tokens + usage.output_tokens,
            cost_usd=self.cost_usd + (usage.cost_usd or 0.0),
            unpriced_calls=self.unpriced_calls + unpriced,
        )


@dataclass(frozen=True, kw_only=True)
class Spent:
    """One use of a model.

    Attributes:
        at: when, UTC.
        agent: who: an agent's name, or `router`.
        usage: what.
    """

    at: datetime
    agent: str
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What models cost in a range of time.

    Attributes:
        by_agent: by day and who asked.
        mails: mails sent, by day.
    """

    by_agent: Mapping[tuple[date, str], Spending]
    mails: Mapping[date, int]

    def of_day(self, day: date) -> Spending:
        """What was used on one day, by everybody."""
        return added(spending for (one, _), spending in self.by_agent.items() if one == day)

    @property
    def days(self) -> Sequence[date]:
        """The days on which something was used or sent, in order."""
        return sorted({day for day, _ in self.by_agent} | set(self.mails))


def costs(spent: Iterable[Spent], mails: Iterable[Mapping[str, Any]]) -> Costs:
    """Sum up what was spent.

    Args:
        spent: uses of models.
        mails: the ledger's documents that are in state `sent`.
    """
    by_agent: dict[tuple[date, str], Spending] = {}
    for one in spent:
        key = (one.at.date(), one.agent)
        by_agent[key] = by_agent.get(key, Spending()).plus(one.usage)
    sent: dict[date, int] = {}
    for mail in mails:
        at = mail.get("finished_at")
        if isinstance(at, datetime):
            sent[at.date()] = sent.get(at.date(), 0) + 1
    return Costs(by_agent=by_agent, mails=sent)


def spent_by_router(decisions: Iterable[LoggedDecision]) -> Iterable[Spent]:
    """What the router used."""
    for decision in decisions:
        call = decision.model_call
        if call is not None and decision.decided_at is not None:
            yield Spent(at=decision.decided_at, agent=ROUTER, usage=asked_usage(call))


def spent_by_agents(messages: Iterable[Record]) -> Iterable[Spent]:
    """What agents used for the messages that they wrote; a message that lies there twice counts once."""
    seen: set[tuple[str, str]] = set()
    for record in messages:
        try:
            message = decode(record)
        except InvalidEnvelopeError:
            continue
        identity = (message.source, message.id)
        if identity in seen or not message.source.startswith(AGENT_SOURCE):
            continue
        seen.add(identity)
        row = next(row for row in rows_of(message.workflow_id, record) if row.part is Part.MESSAGE)
        if row.usage:
            yield Spent(at=message.time.astimezone(UTC), agent=row.sender, usage=row.usage)


def added(spendings: Iterable[Spending]) -> Spending:
    """All of `spendings` together."""
    total = Spending()
    for one in spendings:
        total = replace(
            total,
            calls=total.calls + one.calls,
            input_tokens=total.input_tokens + one.input_tokens,
            output_tokens=total.output_tokens + one.output_tokens,
            cost_usd=total.cost_usd + one.cost_usd,
            unpriced_calls=total.unpriced_calls + one.unpriced_calls,
        )
    return total
