"""The agents and the router on the offline model: each example lead goes where it belongs, with no flow written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from pointsman.catalog import Catalog
from pointsman.envelope import Envelope
from pointsman.mail import Delivery, Outcome
from pointsman.models.factory import chat_model
from pointsman.models.offline.server import start
from pointsman.routing import Counters, Router, RoutingOptions
from pointsman.routing.decision import Decision
from pointsman.runtime import AgentContext
from pointsman.settings import Settings
from pointsman.testing import InMemoryStore, ManualClock
from tests import sdr

LEADS = json.loads(Path("examples/leads.json").read_text(encoding="utf-8"))


@dataclass(kw_only=True)
class Loop:
    """The whole loop without Kafka: each message is routed, handled and checked until nobody has to act."""

    agents: dict[str, Any]
    router: Router
    now: ManualClock
    mails: list[EmailMessage] = field(default_factory=list)

    async def send(self, message: EmailMessage, *, sender: str, recipient: str) -> Delivery:
        """Take a mail."""
        assert sender
        assert message["To"] == recipient
        self.mails.append(message)
        return Delivery(outcome=Outcome.SENT, code=250)

    async def travel(self, message: Envelope) -> list[str]:
        """The way of `message`: each event type and the agents that got it, ending with the outcome."""
        way: list[str] = []
        for step in range(1, 20):
            decision = await self._decide(message, step)
            if decision.agent is None:
                return [*way, message.event_type, str(decision.outcome)]
            way.append(decision.agent)
            (reply,) = await self.agents[decision.agent].handle(message)
            sdr.check(sdr.DEFINITIONS[decision.agent], [reply])
            message = message.reply(
                agent=decision.agent,
                agent_version="1.0.0",
                index=0,
                event_type=reply.event_type,
                payload=reply.payload,
                time=self.now(),
            )
        pytest.fail("the message goes round in circles")

    async def _decide(self, message: Envelope, step: int) -> Decision:
        prepared = self.router.prepare(message, Counters(step=step), self.now())
        if isinstance(prepared, Decision):
            return prepared
        return self.router.conclude(
            prepared, await self.agents["lead_scoring"].context.model.complete(prepared.request)
        )

    async def lead(self, number: int) -> list[str]:
        """The way of an example lead."""
        lead_id = f"lead-{number}"
        document = {"_id": lead_id, **LEADS[number]}
        return await self.travel(sdr.message("lead.received", document, id=lead_id, lead_id=lead_id))

    async def note(self, number: int, text: str) -> list[str]:
        """The way of a note on an example lead."""
        lead_id = f"lead-{number}"
        payload = {"lead_id": lead_id, "text": text}
        return await self.travel(sdr.message("lead.activity_noted", payload, id=lead_id + text, lead_id=lead_id))


@pytest.fixture
async def loop() -> AsyncIterator[Loop]:
    runner, port = await start("127.0.0.1", 0)
    settings = Settings(openai_base_url=f"http://127.0.0.1:{port}/v1", mail_allow=["*"], nurture_day_s=1.0)
    model, store, now = chat_model(settings), InMemoryStore(), ManualClock()
    agents = {
        name: sdr.build(
            AgentContext(
                definition=definition,
                model=model,
                store=store,
                settings=settings,
                now=now,
                effects_allowed=lambda: True,
            )
        )
        for name, definition in sdr.DEFINITIONS.items()
    }
    router = Router(Catalog.of(sdr.DEFINITIONS.values()), RoutingOptions())
    made = Loop(agents=agents, router=router, now=now)
    agents["send_email"] = replace(agents["send_email"], mailer=made)
    yield made
    await model.close()
    await runner.cleanup()


async def test_each_example_lead_goes_where_it_belongs(loop: Loop) -> None:
    ways = [await loop.lead(number) for number in range(len(LEADS))]

    profile, score = "lead_ingestion", "lead_scoring"
    engaged = [profile, score, "active_outreach", "send_email", "email.sent", "completed"]
    nurtured = [profile, score, "nurture_campaign", "send_email", "email.sent", "completed"]
    disqualified = [profile, score, "lead.disqualified", "completed"]
    assert ways == [
        engaged,
        nurtured,
        nurtured,
        disqualified,
        disqualified,
        [profile, "lead.merged", "completed"],
        [profile, "lead.rejected", "completed"],
        engaged,
        engaged,
    ]
    assert [mail["To"] for mail in loop.mails] == [LEADS[number]["email"] for number in (0, 1, 2, 7, 8)]
    assert all(mail["To"].split("@")[0] not in mail.get_content() for mail in loop.mails)


async def test_a_note_goes_to_whom_it_concerns(loop: Loop) -> None:
    await loop.lead(1)
    await loop.lead(2)

    hot = await loop.note(1, "visited the pricing page twice and asked for a demo")
    wait = await loop.note(2, "not now, ask me again in spring")
    stop = await loop.note(2, "please stop writing to me")
    nobody = await loop.note(1, "the coffee machine is broken")

    assert hot == ["lead_scoring", "active_outreach", "send_email", "email.sent", "completed"]
    assert wait == stop == ["nurture_campaign", "campaign.stopped", "completed"]
    assert nobody == ["lead.activity_noted", "abstained"]


async def test_the_rest_of_a_series_leaves_by_the_clock_and_ends_when_the_lead_is_ready_to_talk(loop: Loop) -> None:
    nurture = loop.agents["nurture_campaign"]
    await loop.lead(1)
    (second,) = await nurture.due(loop.now.advance(6))
    await nurture.emitted(second)

    assert await loop.travel(second) == ["send_email", "email.sent", "completed"]
    await loop.note(1, "visited the pricing page twice and asked for a demo")
    (end,) = await nurture.due(loop.now.advance(100))
    assert end.event_type == "campaign.stopped"
    assert len(loop.mails) == 3
