"""Outreach: one mail per lead, written from facts, and nothing in it that a lead or a model should not put there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.sdr.drafts import Draft, problems_of
from pointsman.errors import ConfigurationError, ModelAnswerError
from tests import sdr

HOSTS = ("sdr.example", "nordhafen.example")


def scored(**changes: Any) -> Any:
    return sdr.message("lead.scored", {**sdr.SCORED, **changes}, id=changes.pop("id", "m-1"))


def letter(**changes: Any) -> dict[str, Any]:
    return {**sdr.LETTER, **changes}


async def test_one_mail_is_drafted_from_the_facts() -> None:
    agent = sdr.build(sdr.context("active_outreach", [letter()]))

    reply = await sdr.answer(agent, scored())

    assert reply.event_type == "campaign.drafted"
    assert reply.payload == {
        "lead_id": "lead-1",
        "campaign_id": "lead-1:outreach",
        "step": 1,
        "subject": sdr.LETTER["subject"],
        "body": sdr.LETTER["body"],
        "kind": "outreach",
    }
    stored = await agent.context.store.get("campaigns", "lead-1:outreach")
    assert stored["steps"][0]["facts_used"] == ["Wrote: we run five warehouses and want a demo this month"]


async def test_the_model_gets_sender_offer_and_facts_as_data() -> None:
    agent = sdr.build(sdr.context("active_outreach", [letter()]))

    await agent.handle(scored())

    request = sdr.requests(agent.context)[0]
    turn = json.loads(request.user)
    assert turn["sender"] == "Alex Kim"
    assert turn["offer"]["company"] == "Tidewater"
    assert turn["lead"]["first_name"] == "Mara"
    assert "@" not in request.user + request.system
    assert "Nordhafen" not in request.system


async def test_the_system_turn_is_the_same_for_every_lead() -> None:
    agent = sdr.build(sdr.context("active_outreach", [letter(), letter()]))

    await agent.handle(scored())
    await agent.handle(scored(lead_id="lead-2", profile={**sdr.PROFILE, "first_name": "Tom"}))

    first, second = sdr.requests(agent.context)
    assert first.system == second.system


async def test_a_lead_never_gets_a_second_draft() -> None:
    agent = sdr.build(sdr.context("active_outreach", [letter()]))
    first = await sdr.answer(agent, scored())

    assert await sdr.answer(agent, scored()) == first
    assert await sdr.answer(agent, scored(id="m-2", score=90)) == first


async def test_a_draft_that_may_not_be_sent_is_written_once_more() -> None:
    bad = letter(body=f"{sdr.LETTER['body']} https://evil.example/pay")
    agent = sdr.build(sdr.context("active_outreach", [bad, letter()]))

    reply = await sdr.answer(agent, scored())

    assert reply.payload["body"] == sdr.LETTER["body"]
    again = json.loads(sdr.requests(agent.context)[1].user)
    assert again["problems_of_your_first_draft"] == ["it has a link or the name of a site"]


async def test_a_model_that_insists_sends_nothing() -> None:
    bad = letter(subject="", body="Click https://evil.example now, it is only for you and only today!")
    agent = sdr.build(sdr.context("active_outreach", [bad, bad]))

    with pytest.raises(ModelAnswerError, match="the subject is empty; it has a link") as caught:
        await agent.handle(scored())

    assert "evil" not in str(caught.value)
    assert await agent.context.store.get("campaigns", "lead-1:outreach") is None


@pytest.mark.parametrize(
    "text",
    [
        "see https://evil.example/pay",
        "see HTTP://EVIL.EXAMPLE",
        "see evil.example today",
        "see www.evil.com",
        "see https://sdr.example@evil.example/",
        "see https://sdr.example:x@evil.example/",
        "see https://sdr.example\\@evil.example/",
        "see https://sdr.example.evil.example/",
        "see https://evilsdr.example/",
        "see https://evil.example/https://sdr.example",
        "see //evil.example/x",
        "see javascript:alert(1)",
        "see data:text/html,x",
        "see ftp://sdr.example/",
        "see [our page](https://sdr.example)",
        "see <a href='https://sdr.example'>us</a>",
        "<script>alert(1)</script>",
        "![x](https://sdr.example/p.png?d=1)",
        "write to boss@nordhafen.example",
        "Hello [Name],",
        "Hello {{first_name}},",
        "Hello {% for x in y %}",
        "see evil.рф",
        "call file:///etc/passwd",
    ],
)
def test_links_markup_addresses_and_placeholders_are_refused(text: str) -> None:
    draft = Draft(subject="Stock in five warehouses", body=f"{sdr.LETTER['body']}\n{text}", facts_used=[])

    assert problems_of(draft, hosts=HOSTS, max_body_chars=2500) != []


@pytest.mark.parametrize(
    "text",
    [
        "We can show it in 15 minutes, e.g. on Tuesday at 3.30 p.m.",
        "Your 1.5 million pallets (see our page https://sdr.example/tour) matter.",
        "See https://www.sdr.example.",
        "I read what nordhafen.example says about harbours.",
        "Grüße aus Köln - bis bald! 你好 🚢",
        "A < B, and B > C; 50% of it costs $3.",
        "First: ask. Second: listen...and wait.",
    ],
)
def test_plain_letters_pass(text: str) -> None:
    draft = Draft(subject="Stock in five warehouses", body=f"{sdr.LETTER['body']}\n{text}", facts_used=[])

    assert problems_of(draft, hosts=HOSTS, max_body_chars=2500) == []


async def test_a_subject_is_one_line_whatever_the_model_writes() -> None:
    agent = sdr.build(sdr.context("active_outreach", [letter(subject="Stock\r\nBcc: x\x00\u202e here")]))

    reply = await sdr.answer(agent, scored())

    assert reply.payload["subject"] == "Stock Bcc: x here"


@pytest.mark.parametrize("number", [-1, 0, 3, 99])
async def test_facts_that_do_not_exist_are_no_answer(number: int) -> None:
    agent = sdr.build(sdr.context("active_outreach", [letter(facts_used=[number])] * 2))

    with pytest.raises(ModelAnswerError):
        await agent.handle(scored())


def test_instructions_that_are_no_template_name_the_file() -> None:
    broken = sdr.DEFINITIONS["active_outreach"].model_copy(update={"instructions": "{{ nobody }}"})

    with pytest.raises(ConfigurationError, match=r"active_outreach\.yaml: instructions"):
        sdr.build(sdr.context("active_outreach", declared=broken))
