"""Another model answers while the first is not available, and only then."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pointsman.errors import ConfigurationError, ModelAnswerError, ModelUnavailableError
from pointsman.models import ChatRequest
from pointsman.models.factory import chat_model
from pointsman.models.fallback import Fallback, FallbackModel
from pointsman.models.offline.faults import Faults
from pointsman.models.offline.server import start
from pointsman.settings import Settings
from pointsman.testing import ScriptedAnswer, ScriptedModel

REQUEST = ChatRequest(system="s", user="u", schema={"type": "object"}, model="asked for")
DOWN = ModelUnavailableError("the first is down", 30.0)


def models(*scripts: Iterable[ScriptedAnswer]) -> tuple[FallbackModel, list[ScriptedModel]]:
    scripted = [ScriptedModel(script) for script in scripts]
    fallbacks = [Fallback(name=f"fallback {number}", model=model) for number, model in enumerate(scripted[1:], 1)]
    return FallbackModel(scripted[0], fallbacks), scripted


async def test_while_the_first_answers_nobody_else_is_asked() -> None:
    model, (first, second) = models([{"a": 1}], [])
    answer = await model.complete(REQUEST)
    assert (answer.content, answer.is_fallback) == ({"a": 1}, False)
    assert [request.model for request in first.requests] == ["asked for"]
    assert second.requests == []


async def test_the_next_one_that_is_available_answers_under_its_own_name() -> None:
    model, (_, second, third) = models([DOWN], [ModelUnavailableError("down too")], [{"a": 3}])
    answer = await model.complete(REQUEST)
    assert (answer.content, answer.is_fallback) == ({"a": 3}, True)
    assert [request.model for request in (*second.requests, *third.requests)] == ["fallback 1", "fallback 2"]


@pytest.mark.parametrize("error", [ModelAnswerError("refused"), ConfigurationError("no key")])
async def test_an_answer_of_no_use_and_a_wrong_key_are_not_passed_on(error: Exception) -> None:
    model, (_, second) = models([error], [{}])
    with pytest.raises(type(error)):
        await model.complete(REQUEST)
    assert second.requests == []


@pytest.mark.parametrize(("second", "soonest"), [(5.0, 5.0), (60.0, 30.0), (None, None)])
async def test_where_nobody_answers_the_error_says_when_the_first_may_be_back(
    second: float | None, soonest: float | None
) -> None:
    model, _ = models([DOWN], [ModelUnavailableError("down too", second)])
    with pytest.raises(ModelUnavailableError, match="the first is down") as caught:
        await model.complete(REQUEST)
    assert caught.value.retry_after_s == soonest


async def test_a_fallback_that_is_set_up_wrongly_is_passed_over() -> None:
    model, _ = models([DOWN, DOWN], [ConfigurationError("404")] * 2, [{"a": 3}, DOWN])
    assert (await model.complete(REQUEST)).is_fallback
    with pytest.raises(ModelUnavailableError):
        await model.complete(REQUEST)


async def test_a_server_at_another_address_stands_in_while_nobody_listens_at_the_first() -> None:
    faults = Faults()
    runner, port = await start("127.0.0.1", 0, faults)
    told = Settings(
        openai_base_url="http://127.0.0.1:9/v1", model_attempts=1, model_breaker_failures=1,
        model_fallbacks=[f"stand-in@http://127.0.0.1:{port}/v1"],
    )  # fmt: skip
    model = chat_model(told)
    schema = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}}, "required": ["mood"]}
    for _ in range(2):
        answer = await model.complete(ChatRequest(system="Say the mood.", user="{}", schema=schema))
        assert (answer.is_fallback, "offline" in answer.model) == (True, True)
    assert faults.calls == 2
    await model.close()
    await runner.cleanup()
