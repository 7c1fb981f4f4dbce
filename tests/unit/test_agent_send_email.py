"""Sending: once, to the lead and nobody else, and never to people who want none."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from pydantic import SecretStr

from agents.sdr.allowance import DailyCap, is_allowed
from pointsman.errors import (
    ConfigurationError,
    EffectsStoppedError,
    EffectUnavailableError,
    InvalidPayloadError,
    StoreUnavailableError,
)
from pointsman.mail import Delivery, Outcome
from pointsman.runtime.ledger import EffectState, effect_id
from pointsman.store import Document
from pointsman.suppressions import SUPPRESSIONS, SuppressionReason, suppression_key
from pointsman.testing import InMemoryStore, ManualClock
from pointsman.unsubscribe import UnsubscribeLinks
from tests import sdr

SENT = Delivery(outcome=Outcome.SENT, code=250)


class FakeMailer:
    """Records mails; ends each try as told."""

    def __init__(self, *results: Delivery | BaseException) -> None:
        self.results = list(results)
        self.mails: list[tuple[str, EmailMessage]] = []

    async def send(self, message: EmailMessage, *, sender: str, recipient: str) -> Delivery:
        assert sender == "alex.kim@sdr.example"
        self.mails.append((recipient, message))
        result = self.results.pop(0) if self.results else SENT
        if isinstance(result, BaseException):
            raise result
        return result


async def agent_with(*results: Delivery | BaseException, store: InMemoryStore | None = None, **settings: Any) -> Any:
    store = store or InMemoryStore()
    if await store.get("profiles", "lead-1") is None:
        await store.put("profiles", sdr.PROFILE_DOCUMENT)
    built = sdr.build(sdr.context("send_email", store=store, **settings))
    return replace(built, mailer=FakeMailer(*results))


def drafted(**changes: Any) -> Any:
    identity = changes.pop("id", "m-1")
    return sdr.message("campaign.drafted", {**sdr.DRAFT, **changes}, id=identity)


async def test_a_draft_is_sent_to_the_lead_with_all_that_a_mail_needs() -> None:
    agent = await agent_with()

    reply = await sdr.answer(agent, drafted())

    assert reply.event_type == "email.sent"
    recipient, mail = agent.mailer.mails[0]
    assert recipient == mail["To"] == "mara.lind@nordhafen.example"
    assert mail["From"] == "Alex Kim <alex.kim@sdr.example>"
    assert mail["Message-ID"] == reply.payload["message_id"]
    assert mail["Message-ID"] == f"<{effect_id('lead-1', 'lead-1:outreach', '1')}@sdr.example>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    body = mail.get_content()
    assert body.startswith("Hello Mara,\n\nyou run five warehouses.")
    assert "Example Ltd, 1 Example Street" in body
    assert str(mail["List-Unsubscribe"]).strip("<>") in body


async def test_the_unsubscribe_link_is_for_the_person_and_cannot_be_forged() -> None:
    agent = await agent_with(mail_unsubscribe_secret="s3cret")
    await agent.handle(drafted())

    link = str(agent.mailer.mails[0][1]["List-Unsubscribe"]).strip("<>")
    token = link.removeprefix("https://sdr.example/unsubscribe/")
    links = UnsubscribeLinks(base_url="https://sdr.example/unsubscribe", secret=SecretStr("s3cret"))
    assert links.key_of(token) == await suppression_key(agent.context.store, "mara.lind@nordhafen.example")
    assert "mara" not in link
    assert links.key_of(token[:-2] + "xx") is None
    assert links.key_of("") is None


async def test_the_key_of_unsubscribe_links_is_made_once_for_all_instances() -> None:
    store = InMemoryStore()
    first, second = await agent_with(store=store), await agent_with(store=store)

    await first.handle(drafted())
    await second.handle(drafted(step=2, id="m-2"))

    mails = [first.mailer.mails[0][1], second.mailer.mails[0][1]]
    assert mails[0]["List-Unsubscribe"] == mails[1]["List-Unsubscribe"]


async def test_no_recipient_comes_from_the_message() -> None:
    agent = await agent_with()

    await sdr.answer(agent, drafted(email="boss@elsewhere.example", to="x@y.example", recipient="x@y.example"))

    assert [recipient for recipient, _ in agent.mailer.mails] == ["mara.lind@nordhafen.example"]


async def test_a_subject_cannot_bring_headers_along() -> None:
    agent = await agent_with()

    await sdr.answer(agent, drafted(subject="Hello\r\nBcc: everyone@site.example\n\nbody"))

    mail = agent.mailer.mails[0][1]
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Hello Bcc: everyone@site.example body"


async def test_a_redelivered_draft_gives_the_same_answer_and_no_second_mail() -> None:
    agent = await agent_with()

    first = await sdr.answer(agent, drafted())

    assert await sdr.answer(agent, drafted()) == first
    assert len(agent.mailer.mails) == 1


async def test_another_draft_of_the_same_step_is_not_sent() -> None:
    agent = await agent_with()
    await sdr.answer(agent, drafted())

    reply = await sdr.answer(agent, drafted(id="m-2", subject="Another"))

    assert (reply.event_type, reply.payload["reason"]) == ("email.suppressed", "already_sent")
    assert len(agent.mailer.mails) == 1


async def test_two_instances_send_one_mail() -> None:
    store = InMemoryStore()
    agents = [await agent_with(store=store, instance=name) for name in ("1", "2", "3", "4")]

    results = await asyncio.gather(*(agent.handle(drafted()) for agent in agents), return_exceptions=True)

    assert sum(len(agent.mailer.mails) for agent in agents) == 1
    assert all(isinstance(result, list | EffectUnavailableError) for result in results)


async def test_refused_for_now_is_tried_again_and_sent_once() -> None:
    agent = await agent_with(EffectUnavailableError("451"), SENT)

    with pytest.raises(EffectUnavailableError):
        await agent.handle(drafted())

    assert (await sdr.answer(agent, drafted())).event_type == "email.sent"
    assert (await sdr.answer(agent, drafted())).event_type == "email.sent"
    assert len(agent.mailer.mails) == 2


async def test_refused_for_good_fails_and_a_refusing_mailbox_gets_no_more_mail() -> None:
    agent = await agent_with(Delivery(outcome=Outcome.REJECTED, code=550, is_recipient_refused=True))

    failed = await sdr.answer(agent, drafted())
    later = await sdr.answer(agent, drafted(step=2, id="m-2"))

    assert (failed.event_type, failed.payload["reason"]) == ("email.failed", "rejected")
    assert (later.event_type, later.payload["reason"]) == ("email.suppressed", "unsubscribed")
    assert len(agent.mailer.mails) == 1
    (entry,) = await agent.context.store.find(SUPPRESSIONS, {})
    assert entry["reason"] == SuppressionReason.REFUSED.value


async def test_an_unknown_outcome_is_never_sent_again() -> None:
    agent = await agent_with(Delivery(outcome=Outcome.UNKNOWN), SENT)

    replies = [await sdr.answer(agent, drafted(id=f"m-{n}")) for n in range(3)]

    assert [(reply.event_type, reply.payload["reason"]) for reply in replies] == [("email.failed", "unknown")] * 3
    assert len(agent.mailer.mails) == 1


async def test_a_crash_while_sending_becomes_unknown_and_is_never_sent_again() -> None:
    store, clock = InMemoryStore(), ManualClock()
    agent = await agent_with(asyncio.CancelledError(), store=store, clock=clock)
    with pytest.raises(asyncio.CancelledError):
        await agent.handle(drafted())

    successor = await agent_with(store=store, clock=clock, instance="2")
    with pytest.raises(EffectUnavailableError):
        await successor.handle(drafted())
    clock.advance(10_000)
    reply = await sdr.answer(successor, drafted())

    assert (reply.event_type, reply.payload["reason"]) == ("email.failed", "unknown")
    assert successor.mailer.mails == []


async def test_a_mail_that_was_taken_is_noted_as_sent_although_the_store_falters() -> None:
    class Faltering(InMemoryStore):
        """Fails on the first note that a mail was sent."""

        failures = 1

        async def update_if(self, collection: str, key: str, expected: Any, changes: Any) -> Any:
            if changes.get("state") == "sent" and self.failures:
                self.failures -= 1
                raise StoreUnavailableError("no primary")
            return await super().update_if(collection, key, expected, changes)

    agent = await agent_with(store=Faltering())

    assert (await sdr.answer(agent, drafted())).event_type == "email.sent"
    assert len(agent.mailer.mails) == 1


async def test_while_effects_are_stopped_nothing_is_begun_and_then_the_mail_is_sent_once() -> None:
    allowed = [False]
    agent = await agent_with(effects_allowed=lambda: allowed[0])
    for _ in range(3):
        with pytest.raises(EffectsStoppedError):
            await agent.handle(drafted())
    assert await agent.context.store.count("effects", {}) == 0

    allowed[0] = True

    assert (await sdr.answer(agent, drafted())).event_type == "email.sent"
    assert len(agent.mailer.mails) == 1


async def test_effects_stopped_while_the_ledger_is_written_still_hold_the_mail_back() -> None:
    answers = [True, False, True, True]
    agent = await agent_with(effects_allowed=lambda: answers.pop(0))

    with pytest.raises(EffectsStoppedError):
        await agent.handle(drafted())
    assert agent.mailer.mails == []

    assert (await sdr.answer(agent, drafted())).event_type == "email.sent"


async def test_a_mail_whose_process_died_can_be_looked_for_and_resolved_by_a_person() -> None:
    store, clock = InMemoryStore(), ManualClock()
    agent = await agent_with(asyncio.CancelledError(), store=store, clock=clock)
    with pytest.raises(asyncio.CancelledError):
        await agent.handle(drafted())
    clock.advance(10_000)
    await agent.handle(drafted())

    (found,) = await store.find("effects", {"state": "unknown"})
    assert found["facts"]["message_id"].endswith("@sdr.example>")
    await agent.ledger.resolve(found["_id"], EffectState.SENT, "ann")

    assert (await sdr.answer(agent, drafted())).event_type == "email.sent"
    assert len(agent.mailer.mails) == 1


async def test_people_on_the_suppression_list_get_no_mail() -> None:
    agent = await agent_with()
    await agent.context.store.put("suppressions", {"_id": "mara.lind@nordhafen.example"})

    reply = await sdr.answer(agent, drafted())

    assert (reply.event_type, reply.payload["reason"]) == ("email.suppressed", "unsubscribed")
    assert agent.mailer.mails == []


async def test_a_whole_domain_can_be_suppressed() -> None:
    agent = await agent_with()
    await agent.context.store.put("suppressions", {"_id": "@nordhafen.example"})

    assert (await sdr.answer(agent, drafted())).payload["reason"] == "unsubscribed"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"mail_allow": []}, "not_allowed"),
        ({"mail_allow": ["@elsewhere.example"]}, "not_allowed"),
        ({"mail_dry_run": True}, "dry_run"),
        ({"mail_daily_cap": 0}, "daily_cap"),
    ],
)
async def test_an_installation_that_must_not_send_does_not(settings: dict[str, Any], reason: str) -> None:
    agent = await agent_with(**settings)

    reply = await sdr.answer(agent, drafted())

    assert (reply.event_type, reply.payload["reason"]) == ("email.suppressed", reason)
    assert agent.mailer.mails == []


async def test_consent_withdrawn_after_the_profile_counts() -> None:
    agent = await agent_with()
    await agent.context.store.put("profiles", {**sdr.PROFILE_DOCUMENT, "consent": False})

    assert (await sdr.answer(agent, drafted())).payload["reason"] == "no_consent"


async def test_an_unsubscription_after_the_mail_does_not_change_what_was_said_of_it() -> None:
    agent = await agent_with()
    first = await sdr.answer(agent, drafted())
    await agent.context.store.put("suppressions", {"_id": "mara.lind@nordhafen.example"})

    assert await sdr.answer(agent, drafted()) == first


async def test_the_daily_cap_is_exact_over_instances_and_ends_with_the_day() -> None:
    store, clock = InMemoryStore(), ManualClock()

    instances = [DailyCap(store), DailyCap(store)]

    async def take(number: int) -> bool:
        return await instances[number % 2].take(f"effect-{number}", cap=3, now=clock())

    taken = await asyncio.gather(*map(take, range(10)))
    assert sum(taken) == 3
    assert await take(taken.index(True))
    clock.advance(86_400)
    assert await take(taken.index(False))


async def test_mails_of_one_instance_do_not_race_each_other_for_a_place() -> None:
    class Counting(InMemoryStore):
        inserts = 0

        async def insert_once(self, collection: str, document: Document) -> Document:
            self.inserts += 1
            await asyncio.sleep(0)
            return await super().insert_once(collection, document)

    store, now = Counting(), ManualClock()()
    cap = DailyCap(store)
    assert all(await asyncio.gather(*(cap.take(f"effect-{n}", cap=99, now=now) for n in range(32))))
    assert store.inserts == 32


@pytest.mark.parametrize(
    ("allow", "is_ok"),
    [
        ([], False),
        (["*"], True),
        (["MARA@nordhafen.example"], True),
        (["@Nordhafen.example"], True),
        (["nordhafen.example"], False),
        (["@hafen.example"], False),
        (["@evil.nordhafen.example"], False),
    ],
)
def test_the_allow_list_names_addresses_domains_or_everybody(allow: list[str], is_ok: bool) -> None:
    assert is_allowed("Mara@nordhafen.example", allow) is is_ok


async def test_a_lead_that_nobody_profiled_is_a_dead_letter() -> None:
    agent = await agent_with()

    with pytest.raises(InvalidPayloadError):
        await agent.handle(drafted(lead_id="stranger"))


async def test_a_wrong_login_stops_the_agent_and_the_mail_is_still_to_be_sent() -> None:
    agent = await agent_with(ConfigurationError("login refused"), SENT)
    with pytest.raises(ConfigurationError):
        await agent.handle(drafted())

    assert (await sdr.answer(agent, drafted())).event_type == "email.sent"


@pytest.mark.parametrize("sender", ["", "Alex Kim", "alex@", "Alex <alex@localhost>"])
def test_a_sender_without_an_address_is_a_matter_of_configuration(sender: str) -> None:
    with pytest.raises(ConfigurationError, match="POINTSMAN_MAIL_FROM"):
        sdr.build(sdr.context("send_email", mail_from=sender))
