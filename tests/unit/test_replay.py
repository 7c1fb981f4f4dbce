"""What was decided comes out the same from the log alone, and otherwise when something has changed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pointsman.catalog import Catalog
from pointsman.decision_log import LoggedDecision, read_decision
from pointsman.envelope import Record
from pointsman.errors import ModelAnswerError, ModelUnavailableError
from pointsman.models.port import ChatAnswer
from pointsman.replay import CannotReplayError, Replay, inputs_of
from pointsman.routing.router import RoutingOptions
from pointsman.workflow_limits import LimitsByType
from tests.logged import CATALOG, START, agent, chooses, decided, entry, placed, scored, scorer

REPLAY = Replay({CATALOG.version: CATALOG})
TOLD = {"now": "2030-01-02T03:04:05+00:00", "is_terminal": False, "counters": {"step": 1}, "options": {}}
ONE = Catalog.of([agent("warm"), scorer()])


def logged(record: Record, *args: Any, **told: Any) -> LoggedDecision:
    found = read_decision(entry(decided(record, *args, **told)))
    assert found is not None
    return found


def changed(decision: LoggedDecision, **values: Any) -> LoggedDecision:
    return replace(decision, value={**decision.value, **values})


@pytest.mark.parametrize(
    "answer",
    [
        chooses("warm"),
        chooses("none"),
        chooses("nobody of that name", raw='{"agent": "warm", "reason": ""}'),
        chooses("warm", is_fallback=True),
        ModelUnavailableError("the model did not answer within 5 s"),
        ModelAnswerError("also after one repair: the answer was empty", chooses("warm", raw="{")),
        ModelAnswerError("the question has no usable schema"),
        KeyError("something unforeseen"),
    ],
)
def test_what_a_model_decided_comes_out_the_same_without_one(answer: ChatAnswer | Exception) -> None:
    if isinstance(answer, ChatAnswer):
        answer = replace(answer, content=json.loads(answer.raw))
    assert REPLAY.differences(logged(scored(), answer), scored()) == []


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (scored(payload={"score": 1}), {"is_cancelled": True}),
        (scored(), {"step": 101}),
        (scored(), {"visits": 3}),
        (scored(source="/agents/unheard_of"), {}),
        (scored(event_type="never.declared"), {}),
        (scored(deadline=START), {}),
        (scored(payload={}), {}),
        (scored(event_type="mail.sent"), {}),
        (scored(event_type="nobody.knows"), {}),
        (scored(source="/operators/ann", target_agent="warm"), {}),
        (scored(source="/operators/ann", target_agent="gone"), {}),
        (placed(Record(topic="agent_messages", key=None, value=b"\x00", headers={}), 4), {}),
        (placed(Record(topic="agent_messages", key=b"w", value=None, headers={}), 5), {}),
    ],
)
def test_what_no_model_decided_comes_out_the_same(record: Record, told: dict[str, Any]) -> None:
    assert REPLAY.differences(logged(record, **told), record) == []


def test_the_options_and_the_time_of_then_count() -> None:
    options = RoutingOptions(limits=LimitsByType({"default": {"steps": 5}}).to_json())
    decision = logged(scored(), step=6, options=options)
    assert decision.reason_code == "step_limit"
    assert REPLAY.differences(decision, scored()) == []
    late = scored(deadline=START + timedelta(seconds=2))
    assert REPLAY.differences(logged(late, chooses("warm"), step=1), late) == []


def test_what_a_removed_agent_declared_terminal_still_completes() -> None:
    gone = agent("gone")
    catalog = replace(ONE, retired={"gone": gone.model_copy(update={"emits": [gone.emits[0].model_copy(
        update={"type": "call.booked"})]})})  # fmt: skip
    record = scored(event_type="call.booked")
    decision = logged(record, catalog=catalog)
    assert decision.outcome == "completed"
    assert Replay({ONE.version: ONE}).differences(decision, record) == []


def test_what_a_removed_agent_said_is_as_good_as_then() -> None:
    catalog = replace(ONE, retired={"gone": scorer().model_copy(update={"name": "gone"})})
    record = scored(source="/agents/gone")
    decision = logged(record, catalog=catalog)
    assert decision.outcome == "routed"
    assert Replay({ONE.version: ONE}).differences(decision, record) == []


def test_what_was_refused_and_would_pass_is_a_difference() -> None:
    decision = logged(scored(source="/agents/unheard_of"))
    assert decision.reason_code == "undeclared_transition"
    assert [one.field for one in REPLAY.differences(decision, scored())]


@pytest.mark.parametrize(
    ("values", "field"),
    [({"agent": "cold"}, "agent"), ({"outcome": "abstained"}, "outcome"), ({"candidates": []}, "candidates")],
)
def test_a_log_that_says_something_else_is_a_difference(values: dict[str, Any], field: str) -> None:
    decision = changed(logged(scored(), chooses("warm")), **values)
    assert [one.field for one in REPLAY.differences(decision, scored())] == [field]


def test_another_message_makes_another_question() -> None:
    (found,) = REPLAY.differences(logged(scored(), chooses("warm")), scored(payload={"score": 2}))
    assert found.field == "prompt_hash"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"catalog": "gone"}, "catalog gone is not kept"),
        ({"inputs": None}, "does not hold what it was made from"),
        ({"inputs": {"now": "x"}}, "does not hold what it was made from"),
        ({"reason_code": "too_large"}, "too large for Kafka"),
        ({"inputs": {**TOLD, "by_plan": True}}, "its plan decided"),
    ],
)
def test_what_is_no_longer_there_is_said(values: dict[str, Any], why: str) -> None:
    with pytest.raises(CannotReplayError, match=why):
        REPLAY.differences(changed(logged(scored(), chooses("warm")), **values), scored())


def test_an_answer_too_large_for_the_log_cannot_be_replayed() -> None:
    decision = logged(scored(), chooses("warm"))
    left_out = {**(decision.model_call or {}), "raw_answer": {"left_out_bytes": 9, "sha256": "x"}}
    with pytest.raises(CannotReplayError, match="too large to be logged whole"):
        REPLAY.differences(changed(decision, model_call=left_out), scored())


def test_options_that_this_version_does_not_know_are_passed_over() -> None:
    decision = logged(scored(), chooses("warm"))
    told = decision.value["inputs"]
    later = changed(decision, inputs={**told, "options": {**told["options"], "of_a_later_version": 1}})
    assert inputs_of(later).options == RoutingOptions()
