"""What costs nothing twice: kept answers, and a strong model only in doubt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from pointsman.definitions import AgentDefinition
from pointsman.errors import ModelAnswerError, ModelUnavailableError, StoreUnavailableError
from pointsman.models import ChatModel, ChatRequest
from pointsman.models.cached import COLLECTION, CachedModel, cache_key
from pointsman.models.port import ToolOffer
from pointsman.runtime.metering import MeteredModel, measured
from pointsman.runtime.model_choice import chosen_model
from pointsman.store import Document
from pointsman.testing import InMemoryStore, ManualClock, ScriptedModel

SCHEMA = {"type": "object", "required": ["mood"], "properties": {"mood": {"type": "string"}}}
ASKED = ChatRequest(system="Say the mood.", user='{"text": "fine"}', schema=SCHEMA)
PLAIN: dict[str, Any] = {
    "name": "mood", "version": "1.0.0", "description": "Moods.", "instructions": "Say the mood.",
    "accepts": [{"type": "mood.asked", "contract": {"type": "object"}}],
    "emits": [{"type": "mood.told", "contract": {"type": "object"}, "terminal": True}],
}  # fmt: skip


def cached(model: ChatModel, store: InMemoryStore, clock: ManualClock | None = None) -> CachedModel:
    return CachedModel(model=model, store=store, ttl_s=60, asked=("m",), now=clock or ManualClock())


async def test_the_same_question_is_asked_once_and_counts_once() -> None:
    model, store = ScriptedModel([{"mood": "good"}]), InMemoryStore()
    asking = cached(MeteredModel(model), store)
    with measured() as meter:
        first, again = await asking.complete(ASKED), await asking.complete(ASKED)
    assert (first.content, first.is_cached) == (again.content, False)
    assert (again.is_cached, again.completions, again.input_tokens, again.cost_usd) == (True, 0, 0, 0.0)
    assert meter.used.calls == 1


async def test_what_was_asked_with_tools_at_hand_is_not_kept() -> None:
    model, store = ScriptedModel([{"mood": "good"}, {"mood": "bad"}]), InMemoryStore()
    asked = replace(ASKED, tools=(ToolOffer(name="weather", description="The weather.", parameters={}),))
    assert (await cached(model, store).complete(asked)).content == {"mood": "good"}
    assert (await cached(model, store).complete(asked)).content == {"mood": "bad"}
    assert await store.count(COLLECTION, {}) == 0


async def test_an_answer_is_kept_no_longer_than_declared() -> None:
    clock, store = ManualClock(), InMemoryStore()
    asking = cached(ScriptedModel([{"mood": "good"}, {"mood": "bad"}]), store, clock)
    await asking.complete(ASKED)
    clock.advance(59)
    assert (await asking.complete(ASKED)).content == {"mood": "good"}
    clock.advance(1)
    assert (await asking.complete(ASKED)).content == {"mood": "bad"}


@pytest.mark.parametrize(
    "changed",
    [
        replace(ASKED, system="Say it."), replace(ASKED, user="{}"), replace(ASKED, schema={"type": "object"}),
        replace(ASKED, temperature=0.5), replace(ASKED, max_output_tokens=5),
    ],
)  # fmt: skip
def test_whatever_the_answer_depends_on_makes_another_question(changed: ChatRequest) -> None:
    assert cache_key(changed, ("m",)) != cache_key(ASKED, ("m",))
    assert cache_key(ASKED, ("other",)) != cache_key(ASKED, ("m",))
    assert cache_key(replace(ASKED, priority=9, timeout_s=1.0), ("m",)) == cache_key(ASKED, ("m",))


async def test_an_answer_that_is_of_no_use_or_of_a_stand_in_is_not_kept() -> None:
    class StandIn(ScriptedModel):
        async def complete(self, request: ChatRequest) -> Any:
            return replace(await super().complete(request), is_fallback=True)

    store = InMemoryStore()
    with pytest.raises(ModelAnswerError):
        await cached(ScriptedModel([ModelAnswerError("no")]), store).complete(ASKED)
    await cached(StandIn([{"mood": "good"}]), store).complete(ASKED)
    assert await store.count(COLLECTION, {}) == 0


async def test_a_kept_answer_that_breaks_the_schema_is_asked_for_again() -> None:
    store = InMemoryStore()
    asking = cached(ScriptedModel([{"mood": "good"}, {"mood": "good"}]), store)
    await asking.complete(ASKED)
    await store.update_if(COLLECTION, cache_key(ASKED, ("m",)), {}, {"content": {"mood": 7}})
    assert not (await asking.complete(ASKED)).is_cached


async def test_a_store_that_is_away_costs_a_call_and_nothing_else() -> None:
    class Away(InMemoryStore):
        async def get(self, collection: str, key: str) -> Document | None:
            raise StoreUnavailableError("away")

        async def put(self, collection: str, document: Document) -> None:
            raise StoreUnavailableError("away")

    asking = cached(ScriptedModel([{"mood": "good"}]), Away())
    assert (await asking.complete(ASKED)).content == {"mood": "good"}


def chosen(script: list[Any], **changes: Any) -> tuple[ChatModel, ScriptedModel]:
    model = ScriptedModel(script)
    definition = AgentDefinition.model_validate({**PLAIN, **changes})
    return chosen_model(definition, model, InMemoryStore(), "cheap", ManualClock()), model


async def test_the_strong_model_is_asked_where_the_answer_is_of_no_use() -> None:
    asking, model = chosen([ModelAnswerError("no"), {"mood": "good"}], model={"strong": "big"})
    assert (await asking.complete(ASKED)).content == {"mood": "good"}
    assert [request.model for request in model.requests] == [None, "big"]


@pytest.mark.parametrize(
    ("said", "asked"),
    [({"mood": "x", "confidence": 0.4}, 2), ({"mood": "x", "confidence": 0.6}, 1), ({"mood": "x"}, 1)],
)
async def test_the_strong_model_is_asked_where_the_answer_is_not_sure(said: dict[str, Any], asked: int) -> None:
    asking, model = chosen([said, {"mood": "sure"}], model={"strong": "big", "doubt_below": 0.6})
    answer = await asking.complete(ASKED)
    assert len(model.requests) == asked
    assert answer.content["mood"] == ("sure" if asked == 2 else "x")


async def test_an_outage_is_no_doubt() -> None:
    asking, model = chosen([ModelUnavailableError("away")], model={"strong": "big"})
    with pytest.raises(ModelUnavailableError):
        await asking.complete(ASKED)
    assert len(model.requests) == 1


async def test_what_the_strong_model_said_is_kept_too() -> None:
    script = [ModelAnswerError("no"), {"mood": "good"}]
    asking, model = chosen(script, model={"strong": "big"}, cache={"ttl_s": 60}, purpose="score")
    assert await asking.complete(ASKED)
    assert (await asking.complete(ASKED)).is_cached
    assert len(model.requests) == 2


def test_an_agent_that_declares_nothing_asks_the_model_itself() -> None:
    asking, model = chosen([])
    assert asking is model


@pytest.mark.parametrize("purpose", [None, "write", "act"])
def test_what_is_written_to_people_or_acts_is_never_cached(purpose: str | None) -> None:
    with pytest.raises(ValidationError, match="made anew each time"):
        AgentDefinition.model_validate({**PLAIN, "cache": {"ttl_s": 60}, "purpose": purpose})


@pytest.mark.parametrize(
    "changes", [{"cache": {"ttl_s": 604_801}, "purpose": "score"}, {"model": {"doubt_below": 0.5}}]
)
def test_a_cache_without_end_and_doubt_without_a_stronger_model_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AgentDefinition.model_validate({**PLAIN, **changes})
