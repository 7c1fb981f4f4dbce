"""Routes the messages of a data set as the router would, one decision each, and nothing is sent anywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pointsman.envelope import Envelope
from pointsman.errors import ModelAnswerError, ModelUnavailableError
from pointsman.evaluation.dataset import Example
from pointsman.models.port import ChatModel
from pointsman.routing.decision import Decision
from pointsman.routing.limits import Counters
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router

_WHEN: Final = datetime(2030, 1, 1, tzinfo=UTC)
_OF_NO_USE: Final = frozenset({"model_answer", "model_refused"})
"""Reason codes of decisions where a model answered and chose none of the candidates."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was decided on one example.

    Attributes:
        id: the example's id.
        category: its category.
        answer: the right agent; None for nobody.
        agent: the agent that it is for, be it after a person's approval; None for nobody.
        outcome: what happened to the message.
        how: how that was decided.
        reason: why.
        why_right: why the answer is right, by the data set.
        fingerprint: a short hash of the message; empty in runs that were kept before there was one.
        doubted: the agent that was chosen, where that was not sure enough to be acted on.
        confidence: how sure the choice was, acted on or not; None where nobody knows or nothing was chosen.
        latency_ms: milliseconds for the decision.
        model: the chat model that answered, by its own word; empty without one.
        input_tokens: tokens of the model's prompt, 0 without one.
        output_tokens: tokens of its answer.
        cost_usd: US dollars for it; None where a model was asked whose price is unknown.
    """

    id: str
    category: str
    answer: str | None
    agent: str | None
    outcome: str
    how: str
    reason: str
    why_right: str = ""
    fingerprint: str = ""
    doubted: str | None = None
    confidence: float | None = None
    latency_ms: float = 0.0
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0

    @property
    def is_right(self) -> bool:
        """Whether the right agent got it, or nobody where nobody should."""
        return self.agent == self.answer

    @property
    def is_choice_right(self) -> bool:
        """Whether the right agent was chosen, acted on or not: what `confidence` is about."""
        return (self.agent or self.doubted) == self.answer

    @staticmethod
    def from_json(said: dict[str, Any]) -> Result:
        """Read back what `asdict` wrote.

        Raises:
            TypeError: it is something else.
        """
        return Result(**said)


async def run(
    examples: Sequence[Example],
    router: Router,
    model: ChatModel | None,
    *,
    concurrency: int = 8,
    clock: Callable[[], float] = time.perf_counter,
    on_done: Callable[[], None] = lambda: None,
) -> list[Result]:
    """Decide on each example; the results in the same order.

    Args:
        examples: the data set.
        router: decides.
        model: answers its questions; None leaves them without an answer, as in an outage.
        concurrency: questions under way at the same time.
        clock: seconds.
        on_done: is told after each example.

    Raises:
        ConfigurationError: the key or the model's name is wrong.
    """
    slots = asyncio.Semaphore(concurrency)

    async def one(example: Example) -> Result:
        async with slots:
            began = clock()
            decision = await _decide(example, router, model)
            result = _result(example, decision, (clock() - began) * 1000)
        on_done()
        return result

    return await asyncio.gather(*(one(example) for example in examples))


async def _decide(example: Example, router: Router, model: ChatModel | None) -> Decision:
    message = Envelope(
        id=example.id,
        source="/evaluation",
        event_type=example.event_type,
        workflow_id=example.id,
        payload=example.payload,
        time=_WHEN,
    )
    prepared = router.prepare(message, Counters(step=1), _WHEN)
    if isinstance(prepared, Decision):
        return prepared
    return await _answered(message, prepared, router, model)


async def _answered(message: Envelope, question: ModelQuestion, router: Router, model: ChatModel | None) -> Decision:
    try:
        if model is None:
            raise ModelUnavailableError("no model is asked in this run")
        return router.conclude(question, await model.complete(question.request))
    except ModelUnavailableError as error:
        return router.stand_in(message, question) or router.conclude_failure(question, error)
    except ModelAnswerError as error:
        return router.conclude_failure(question, error)


def _confidence(decision: Decision) -> float | None:
    if decision.local_call:
        return decision.local_call.confidence
    # An answer of no use chose nobody, however sure it was.
    if decision.model_call is None or decision.reason_code in _OF_NO_USE:
        return None
    return decision.model_call.confidence


def _doubted(decision: Decision) -> str | None:
    call = decision.model_call
    if decision.reason_code != "low_confidence" or call is None or not call.opinions:
        return None
    return call.opinions[-1].choice


def _result(example: Example, decision: Decision, latency_ms: float) -> Result:
    call = decision.model_call
    return Result(
        id=example.id,
        category=example.category,
        answer=example.answer,
        # Approval is a person's matter; what was chosen is what is judged.
        agent=decision.agent or decision.proposed,
        outcome=decision.outcome.value,
        how=decision.how.value,
        reason=decision.reason,
        why_right=example.reason,
        fingerprint=example.fingerprint,
        doubted=_doubted(decision),
        confidence=_confidence(decision),
        latency_ms=latency_ms,
        model=call.model if call else "",
        input_tokens=call.input_tokens if call else 0,
        output_tokens=call.output_tokens if call else 0,
        cost_usd=call.cost_usd if call else 0.0,
    )
