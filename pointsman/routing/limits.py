"""How far a workflow may go before a person looks: what it has come to, and which limit that is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pointsman.envelope import AGENT_SOURCE, OPERATOR_SOURCE, Envelope, to_rfc3339
from pointsman.usage import MICRO, Budget, Usage
from pointsman.workflow_limits import WorkflowLimits


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What a workflow has come to at one message, counted by the job.

    Attributes:
        step: number of messages of the workflow so far, this one included (from 1).
        visits: how often the same agent has said exactly this, type and payload, in the workflow (from 1).
        is_cancelled: a person has cancelled the workflow.
        fan_out: answers of the workflow's agents that were not the first to their message.
        model_calls: what models have answered for it.
        model_tokens: tokens of prompts and answers of that.
        model_microusd: micro-dollars of that, as far as prices are known.
        workflow_type: type of its first message.
        began_ms: Kafka's time of its earliest message, in milliseconds since 1970; 0 if unknown.
        chain: number of answers that at least one chain of it has, whatever hops its messages claim.
    """

    step: int
    visits: int = 1
    is_cancelled: bool = False
    fan_out: int = 0
    model_calls: int = 0
    model_tokens: int = 0
    model_microusd: int = 0
    workflow_type: str = ""
    began_ms: int = 0
    chain: int = 0

    @property
    def used(self) -> Usage:
        """What models have used for it; prompts and answers are one sum here, as their bound is one."""
        return Usage(calls=self.model_calls, input_tokens=self.model_tokens, cost_microusd=self.model_microusd)


@dataclass(frozen=True, kw_only=True)
class Excess:
    """A limit that a message is over.

    Attributes:
        code: for programs, e.g. `step_limit`.
        reason: one sentence for a person.
    """

    code: str
    reason: str


def excess(
    message: Envelope, counters: Counters, now: datetime, limits: WorkflowLimits, max_visits: int | None = None
) -> Excess | None:
    """The limit that `message` is over, if any. What a person sends is over none: that is how work goes on after one.

    Args:
        message: the message.
        counters: what its workflow has come to.
        now: the time, UTC.
        limits: the workflow's limits.
        max_visits: how often the agent that wrote it may say the same; None leaves it to the workflow's limits.
    """
    if is_by_person(message):
        return None
    visits = limits.visits if max_visits is None else max_visits
    found = (*_ways(message, counters, limits, visits), *_times(message, counters, now, limits))
    return next((each for each in (*found, *_uses(counters, limits))), None)


def spent(budget: Budget) -> Excess | None:
    """The limit that forbids a further model call, if any.

    Args:
        budget: what is left.
    """
    code = budget.spent()
    what = {"model_call_limit": "model calls", "token_limit": "tokens", "cost_limit": "money"}
    return Excess(code=code, reason=f"the workflow has used up its {what[code]} for models") if code else None


def budget_left(message: Envelope, counters: Counters, limits: WorkflowLimits) -> Budget:
    """What models may still use for the workflow; a person's word is over every limit."""
    return Budget() if is_by_person(message) else limits.budget.less(counters.used)


def is_by_person(message: Envelope) -> bool:
    """Whether a person sent `message`."""
    return message.source.startswith(OPERATOR_SOURCE)


def _ways(message: Envelope, counters: Counters, limits: WorkflowLimits, visits: int) -> Iterator[Excess]:
    if counters.step > limits.steps:
        reason = f"the workflow has made {counters.step} steps, at most {limits.steps} are allowed"
        yield Excess(code="step_limit", reason=reason)
    if message.source.startswith(AGENT_SOURCE) and counters.visits > visits:
        reason = f"the agent has said the same {counters.visits} times, at most {visits} are allowed: a circle"
        yield Excess(code="visit_limit", reason=reason)
    if (hops := max(message.hop, counters.chain)) >= limits.hops:
        reason = f"{hops} routing decisions led here one after the other, at most {limits.hops} are allowed"
        yield Excess(code="hop_limit", reason=reason)
    if message.source.startswith(AGENT_SOURCE) and counters.fan_out > limits.fan_out:
        reason = f"the workflow has branched {counters.fan_out} times, at most {limits.fan_out} are allowed"
        yield Excess(code="fan_out_limit", reason=reason)


def _times(message: Envelope, counters: Counters, now: datetime, limits: WorkflowLimits) -> Iterator[Excess]:
    if message.deadline is not None and now > message.deadline:
        yield Excess(code="deadline_passed", reason=f"its deadline, {to_rfc3339(message.deadline)}, has passed")
    if limits.age_h and counters.began_ms > 0 and now.timestamp() * 1000 > counters.began_ms + limits.age_h * 3_600_000:
        reason = f"the workflow is older than {timedelta(hours=limits.age_h)}"
        yield Excess(code="deadline_passed", reason=reason)


def _uses(counters: Counters, limits: WorkflowLimits) -> Iterator[Excess]:
    used, most = counters.used, limits.budget
    if most.calls is not None and used.calls > most.calls:
        reason = f"models have answered {used.calls} times for the workflow, at most {most.calls} are allowed"
        yield Excess(code="model_call_limit", reason=reason)
    if most.tokens is not None and used.tokens > most.tokens:
        reason = f"the workflow has used {used.tokens} tokens, at most {most.tokens} are allowed"
        yield Excess(code="token_limit", reason=reason)
    if most.cost_microusd is not None and used.cost_microusd > most.cost_microusd:
        reason = f"the workflow has cost {used.cost_microusd / MICRO:.4f} $, at most {limits.cost_usd:g} $ are allowed"
        yield Excess(code="cost_limit", reason=reason)
