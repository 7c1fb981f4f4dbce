"""How sure a choice is: from log-probabilities, from agreement, from a second model; and what comes of one in doubt."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pointsman.catalog import Catalog
from pointsman.cli.main import app
from pointsman.decision_log import LoggedDecision, Place
from pointsman.errors import ConfigurationError, ModelAnswerError, ModelRefusedError, ModelUnavailableError
from pointsman.evaluation.running import Result
from pointsman.evaluation.runs import Run, save_run
from pointsman.evaluation.thresholds import as_option, proposals
from pointsman.models.confidence import value_confidence
from pointsman.models.openai_chat import OpenAIChatModel, OpenAIOptions
from pointsman.models.opinions import AGREE, DIFFER, OpinionsModel
from pointsman.models.port import ChatAnswer, ChatRequest, Doubt, Opinion
from pointsman.replay import Replay
from pointsman.routing.confidence import doubt_of, thresholds
from pointsman.routing.decision import Outcome
from pointsman.routing.limits import Counters
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router, RoutingOptions
from tests.logged import chooses, decided, entry, scored
from tests.unit.test_routing_router import NOW, definition, message

DOUBT = Doubt(field="agent", thresholds={"": 0.7, "careful": 0.95, "none": 0.0}, second_model="strong")
REQUEST = ChatRequest(system="s", user="u", schema={}, model="cheap", doubt=DOUBT)


def answer(choice: str, confidence: float | None = None, model: str = "cheap") -> ChatAnswer:
    return ChatAnswer(
        content={"agent": choice, "reason": "r"}, raw=json.dumps({"agent": choice, "reason": "r"}), model=model,
        input_tokens=10, output_tokens=2, latency_ms=1.0, cost_usd=0.5, confidence=confidence,
    )  # fmt: skip


class Scripted:
    """Answers in turn; an exception is raised."""

    def __init__(self, *answers: ChatAnswer | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        self.asked.append(request)
        said = self.answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    async def close(self) -> None:
        self.asked.clear()


async def asked(request: ChatRequest, *answers: ChatAnswer | Exception) -> tuple[ChatAnswer, list[ChatRequest]]:
    scripted = Scripted(*answers)
    return await OpinionsModel(scripted).complete(request), scripted.asked


def test_the_tokens_of_the_value_and_no_others_say_how_sure_it_is() -> None:
    tokens = [
        ('{"', -3.0),
        ("agent", -2.0),
        ('":"', -1.0),
        ("lead", -0.1),
        ("_scoring", -0.2),
        ('","reason":"x"}', -9.0),
    ]
    assert value_confidence(tokens, "agent") == pytest.approx(math.exp(-0.3))


@pytest.mark.parametrize("text", ["", "{}", '{"agent":', '{"agent":"cut', '{"agent":7}', '{"other":"warm"}'])
def test_where_there_is_no_value_nobody_knows(text: str) -> None:
    assert value_confidence([(text, -0.1)], "agent") is None


@given(st.lists(st.tuples(st.text(max_size=8), st.floats()), max_size=12))
def test_it_is_a_probability_or_unknown_whatever_the_server_says(tokens: list[tuple[str, float]]) -> None:
    found = value_confidence([*tokens, ('{"agent":"w"}', -0.5)], "agent")
    assert found is None or 0 <= found <= 1


async def test_who_does_not_doubt_is_asked_once_and_nothing_is_added() -> None:
    said = answer("warm", 0.1)
    assert await asked(replace(REQUEST, doubt=None), said) == (said, [replace(REQUEST, doubt=None)])


async def test_a_sure_choice_counts_and_is_noted() -> None:
    got, calls = await asked(REQUEST, answer("warm", 0.9))
    assert len(calls) == 1
    assert (got.confidence, got.opinions) == (0.9, (Opinion(model="cheap", choice="warm", confidence=0.9),))


@pytest.mark.parametrize(
    ("second", "confidence"),
    [
        (answer("cold", 0.8, "strong"), 0.8), (answer("warm", None, "strong"), AGREE),
        (answer("cold", None, "strong"), DIFFER),
    ],
)  # fmt: skip
async def test_a_choice_in_doubt_is_asked_of_the_second_model(second: ChatAnswer, confidence: float) -> None:
    got, calls = await asked(REQUEST, answer("warm", 0.6), second)
    assert [call.model for call in calls] == ["cheap", "strong"]
    assert (got.content["agent"], got.model, got.confidence) == (second.content["agent"], "strong", confidence)
    assert [each.confidence for each in got.opinions] == [0.6, confidence]
    assert (got.input_tokens, got.completions, got.cost_usd) == (20, 2, 1.0)


async def test_the_threshold_is_that_of_the_agent_that_was_chosen() -> None:
    got, calls = await asked(REQUEST, answer("careful", 0.9), answer("careful", 0.97, "strong"))
    assert (len(calls), got.confidence) == (2, 0.97)
    assert len((await asked(REQUEST, answer("none", 0.1)))[1]) == 1


NOTHING_SAID = (
    ModelUnavailableError("down"),
    ModelAnswerError("rubbish", answer("x")),
    ModelRefusedError("the content filter declined", answer("x")),
    TimeoutError(),
)


@pytest.mark.parametrize("failure", NOTHING_SAID)
async def test_where_the_second_model_says_nothing_the_doubt_remains(failure: Exception) -> None:
    got, _ = await asked(REQUEST, answer("warm", 0.6), failure)
    assert (got.content["agent"], got.confidence, len(got.opinions)) == ("warm", 0.6, 1)


@pytest.mark.parametrize(("again", "confidence"), [("warm", AGREE), ("cold", DIFFER)])
async def test_where_the_server_does_not_say_how_sure_it_is_two_answers_do(again: str, confidence: float) -> None:
    got, calls = await asked(replace(REQUEST, doubt=replace(DOUBT, second_model=None)), answer("warm"), answer(again))
    assert [call.temperature for call in calls] == [0.0, 1.0]
    assert (got.content["agent"], got.confidence) == ("warm", confidence)
    assert [each.choice for each in got.opinions] == [again, "warm"]
    assert got.opinions[-1].confidence == confidence


async def test_who_wants_one_answer_only_has_an_unknown_confidence_hold_nothing_up() -> None:
    got, calls = await asked(replace(REQUEST, doubt=replace(DOUBT, samples=1)), answer("warm"))
    assert (len(calls), got.confidence, got.content["agent"]) == (1, None, "warm")


@pytest.mark.parametrize("failure", NOTHING_SAID)
async def test_a_second_answer_that_does_not_come_leaves_it_unknown(failure: Exception) -> None:
    got, calls = await asked(REQUEST, answer("warm"), failure)
    assert (len(calls), got.confidence, got.content["agent"]) == (2, None, "warm")


async def test_a_second_answer_of_no_use_is_paid_for() -> None:
    first, useless = answer("warm"), answer("x")
    got, _ = await asked(REQUEST, first, ModelAnswerError("rubbish", useless))
    assert got.input_tokens == first.input_tokens + useless.input_tokens > first.input_tokens


async def test_a_second_answer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Scripted):
        async def complete(self, request: ChatRequest) -> ChatAnswer:
            if self.asked:
                await asyncio.Event().wait()
            return await super().complete(request)

    monkeypatch.setattr("pointsman.models.opinions._WITHIN_S", 0.01)
    got = await OpinionsModel(Slow(answer("warm"))).complete(REQUEST)
    assert (got.content["agent"], got.confidence) == ("warm", None)


@pytest.mark.parametrize("thresholds", [{"": 0.7, "none": 0.0}, {"": 0.0, "careful": 0.9}])
async def test_a_choice_that_needs_no_certainty_costs_no_second_call(thresholds: dict[str, float]) -> None:
    got, calls = await asked(replace(REQUEST, doubt=replace(DOUBT, thresholds=thresholds)), answer("none"))
    assert (len(calls), got.confidence, got.opinions) == (1, None, ())


async def test_without_any_threshold_it_is_noted_how_sure_each_choice_is() -> None:
    noted = replace(REQUEST, doubt=replace(DOUBT, thresholds={"": 0.0, "none": 0.0}))
    got, calls = await asked(noted, answer("warm"), answer("cold"))
    assert (len(calls), got.content["agent"], got.confidence) == (2, "warm", DIFFER)


async def test_a_server_that_refuses_log_probabilities_is_asked_without_from_then_on() -> None:
    refused, once = ModelAnswerError("the model server refused the request (400)"), replace(DOUBT, samples=1)
    scripted = Scripted(refused, answer("warm"), answer("warm"))
    model = OpinionsModel(scripted)
    for _ in range(2):
        assert (await model.complete(replace(REQUEST, doubt=once))).content["agent"] == "warm"
    assert [call.doubt for call in scripted.asked] == [once, None, None]


async def test_a_server_that_refuses_log_probabilities_is_asked_for_two_answers() -> None:
    refused = ModelAnswerError("the model server refused the request (400)")
    got, calls = await asked(REQUEST, refused, answer("warm"), answer("warm"))
    assert (len(calls), got.confidence) == (3, AGREE)


async def test_log_probabilities_are_asked_for_and_read_over_http() -> None:
    seen: list[dict[str, Any]] = []

    async def completions(request: web.Request) -> web.Response:
        seen.append(await request.json())
        tokens = [
            {"token": '{"agent":"', "logprob": 0.0},
            {"token": "warm", "logprob": math.log(0.25)},
            {"token": '"}', "logprob": 0},
        ]
        choice = {"message": {"content": '{"agent":"warm"}'}, "finish_reason": "stop", "logprobs": {"content": tokens}}
        return web.json_response({"model": "m", "choices": [choice], "usage": {}})

    server = web.Application()
    server.router.add_post("/v1/chat/completions", completions)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    schema = {"type": "object", "properties": {"agent": {"type": "string"}}, "required": ["agent"]}
    model = OpenAIChatModel("k", OpenAIOptions(model="m", base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1"))
    try:
        got = await model.complete(ChatRequest(system="s", user="u", schema=schema, doubt=DOUBT))
        plain = await model.complete(ChatRequest(system="s", user="u", schema=schema))
    finally:
        await model.close()
        await runner.cleanup()
    assert [body.get("logprobs") for body in seen] == [True, None]
    assert got.confidence == pytest.approx(0.25)
    assert plain.confidence is None


def routed(options: RoutingOptions, confidence: float | None) -> tuple[Router, ModelQuestion, Any]:
    router = Router(Catalog.of([definition("warm"), definition("cold")]), options)
    question = router.prepare(message(), Counters(step=1), NOW)
    assert isinstance(question, ModelQuestion)
    return router, question, router.conclude(question, answer("warm", confidence))


def test_a_choice_that_stays_in_doubt_is_left_to_a_person_with_everything_on_record() -> None:
    _, _, decision = routed(RoutingOptions(confidence="0.7"), 0.61)
    assert (decision.outcome, decision.reason_code, decision.agent) == (Outcome.ABSTAINED, "low_confidence", None)
    assert decision.reason == "the model is 0.61 sure of warm (needs 0.70): r"
    assert decision.model_call.confidence == 0.61


def test_the_log_has_each_opinion_with_its_model_choice_and_confidence() -> None:
    opinions = (
        Opinion(model="cheap", choice="cold", confidence=0.4),
        Opinion(model="strong", choice="warm", confidence=None),
    )
    doubted = chooses("warm", confidence=0.5, opinions=opinions)
    value = entry(decided(scored(), doubted, options=RoutingOptions(confidence="0.7"))).value
    assert json.loads(value or b"")["model_call"]["opinions"] == [
        {"model": "cheap", "choice": "cold", "confidence": 0.4},
        {"model": "strong", "choice": "warm", "confidence": None},
    ]


@pytest.mark.parametrize(("confidence", "known"), [("", 0.1), ("0.7", 0.7), ("0.7", None), ("0.9,warm=0.5", 0.6)])
def test_a_sure_or_unknown_choice_is_routed(confidence: str, known: float | None) -> None:
    assert routed(RoutingOptions(confidence=confidence), known)[2].agent == "warm"


@pytest.mark.parametrize("confidence", [0.61, 0.9])
def test_the_decision_can_be_made_again_from_the_log(confidence: float) -> None:
    router, _, decision = routed(RoutingOptions(confidence="0.7"), confidence)
    sent = message()
    entry = {
        **json.loads(json.dumps(decision.to_json(), default=str)), "event_type": sent.event_type,
        "inputs": json.loads(json.dumps(router.inputs(sent, Counters(step=1), NOW), default=str)),
    }  # fmt: skip
    logged = LoggedDecision(value=entry, place=Place(topic="agent_decisions", partition=0, offset=0))
    replay = Replay({router.catalog.version: router.catalog})
    assert replay.differences(logged, sent.to_record("agent_messages")) == []


def test_thresholds_are_read_by_agent_with_one_for_all_others() -> None:
    assert thresholds("0.7, lead_scoring=0.85") == {"": 0.7, "lead_scoring": 0.85}
    assert thresholds("lead_scoring=0.85") == {"": 0.0, "lead_scoring": 0.85}
    doubt = doubt_of("0.7", "", 1)
    assert doubt is not None
    assert (doubt.needed("x"), doubt.needed("none"), doubt.second_model, doubt.samples) == (0.7, 0.0, None, 1)


@pytest.mark.parametrize("text", ["x", "1.5", "-1", "0.5,", "a=b", "nan"])
def test_what_is_no_threshold_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no threshold of confidence"):
        thresholds(text)


def results(*said: tuple[str, float, bool]) -> Sequence[Result]:
    return [
        Result(
            id=str(number), category="", answer=agent if is_right else "other", agent=agent, outcome="routed",
            how="model", reason="r", confidence=confidence,
        )
        for number, (agent, confidence, is_right) in enumerate(said)
    ]  # fmt: skip


def test_the_lowest_threshold_that_reaches_the_accuracy_is_proposed() -> None:
    run = results(("a", 0.99, True), ("a", 0.9, True), ("a", 0.8, False), ("b", 0.7, True), ("b", 0.2, False))
    [found] = proposals(run, 0.75)
    assert (found.threshold, str(found.acted_on), str(found.right)) == (0.7, "80.0% (4/5)", "75.0% (3/4)")
    assert as_option([found]) == "0.700"


def test_choices_of_the_same_confidence_are_taken_together() -> None:
    [found] = proposals(results(("a", 0.9, True), ("a", 0.9, False), ("a", 0.5, True)), 1.0)
    assert found.threshold is None
    assert as_option([found]) == "1.000"


def test_an_agent_that_is_chosen_often_gets_a_threshold_of_its_own(tmp_path: Path) -> None:
    run = results(*(("often", 0.5 + n / 100, n >= 10) for n in range(30)), ("rare", 0.9, True))
    path = tmp_path / "run.json"
    save_run(Run(dataset="d", decider="m", catalog="c", results=run), path)
    shown = CliRunner().invoke(app, ["eval", "threshold", str(path), "--accuracy", "1"])
    assert shown.exit_code == 0, shown.output
    assert "pointsman job upgrade --confidence 0.600,often=0.600" in shown.output
