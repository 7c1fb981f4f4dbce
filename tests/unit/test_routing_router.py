"""The order of the decision, without a model."""

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
from pointsman.errors import ModelAnswerError, ModelUnavailableError
from pointsman.models import ChatAnswer
from pointsman.routing import Counters, Decision, Method, ModelQuestion, Outcome, Router, RoutingOptions
from pointsman.workflow_limits import LimitsByType

SCORE = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
ANYTHING = {"type": "object"}
NOW = datetime(2030, 1, 2, tzinfo=UTC)
FOUR_STEPS = LimitsByType({"default": {"steps": 4}}).to_json()


def definition(name: str, **fields: Any) -> AgentDefinition:
    return AgentDefinition.model_validate(
        {
            "name": name,
            "version": "1.0.0",
            "description": f"What {name} is for.",
            "accepts": [{"type": "parcel.weighed", "contract": SCORE}],
            "emits": [
                {"type": "parcel.sent", "contract": ANYTHING, "terminal": True},
                {"type": "parcel.weighed", "contract": ANYTHING},
            ],
            **fields,
        }
    )


def message(payload: dict[str, Any] | None = None, **fields: Any) -> Envelope:
    plain = Envelope(
        id="m-1",
        source="/connectors/scale",
        event_type="parcel.weighed",
        workflow_id="w-1",
        payload={"score": 7} if payload is None else payload,
        time=datetime(2030, 1, 1, tzinfo=UTC),
    )
    return replace(plain, **fields)


def router(*definitions: AgentDefinition, **options: Any) -> Router:
    return Router(Catalog.of(definitions, sequence=3), RoutingOptions(**options))


def decide(to: Router, what: Envelope, step: int = 1, **counted: Any) -> Decision:
    decision = to.prepare(what, Counters(step=step, **counted), NOW)
    assert isinstance(decision, Decision)
    return decision


def ask(to: Router, what: Envelope) -> ModelQuestion:
    question = to.prepare(what, Counters(step=1), NOW)
    assert isinstance(question, ModelQuestion)
    return question


def answer(**content: Any) -> ChatAnswer:
    return ChatAnswer(
        content=content, raw="the raw answer", model="m", input_tokens=11, output_tokens=3, latency_ms=2.5, attempts=2
    )


def test_the_only_agent_whose_contract_fits_gets_the_message_without_a_model_call() -> None:
    strict = definition("strict", accepts=[{"type": "parcel.weighed", "contract": {**SCORE, "required": ["weight"]}}])
    decision = decide(router(definition("plain"), strict), message())
    assert (decision.outcome, decision.how, decision.agent) == (Outcome.ROUTED, Method.SINGLE_CANDIDATE, "plain")
    assert decision.agent_version == "1.0.0"
    assert {each.agent: each.fits for each in decision.candidates} == {"plain": True, "strict": False}
    assert "required" in next(each.why for each in decision.candidates if not each.fits)
    assert decision.catalog_sequence == 3


def test_more_steps_than_allowed_abstain() -> None:
    allowed = router(definition("plain"), limits=FOUR_STEPS)
    assert decide(allowed, message(), step=4).outcome is Outcome.ROUTED
    assert decide(allowed, message(), step=5).reason_code == "step_limit"


def test_an_agent_that_says_the_same_too_often_abstains() -> None:
    circle = router(definition("plain"))
    again = message(source="/agents/plain")
    assert decide(circle, again, visits=2).outcome is Outcome.ROUTED
    parked = decide(circle, again, visits=3)
    assert (parked.outcome, parked.reason_code) == (Outcome.ABSTAINED, "visit_limit")
    assert [each.agent for each in parked.candidates] == ["plain"]


def test_a_definition_may_allow_its_agent_to_repeat_itself() -> None:
    patient = router(definition("plain", limits={"max_visits": 5}))
    assert decide(patient, message(source="/agents/plain"), visits=5).outcome is Outcome.ROUTED
    assert decide(patient, message(source="/agents/plain"), visits=6).reason_code == "visit_limit"


def test_what_is_no_agent_may_say_the_same_as_often_as_it_likes() -> None:
    assert decide(router(definition("plain")), message(), visits=30).outcome is Outcome.ROUTED


def test_after_its_deadline_a_message_abstains() -> None:
    plain = router(definition("plain"))
    assert decide(plain, message(deadline=NOW)).outcome is Outcome.ROUTED
    assert decide(plain, message(deadline=NOW - timedelta(seconds=1))).reason_code == "deadline_passed"


