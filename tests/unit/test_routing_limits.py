"""How far a workflow may go: every limit, what it lets pass, and who may go beyond it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.catalog import Catalog
from pointsman.definitions import AgentDefinition
from pointsman.envelope import Envelope
from pointsman.errors import ModelRefusedError
from pointsman.models import ChatAnswer
from pointsman.routing import Counters, Decision, Method, ModelQuestion, Outcome, Router, RoutingOptions
from pointsman.routing.limits import budget_left, excess
from pointsman.usage import Budget, Usage
from pointsman.workflow_limits import LimitsByType, WorkflowLimits

NOW = datetime(2030, 1, 2, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
LIMITS = WorkflowLimits(steps=9, hops=4, visits=2, fan_out=3, model_calls=5, tokens=600, cost_usd=0.7, age_h=8.0)
MESSAGE = Envelope(id="m", source="/agents/one", event_type="parcel.weighed", workflow_id="w", payload={}, time=NOW)


def agent(name: str, **fields: Any) -> AgentDefinition:
    anything = {"type": "object"}
    return AgentDefinition.model_validate(
        {
            "name": name,
            "version": "1.0.0",
            "description": f"What {name} is for.",
            "accepts": [{"type": "parcel.weighed", "contract": anything}],
            "emits": [{"type": "parcel.weighed", "contract": anything}],
            **fields,
        }
    )


def router(*definitions: AgentDefinition, **default: Any) -> Router:
    return Router(Catalog.of(definitions), RoutingOptions(limits=LimitsByType({"default": default}).to_json()))


def decide(to: Router, message: Envelope = MESSAGE, **counted: Any) -> Decision:
    made = to.prepare(message, Counters(step=1, **counted), NOW)
    assert isinstance(made, Decision)
    return made


def ask(to: Router, **counted: Any) -> ModelQuestion:
    asked = to.prepare(MESSAGE, Counters(step=1, **counted), NOW)
    assert isinstance(asked, ModelQuestion)
    return asked


def chose(name: str, **fields: Any) -> ChatAnswer:
    plain = ChatAnswer(
        content={"agent": name, "reason": "r"}, raw="", model="m", input_tokens=9, output_tokens=1, latency_ms=1.0
    )
    return replace(plain, **fields)


AT_THE_LIMIT = {
    "step_limit": (Counters(step=9), MESSAGE),
    "visit_limit": (Counters(step=1, visits=2), MESSAGE),
    "hop_limit": (Counters(step=1), replace(MESSAGE, hop=3)),
    "hop_limit by count": (Counters(step=4, chain=3), MESSAGE),
    "fan_out_limit": (Counters(step=1, fan_out=3), MESSAGE),
    "model_call_limit": (Counters(step=1, model_calls=5), MESSAGE),
    "token_limit": (Counters(step=1, model_tokens=600), MESSAGE),
    "cost_limit": (Counters(step=1, model_microusd=700_000), MESSAGE),
    "deadline_passed": (Counters(step=1, began_ms=NOW_MS - 8 * 3_600_000), MESSAGE),
}
OVER = {
    "step_limit": (Counters(step=10), MESSAGE),
    "visit_limit": (Counters(step=1, visits=3), MESSAGE),
    "hop_limit": (Counters(step=1), replace(MESSAGE, hop=4)),
    "hop_limit by count": (Counters(step=5, chain=4), MESSAGE),
    "fan_out_limit": (Counters(step=1, fan_out=4), MESSAGE),
    "model_call_limit": (Counters(step=1, model_calls=6), MESSAGE),
    "token_limit": (Counters(step=1, model_tokens=601), MESSAGE),
    "cost_limit": (Counters(step=1, model_microusd=700_001), MESSAGE),
    "deadline_passed": (Counters(step=1, began_ms=NOW_MS - 8 * 3_600_000 - 1), MESSAGE),
}


@pytest.mark.parametrize("code", AT_THE_LIMIT)
def test_what_a_limit_allows_passes_and_what_is_over_does_not(code: str) -> None:
    counters, message = AT_THE_LIMIT[code]
    assert excess(message, counters, NOW, LIMITS) is None
    counters, message = OVER[code]
    over = excess(message, counters, NOW, LIMITS)
    assert over is not None
    assert over.code == code.split()[0]


@pytest.mark.parametrize("code", OVER)
def test_a_persons_word_is_over_every_limit(code: str) -> None:
    counters, message = OVER[code]
    by_person = replace(message, source="/operators/kim", deadline=NOW - timedelta(days=1))
    assert excess(by_person, counters, NOW, LIMITS) is None
    assert budget_left(by_person, counters, LIMITS) == Budget()


def test_bounds_that_are_lifted_hold_nothing_back() -> None:
    lifted = LIMITS.model_copy(update={"model_calls": 0, "tokens": 0, "cost_usd": 0.0, "age_h": 0.0})
    for code in ("model_call_limit", "token_limit", "cost_limit", "deadline_passed"):
        counters, message = OVER[code]
        assert excess(message, counters, NOW, lifted) is None


def test_a_workflow_of_unknown_age_is_not_too_old() -> None:
    assert excess(MESSAGE, Counters(step=1, began_ms=0), NOW, LIMITS) is None


@given(
    st.integers(1, 20), st.integers(0, 8), st.integers(0, 8),
    st.builds(Usage, calls=st.integers(0, 9), input_tokens=st.integers(0, 900), cost_microusd=st.integers(0, 10**6)),
)  # fmt: skip
def test_nothing_is_routed_that_is_over_any_limit(step: int, hop: int, fan_out: int, used: Usage) -> None:
    one = router(agent("one"), **LIMITS.model_dump())
    counters = Counters(
        step=step, fan_out=fan_out, model_calls=used.calls, model_tokens=used.tokens, model_microusd=used.cost_microusd
    )
    made = one.prepare(replace(MESSAGE, hop=hop), counters, NOW)
    assert isinstance(made, Decision)
    within = (
        step <= 9 and hop < 4 and fan_out <= 3
        and used.calls <= 5 and used.tokens <= 600 and used.cost_microusd <= 700_000
    )  # fmt: skip
    assert (made.outcome is Outcome.ROUTED) == within
    if within:
        assert made.budget == LIMITS.budget.less(used)


def test_limits_are_those_of_the_type_that_began_the_workflow() -> None:
    limits = LimitsByType({"default": {"model_calls": 5}, "parcel.sent": {"model_calls": 50}})
    options = RoutingOptions(limits=limits.to_json())
    both = Router(Catalog.of([agent("one")]), options)
    assert decide(both, model_calls=6).reason_code == "model_call_limit"
    assert decide(both, model_calls=6, workflow_type="parcel.sent").agent == "one"


def test_the_agent_hears_what_is_left_after_the_routers_own_call() -> None:
    two = router(agent("one"), agent("two"), model_calls=5, tokens=100, cost_usd=1)
    question = ask(two, model_calls=2, model_tokens=40)
    made = two.conclude(question, chose("one", completions=2, cost_usd=0.25))
    assert made.budget == Budget(calls=1, tokens=50, cost_microusd=750_000)


def test_the_router_asks_no_model_when_nothing_is_left_for_it() -> None:
    two = router(agent("one"), agent("two"), model_calls=5)
    parked = decide(two, model_calls=5)
    assert (parked.outcome, parked.reason_code, parked.model_call) == (Outcome.ABSTAINED, "model_call_limit", None)
    assert decide(router(agent("one"), model_calls=5), model_calls=5).budget == Budget(
        calls=0, tokens=200_000, cost_microusd=500_000
    )


def test_a_refusal_of_the_model_goes_to_a_person() -> None:
    two = router(agent("one"), agent("two"))
    made = two.conclude_failure(ask(two), ModelRefusedError("it declined"))
    assert (made.outcome, made.reason_code) == (Outcome.ABSTAINED, "model_refused")


SHY = agent("shy", approval="required")


def test_an_agent_that_acts_only_with_approval_waits_for_a_person_however_it_was_chosen() -> None:
    alone = decide(router(SHY), replace(MESSAGE, source="/connectors/scale"))
    two = router(SHY, agent("one"))
    by_model = two.conclude(ask(two), chose("shy"))
    ruled = agent("one", emits=[{"type": "parcel.weighed", "contract": {}, "next_agent": "shy"}])
    by_rule = decide(router(ruled, SHY))
    for made, how in ((alone, Method.SINGLE_CANDIDATE), (by_model, Method.MODEL), (by_rule, Method.RULE)):
        assert (made.outcome, made.reason_code, made.how) == (Outcome.ABSTAINED, "approval_required", how)
        assert (made.agent, made.proposed, made.budget) == (None, "shy", None)
        assert made.reason.startswith("shy acts only with a person's approval")


def test_to_name_the_agent_is_to_approve() -> None:
    named = replace(MESSAGE, source="/operators/kim", target_agent="shy")
    assert (decide(router(SHY), named).agent, decide(router(SHY), named).proposed) == ("shy", None)
    assert decide(router(SHY), replace(named, target_agent=None)).reason_code == "approval_required"


def test_an_agent_that_needs_no_approval_is_not_held_back_by_one_that_does() -> None:
    two = router(SHY, agent("one"))
    assert two.conclude(ask(two), chose("one")).agent == "one"
