"""Nurture: a series that begins at once, goes on by the clock, and ends when the lead or its score says so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pointsman.envelope import Envelope
from pointsman.errors import (
    ConfigurationError,
    InvalidPayloadError,
    ModelAnswerError,
    ModelRefusedError,
    ModelUnavailableError,
)
from pointsman.models import ChatRequest
from pointsman.runtime.metering import MeteredModel
from pointsman.suppressions import SUPPRESSIONS, SuppressionReason, is_suppressed
from pointsman.testing import InMemoryStore, ManualClock
from tests import sdr

DAY_S = 86_400.0
NURTURE = {**sdr.SCORED, "score": 48, "next_step": "nurture", "profile": {**sdr.PROFILE, "source": "webinar"}}


def write(request: ChatRequest) -> dict[str, Any]:
    if request.schema_name == "mail_draft":
        return {**sdr.LETTER, "facts_used": [1]}
    return {"action": "continue", "reason": "nothing"}


def wish(action: str) -> Any:
    def answer(request: ChatRequest) -> dict[str, Any]:
        return {"action": action, "reason": "they said so"} if request.schema_name == "wish" else dict(sdr.LETTER)

    return answer


async def agent_with(script: Any = write, **more: Any) -> Any:
    store, clock = more.pop("store", None) or InMemoryStore(), more.pop("clock", None) or ManualClock()
    await store.put("profiles", sdr.PROFILE_DOCUMENT)
    return sdr.build(sdr.context("nurture_campaign", script, store=store, clock=clock, **more))


def scored(**changes: Any) -> Any:
    identity = changes.pop("id", "m-1")
    return sdr.message("lead.scored", {**NURTURE, **changes}, id=identity)


def noted(text: str = "please stop", *, lead_id: str = "lead-1") -> Any:
    return sdr.message("lead.activity_noted", {"lead_id": lead_id, "text": text}, id="m-9")


async def leave(agent: Any, days: float) -> Sequence[Envelope]:
    """Let the clock go `days` further, and let what is due leave."""
    now = agent.context.now.advance(days * DAY_S)
    due: Sequence[Envelope] = await agent.due(now)
    sdr.check(agent.context.definition, due)
    for message in due:
        await agent.emitted(message)
    return due


async def campaign(agent: Any) -> Any:
    return await agent.context.store.get("campaigns", "lead-1:nurture")


async def test_the_first_mail_leaves_at_once_and_the_rest_by_the_clock() -> None:
    agent = await agent_with()

    first = await sdr.answer(agent, scored())
    later = [await leave(agent, days) for days in (0, 4.9, 0.2, 8.8, 0.2, 100)]

    assert (first.event_type, first.payload["step"]) == ("campaign.drafted", 1)
    assert [[message.payload["step"] for message in due] for due in later] == [[], [], [2], [], [3], []]
    assert (await campaign(agent))["state"] == "finished"


async def test_a_day_lasts_as_long_as_the_setting_says() -> None:
    agent = await agent_with(nurture_day_s=1.0)
    await agent.handle(scored())

    assert [message.payload["step"] for message in await leave(agent, 6 / DAY_S)] == [2]


@pytest.mark.parametrize(
    ("profile", "sequence"),
    [
        ({"source": "webinar"}, "event"),
        ({"source": "trade fair hamburg"}, "event"),
        ({"source": "newsletter", "interest": "late deliveries"}, "delivery"),
        ({"source": "newsletter", "facts": [{"fact": "Wrote: our routes are long", "source": "form"}]}, "delivery"),
        ({"source": "newsletter", "facts": [{"fact": "Site text: routes", "source": "website"}]}, "general"),
        ({"source": "newsletter", "interest": "stock"}, "general"),
    ],
)
async def test_the_series_follows_origin_and_interest(profile: dict[str, Any], sequence: str) -> None:
    agent = await agent_with()

    await sdr.answer(agent, scored(profile={**sdr.PROFILE, **profile}))

    assert (await campaign(agent))["sequence"] == sequence


async def test_a_due_mail_is_a_message_of_the_leads_workflow_with_a_stable_id() -> None:
    agent = await agent_with()
    await agent.handle(scored())
    now = agent.context.now.advance(6 * DAY_S)

    (message,) = await agent.due(now)

    assert message.workflow_id == "lead-1"
    assert message.source == "/agents/nurture_campaign"
    assert message.causation_id == "m-1"
    agent.context.now.advance(120)
    (again,) = await agent.due(agent.context.now())
    assert (again.id, again.payload) == (message.id, message.payload)


async def test_a_later_mail_stays_in_the_trace_of_the_message_that_began_its_series() -> None:
    traced = replace(scored(), extra={"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    agent = await agent_with()
    await agent.handle(traced)

    (message,) = await leave(agent, 6)

    assert message.extra == traced.extra


async def test_a_series_that_began_before_traces_were_kept_goes_on() -> None:
    agent = await agent_with()
    await agent.handle(scored())
    kept = await campaign(agent)
    del kept["trace"]
    await agent.context.store.put("campaigns", kept)

    (message,) = await leave(agent, 6)

    assert (message.payload["step"], message.extra) == (2, {})


async def test_a_mail_that_was_not_committed_is_offered_again_without_a_second_draft() -> None:
    agent = await agent_with()
    await agent.handle(scored())
    now = agent.context.now.advance(6 * DAY_S)

    first = await agent.due(now)
    meanwhile = await agent.due(now)
    later = await agent.due(now + timedelta(seconds=120))

    assert [len(due) for due in (first, meanwhile, later)] == [1, 0, 1]
    assert len(sdr.requests(agent.context)) == 2


async def test_two_instances_do_not_both_take_a_due_mail() -> None:
    store, clock = InMemoryStore(), ManualClock()
    first, second = [await agent_with(store=store, clock=clock, instance=name) for name in ("1", "2")]
    await first.handle(scored())
    now = clock.advance(6 * DAY_S)

    due = await asyncio.gather(first.due(now), second.due(now))

    assert sorted(len(messages) for messages in due) == [0, 1]


async def test_an_instance_that_comes_back_takes_up_at_once_what_it_had_taken_and_nothing_else() -> None:
    store, clock = InMemoryStore(), ManualClock()
    killed = await agent_with(store=store, clock=clock)
    await killed.handle(scored())
    (taken,) = await killed.due(clock.advance(6 * DAY_S))

    other = await agent_with(store=store, clock=clock, instance="2")
    again = await agent_with(store=store, clock=clock)
    later = [await agent.due(clock.advance(1)) for agent in (other, again)]

    assert later == [[], [replace(taken, time=clock())]]
    for message in later[1]:
        await again.emitted(message)
    fresh = await agent_with(store=store, clock=clock)
    assert await fresh.due(clock.advance(1)) == [], "a step that left is nobody's, and the next is not due"


@pytest.mark.parametrize(
    ("collection", "document", "why"),
    [
        ("suppressions", {"_id": "mara.lind@nordhafen.example"}, "no more mail"),
        ("scores", {"_id": "lead-1", "next_step": "disqualify"}, "disqualified"),
        ("scores", {"_id": "lead-1", "next_step": "engage"}, "ready to talk"),
    ],
)
async def test_a_series_ends_when_the_lead_must_not_get_more(
    collection: str, document: dict[str, Any], why: str
) -> None:
    agent = await agent_with()
    await agent.handle(scored())
    await agent.context.store.put(collection, document)

    due = await leave(agent, 6)

    assert [message.event_type for message in due] == ["campaign.stopped"]
    assert why in due[0].payload["reason"]
    assert await leave(agent, 100) == []
    assert (await campaign(agent))["state"] == "stopped"


async def test_a_redelivery_gives_the_same_first_mail() -> None:
    agent = await agent_with()

    first = await sdr.answer(agent, scored())

    assert await sdr.answer(agent, scored()) == first
    assert len(sdr.requests(agent.context)) == 1


async def test_a_second_score_begins_no_second_series() -> None:
    agent = await agent_with()
    await agent.handle(scored())

    reply = await sdr.answer(agent, scored(id="m-2"))

    assert (reply.event_type, reply.payload["reason"]) == (
        "campaign.unchanged", "the series is running: 1 of 3 mails have left",
    )  # fmt: skip


async def test_a_wish_to_stop_ends_the_series_and_all_other_mail() -> None:
    agent = await agent_with(wish("stop"))
    await agent.handle(scored())

    reply = await sdr.answer(agent, noted())

    assert (reply.event_type, reply.payload["campaign_id"]) == ("campaign.stopped", "lead-1:nurture")
    assert await is_suppressed(agent.context.store, "mara.lind@nordhafen.example")
    assert await leave(agent, 100) == []


async def test_a_lead_without_a_series_can_ask_for_no_more_mail() -> None:
    agent = await agent_with(wish("stop"))

    reply = await sdr.answer(agent, noted())

    assert reply.event_type == "campaign.stopped"
    assert await is_suppressed(agent.context.store, "mara.lind@nordhafen.example")
    (entry,) = await agent.context.store.find(SUPPRESSIONS, {})
    assert entry["reason"] == SuppressionReason.ASKED.value


async def test_a_wish_to_wait_moves_the_rest_of_the_series_once() -> None:
    agent = await agent_with(wish("pause"))
    await agent.handle(scored())

    replies = [await sdr.answer(agent, noted("not now, ask me in spring")) for _ in range(2)]
    due = [[message.payload["step"] for message in await leave(agent, days)] for days in (59, 2, 7, 3)]

    assert [reply.event_type for reply in replies] == ["campaign.stopped"] * 2
    assert replies[0].payload["resumes_at"] == "2030-03-03T03:04:05.000Z"
    assert due == [[], [2], [], [3]]


async def test_other_notes_change_nothing() -> None:
    agent = await agent_with(wish("continue"))
    await agent.handle(scored())

    assert (await sdr.answer(agent, noted("the coffee machine is broken"))).event_type == "campaign.unchanged"
    assert [message.payload["step"] for message in await leave(agent, 6)] == [2]


async def test_a_note_on_a_stranger_is_a_dead_letter() -> None:
    agent = await agent_with()

    with pytest.raises(InvalidPayloadError):
        await agent.handle(noted(lead_id="stranger"))


async def test_a_model_that_is_down_delays_a_due_mail_and_loses_none() -> None:
    answers: list[Any] = [sdr.LETTER, ModelUnavailableError("down"), sdr.LETTER]
    agent = await agent_with(iter(answers))
    await agent.handle(scored())

    assert await leave(agent, 6) == []
    assert [message.payload["step"] for message in await leave(agent, 1)] == [2]


async def test_a_mail_that_cannot_be_written_ends_the_series_after_some_tries() -> None:
    script = iter([sdr.LETTER, *(ModelAnswerError("rubbish") for _ in range(10))])
    agent = await agent_with(script)
    await agent.handle(scored())

    left = [message for _ in range(7) for message in await leave(agent, 6)]

    assert [message.event_type for message in left] == ["campaign.stopped"]
    assert (await campaign(agent))["state"] == "stopped"


async def test_a_mail_that_the_model_declines_to_write_ends_the_series_without_asking_again() -> None:
    script = iter([sdr.LETTER, ModelRefusedError("the model declined")])
    agent = await agent_with(script)
    await agent.handle(scored())

    left = [message for _ in range(2) for message in await leave(agent, 6)]

    assert [message.event_type for message in left] == ["campaign.stopped"]
    assert (await campaign(agent))["state"] == "stopped"


async def test_what_a_later_mail_of_a_series_used_stands_on_its_message() -> None:
    plain = (await agent_with(iter([sdr.LETTER, sdr.LETTER]))).context
    agent = sdr.build(replace(plain, model=MeteredModel(plain.model)))
    await agent.handle(scored())

    (second,) = await agent.due(plain.now.advance(6 * DAY_S))

    assert second.usage.calls == 1
    assert second.usage.input_tokens > 0


async def test_an_outage_of_the_model_however_long_ends_no_series() -> None:
    script = iter([sdr.LETTER, *(ModelUnavailableError("down") for _ in range(20)), sdr.LETTER])
    agent = await agent_with(script)
    await agent.handle(scored())

    assert [message for _ in range(20) for message in await leave(agent, 6)] == []
    assert [message.payload["step"] for message in await leave(agent, 6)] == [2]


async def test_one_series_in_trouble_does_not_hold_up_another() -> None:
    def answer(request: ChatRequest) -> dict[str, Any] | Exception:
        is_second_step = '"number": 2, "of"' in request.user
        return ModelUnavailableError("down") if is_second_step and "Tom" in request.user else dict(sdr.LETTER)

    agent = await agent_with(answer)
    await agent.context.store.put("profiles", {**sdr.PROFILE_DOCUMENT, "_id": "lead-2"})
    await agent.handle(scored())
    await agent.handle(scored(id="m-2", lead_id="lead-2", profile={**NURTURE["profile"], "first_name": "Tom"}))

    assert [message.payload["lead_id"] for message in await leave(agent, 6)] == ["lead-1"]


@pytest.mark.parametrize(
    ("sequences", "key"),
    [
        ([{"name": "x", "steps": [{"after_days": 2, "angle": "a"}]}], "settings.sequences.0"),
        ([{"name": "x", "steps": [{"after_days": 0, "angle": "a"}, {"after_days": 9, "angle": "b"},
                                  {"after_days": 3, "angle": "c"}]}], "settings.sequences.0"),
        ([{"name": "x", "sources": ["list"], "steps": [{"after_days": 0, "angle": "a"}]}], "settings.sequences"),
        ([], "settings.sequences"),
    ],
)  # fmt: skip
def test_wrong_sequences_are_named_with_file_and_key(sequences: list[Any], key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sdr.build(sdr.context("nurture_campaign", declared=sdr.definition("nurture_campaign", sequences=sequences)))

    assert f"agent_definitions/nurture_campaign.yaml: {key}" in str(caught.value)
