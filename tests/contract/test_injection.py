"""Whatever a lead writes stays data: in the user turn, as the value of a field, and in nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from agents.sdr.drafts import Draft, problems_of
from pointsman.catalog import Catalog
from pointsman.mail import Delivery, Outcome
from pointsman.models import ChatAnswer, ChatRequest
from pointsman.routing import Counters, Decision, ModelQuestion, Router
from pointsman.testing import InMemoryStore, ScriptedModel
from tests import sdr
from tests.injections import CORPUS, MARK

every_attack = pytest.mark.parametrize("attack", CORPUS.values(), ids=CORPUS)
INGESTED = {
    "industry": "wholesale", "interest": "stock", "summary": "Mara runs operations.", "facts_used": [1],
}  # fmt: skip


def routed(payload: dict[str, Any]) -> ModelQuestion:
    router = Router(Catalog.of(sdr.DEFINITIONS.values()))
    message = sdr.message("lead.scored", payload)
    question = router.prepare(message, Counters(step=1), message.time)
    assert isinstance(question, ModelQuestion)
    return question


def scored(attack: str) -> dict[str, Any]:
    profile = {**sdr.PROFILE, "company": attack[:120], "summary": attack[:400], "interest": attack[:200]}
    return {**sdr.SCORED, "profile": profile, "talking_points": [attack[:280]]}


@every_attack
def test_the_routing_prompt_holds_it_as_data_in_the_user_turn_only(attack: str) -> None:
    question, harmless = routed(scored(attack)), routed(sdr.SCORED)
    assert question.request.system == harmless.request.system
    assert question.request.schema == harmless.request.schema
    turn = json.loads(question.request.user)
    assert set(turn) == {"event_type", "payload"}
    assert turn["payload"]["profile"]["summary"] == attack[:400]


@every_attack
def test_a_model_that_obeys_it_can_name_no_agent_but_the_candidates(attack: str) -> None:
    question = routed(scored(attack))
    for obeyed in ("send_email", "lead_ingestion", attack, f"active_outreach\n{attack}"):
        answer = ChatAnswer(
            content={"agent": obeyed, "reason": attack},
            raw="",
            model="m",
            input_tokens=1,
            output_tokens=1,
            latency_ms=1.0,
        )
        decision = Router(Catalog.of(sdr.DEFINITIONS.values())).conclude(question, answer)
        assert isinstance(decision, Decision)
        assert decision.agent is None


async def asked(agent: str, event_type: str, payload: dict[str, Any]) -> list[ChatRequest]:
    """What an agent asked its model about a message, whatever came of it."""
    store = InMemoryStore()
    await store.put("profiles", sdr.PROFILE_DOCUMENT)
    context = sdr.context(agent, lambda _: StopAsking(), store=store)
    with pytest.raises(StopAsking):
        await sdr.build(context).handle(sdr.message(event_type, payload))
    assert isinstance(context.model, ScriptedModel)
    return context.model.requests


class StopAsking(Exception):
    """Ends an agent's work at its first question."""


def lead(attack: str) -> dict[str, Any]:
    named = {name: attack for name in ("first_name", "title", "company", "source", "message")}
    return {"_id": "lead-9", "email": "zoe@nordhafen.example", **named}


@every_attack
@pytest.mark.parametrize(
    ("agent", "event_type", "payload", "harmless"),
    [
        ("lead_ingestion", "lead.received", lead, {"_id": "lead-9", "email": "zoe@nordhafen.example", "message": "Hi"}),
        ("lead_scoring", "lead.profiled", lambda attack: scored(attack)["profile"], sdr.PROFILE),
        ("active_outreach", "lead.scored", scored, sdr.SCORED),
        ("nurture_campaign", "lead.activity_noted", lambda attack: {"lead_id": "lead-1", "text": attack}, {
            "lead_id": "lead-1", "text": "Not now.",
        }),
    ],
    ids=["ingestion", "scoring", "outreach", "nurture"],
)  # fmt: skip
async def test_no_agents_system_turn_or_schema_changes_for_it(
    agent: str, event_type: str, payload: Any, harmless: dict[str, Any], attack: str
) -> None:
    (attacked,), (plain,) = await asked(agent, event_type, payload(attack)), await asked(agent, event_type, harmless)
    assert attacked.system == plain.system
    assert MARK not in attacked.system + json.dumps(attacked.schema)
    assert MARK in attacked.user
    assert isinstance(json.loads(attacked.user), dict)


@every_attack
async def test_it_changes_no_header_no_address_and_no_link_of_a_mail(attack: str) -> None:
    document = {**sdr.PROFILE_DOCUMENT, "profile": {**sdr.PROFILE_DOCUMENT["profile"], "first_name": attack[:80]}}
    store = InMemoryStore()
    await store.put("profiles", document)
    outbox = Outbox()
    agent = replace(sdr.build(sdr.context("send_email", store=store)), mailer=outbox)
    subject = " ".join(attack.split())[:60].replace("\x00", "").replace("\x1b", "") or "Hello"
    await agent.handle(sdr.message("campaign.drafted", {**sdr.DRAFT, "subject": subject}))
    for recipient, mail in outbox.mails:
        assert recipient == sdr.PROFILE_DOCUMENT["email"]
        assert sdr.PROFILE_DOCUMENT["email"] in str(mail["To"])
        assert {"Bcc", "Cc", "X-Evil"}.isdisjoint(mail.keys())
        assert "attacker" not in str(mail["List-Unsubscribe"]) + str(mail["From"]) + str(mail["Reply-To"])


class Outbox:
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, Any]] = []

    async def send(self, message: Any, *, sender: str, recipient: str) -> Delivery:
        self.mails.append((recipient, message))
        return Delivery(outcome=Outcome.SENT, code=250)


@pytest.mark.parametrize(
    "name", ["plain", "polish", "html comment", "template", "markdown image", "script link", "mail header"]
)
def test_a_draft_that_repeats_an_address_a_link_or_markup_is_not_sent(name: str) -> None:
    draft = Draft(
        subject="Your stock", body=f"Hello Mara,\n{CORPUS[name]}\n" + "Kind regards, Alex. " * 5, facts_used=[]
    )
    assert problems_of(draft, hosts=("sdr.example", "nordhafen.example"), max_body_chars=2000) != []