def test_a_person_may_send_on_what_is_over_a_limit() -> None:
    strict = router(definition("plain"), limits=FOUR_STEPS)
    late = message(source="/operators/kim", deadline=NOW - timedelta(days=1))
    assert decide(strict, late, step=50, visits=9).agent == "plain"
    assert decide(strict, replace(late, target_agent="plain"), step=50).how is Method.OVERRIDE


def test_a_workflow_over_its_limits_may_still_be_completed() -> None:
    done = decide(
        router(definition("plain"), limits=FOUR_STEPS),
        message(event_type="parcel.sent"),
        step=5,
    )
    assert done.outcome is Outcome.COMPLETED


@pytest.mark.parametrize("source", ["/operators/kim", "/agents/plain"])
def test_nothing_of_a_cancelled_workflow_is_routed(source: str) -> None:
    decision = decide(router(definition("plain")), message(source=source, target_agent="plain"), is_cancelled=True)
    assert (decision.outcome, decision.reason_code, decision.agent) == (Outcome.COMPLETED, "cancelled", None)


@given(st.sampled_from(["/agents/plain", "/connectors/x"]), st.integers(1, 10**6), st.integers(1, 10**6))
def test_no_agent_gets_more_than_the_limits_allow(source: str, step: int, visits: int) -> None:
    decision = decide(
        router(definition("plain"), limits=FOUR_STEPS),
        message(source=source),
        step,
        visits=visits,
    )
    within = step <= 4 and (visits <= 2 or not source.startswith("/agents/"))
    assert (decision.outcome is Outcome.ROUTED) == within


def test_a_person_names_the_agent_and_no_model_is_asked() -> None:
    both = router(definition("one"), definition("two"))
    decision = decide(both, message(source="/operators/kim", target_agent="two"))
    assert (decision.how, decision.agent) == (Method.OVERRIDE, "two")


@pytest.mark.parametrize("target", ["two", "unknown"])
def test_a_person_names_an_agent_that_cannot_take_it_and_is_asked_again(target: str) -> None:
    one = definition("one", accepts=[{"type": "parcel.weighed", "contract": ANYTHING}])
    decision = decide(
        router(one, definition("two")), message({"score": "x"}, source="/operators/kim", target_agent=target)
    )
    assert (decision.outcome, decision.reason_code) == (Outcome.ABSTAINED, "override_impossible")


@pytest.mark.parametrize("source", ["/agents/one", "/connectors/x", "operators/kim", "/x/operators/kim"])
def test_nobody_but_a_person_may_name_the_agent(source: str) -> None:
    decision = decide(router(definition("one")), message(source=source, target_agent="two"))
    assert decision.agent == "one"
    assert "ignored" in decision.reason


def test_an_ignored_wish_is_noted_in_a_decision_of_the_model_too() -> None:
    both = router(definition("one"), definition("two"))
    question = ask(both, message(target_agent="two"))
    assert "ignored" in both.conclude(question, answer(agent="one", reason="It weighs.")).reason


def test_a_strict_rule_of_the_emitting_agent_decides() -> None:
    emits = [{"type": "parcel.weighed", "contract": ANYTHING, "next_agent": "two"}]
    scale = definition("scale", accepts=[{"type": "parcel.seen", "contract": ANYTHING}], emits=emits)
    rules = router(scale, definition("one"), definition("two"))
    decision = decide(rules, message(source="/agents/scale"))
    assert (decision.how, decision.agent) == (Method.RULE, "two")
    assert isinstance(rules.prepare(message(source="scale"), Counters(step=1), NOW), ModelQuestion)


def test_a_strict_rule_whose_agent_cannot_take_it_is_never_replaced_by_a_guess() -> None:
    emits = [{"type": "parcel.weighed", "contract": ANYTHING, "next_agent": "gone"}]
    scale = definition("scale", accepts=[{"type": "parcel.seen", "contract": ANYTHING}], emits=emits)
    decision = decide(router(scale, definition("one")), message(source="/agents/scale"))
    assert (decision.outcome, decision.reason_code) == (Outcome.ABSTAINED, "rule_impossible")


def test_a_terminal_type_that_nobody_accepts_completes() -> None:
    decision = decide(router(definition("plain")), message(event_type="parcel.sent"))
    assert decision.outcome is Outcome.COMPLETED


def test_a_type_that_nobody_lists_abstains() -> None:
    assert decide(router(definition("plain")), message(event_type="parcel.lost")).reason_code == "no_agent_accepts"
    assert decide(router(), message()).reason_code == "no_agent_accepts"


def test_a_payload_that_no_contract_takes_is_rejected_with_agent_place_and_rule_but_no_value() -> None:
    decision = decide(router(definition("plain")), message({"score": "kim@example.com"}))
    assert (decision.outcome, decision.reason_code) == (Outcome.REJECTED, "contract_violation")
    assert "plain: score breaks" in decision.reason
    assert "kim" not in str(decision.to_json())


def test_an_address_used_as_a_property_name_does_not_reach_the_reason() -> None:
    shut = definition(
        "shut", accepts=[{"type": "parcel.weighed", "contract": {"additionalProperties": {"type": "integer"}}}]
    )
    assert "kim" not in decide(router(shut), message({"kim@example.com": "x"})).reason


def test_an_agent_that_accepts_what_it_emits_may_get_its_own_message() -> None:
    assert decide(router(definition("plain")), message(source="/agents/plain")).agent == "plain"


def test_a_contract_that_is_no_schema_makes_its_agent_fall_out() -> None:
    broken = definition("broken", accepts=[{"type": "parcel.weighed", "contract": {"type": "no such type"}}])
    assert decide(router(broken, definition("plain")), message()).agent == "plain"


def test_always_asking_the_model_leaves_rules_and_people_alone() -> None:
    asking = router(definition("one"), always_ask_model=True)
    assert ask(asking, message()).request.schema["properties"]["agent"]["enum"] == ["one", "none"]
    assert decide(asking, message(source="/operators/kim", target_agent="one")).how is Method.OVERRIDE
    assert decide(asking, message({})).outcome is Outcome.REJECTED


def test_the_model_chooses_among_the_agents_that_fit() -> None:
    both = router(definition("one"), definition("two"))
    decision = both.conclude(ask(both, message()), answer(agent="two", reason=" It is heavy. "))
    assert (decision.outcome, decision.how, decision.agent) == (Outcome.ROUTED, Method.MODEL, "two")
    assert decision.reason == "It is heavy."
    assert decision.model_call is not None
    assert (decision.model_call.raw_answer, decision.model_call.attempts) == ("the raw answer", 2)
    assert len(decision.model_call.prompt_hash) == 64


@pytest.mark.parametrize("choice", ["two", "none", "nobody that exists"])
def test_a_decision_says_that_a_fallback_model_made_it(choice: str) -> None:
    both = router(definition("one"), definition("two"))
    given = replace(answer(agent=choice, reason="r"), model="stand-in", is_fallback=True)
    decision = both.conclude(ask(both, message()), given)
    assert decision.how is Method.FALLBACK_MODEL
    assert decision.model_call is not None
    assert decision.model_call.model == "stand-in"


def test_the_model_may_say_that_nobody_fits() -> None:
    both = router(definition("one"), definition("two"))
    decision = both.conclude(ask(both, message()), answer(agent="none", reason="Unclear."))
    assert (decision.outcome, decision.reason_code, decision.agent) == (Outcome.ABSTAINED, "none_fits", None)


@pytest.mark.parametrize("choice", ["three", "One", "one\n", " one", "", None, 1, ["one"], {"agent": "one"}])
def test_a_choice_outside_the_candidates_decides_nothing(choice: object) -> None:
    both = router(definition("one"), definition("two"))
    decision = both.conclude(ask(both, message()), answer(agent=choice, reason="r"))
    assert (decision.outcome, decision.reason_code, decision.agent) == (Outcome.ABSTAINED, "model_answer", None)
    assert decision.model_call is not None


def test_an_agent_that_fell_out_by_contract_cannot_be_chosen() -> None:
    strict = definition("strict", accepts=[{"type": "parcel.weighed", "contract": {**SCORE, "required": ["weight"]}}])
    asking = router(definition("plain"), strict, always_ask_model=True)
    decision = asking.conclude(ask(asking, message()), answer(agent="strict", reason="r"))
    assert decision.outcome is Outcome.ABSTAINED


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelUnavailableError("time-out"), "model_unavailable"),
        (ModelAnswerError("refused"), "model_answer"),
        (RuntimeError("kim@example.com"), "model_unavailable"),
    ],
)
def test_a_model_without_an_answer_abstains(error: Exception, code: str) -> None:
    both = router(definition("one"), definition("two"))
    decision = both.conclude_failure(ask(both, message()), error)
    assert (decision.outcome, decision.reason_code) == (Outcome.ABSTAINED, code)
    assert "kim" not in decision.reason


def test_a_question_is_concluded_with_the_catalog_that_made_it() -> None:
    question = ask(router(definition("one"), definition("two")), message())
    later = Router(Catalog.of([definition("other")], sequence=4))
    decision = later.conclude(question, answer(agent="one", reason="r"))
    assert (decision.agent, decision.catalog_sequence, decision.catalog) == ("one", 3, question.catalog)
