"""No path through the ledger carries an effect out twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pointsman.errors import EffectUnavailableError, RefusedError, StoreUnavailableError
from pointsman.runtime.ledger import EFFECTS, Effect, EffectLedger, EffectState, effect_id
from pointsman.store import Document
from pointsman.testing import InMemoryStore, ManualClock

MAIL = effect_id("lead-1", "campaign-1", "1")
LEASE_S = 30.0


class World:
    """Processes that share one store and one clock."""

    def __init__(self, store: InMemoryStore | None = None) -> None:
        self.store = store or InMemoryStore()
        self.clock = ManualClock()

    def process(self, owner: str = "send_email.1", life: str = "first") -> EffectLedger:
        return EffectLedger(self.store, now=self.clock, owner=owner, lease_s=LEASE_S, life=life)


def test_an_effect_is_named_by_its_business_key() -> None:
    assert effect_id("a", "b") == effect_id("a", "b")
    assert effect_id("a", "b") != effect_id("ab")


async def test_the_first_to_begin_may_send_and_finishing_is_final() -> None:
    ledger = World().process()
    effect = await ledger.begin(MAIL, {"lead_id": "lead-1"})
    assert (effect.may_send, effect.state, effect.attempt) == (True, EffectState.SENDING, 1)
    done = await ledger.finish(effect, EffectState.SENT, {"message_id": "m"})
    assert (done.state, dict(done.facts)) == (EffectState.SENT, {"lead_id": "lead-1", "message_id": "m"})
    again = await ledger.begin(MAIL)
    assert (again.may_send, again.state) == (False, EffectState.SENT)


async def test_of_many_who_begin_at_once_one_may_send() -> None:
    world = World()
    begins = (world.process(owner=f"send_email.{number}").begin(MAIL) for number in range(10))
    answers = await asyncio.gather(*begins, return_exceptions=True)
    assert sum(isinstance(answer, Effect) and answer.may_send for answer in answers) == 1


async def test_while_another_process_sends_one_has_to_wait() -> None:
    world = World()
    await world.process("send_email.1").begin(MAIL)
    with pytest.raises(EffectUnavailableError) as raised:
        await world.process("send_email.2").begin(MAIL)
    assert raised.value.retry_after_s == LEASE_S


async def test_a_crash_while_sending_is_unknown_and_never_sent_again() -> None:
    world = World()
    await world.process().begin(MAIL)
    world.clock.advance(LEASE_S + 1)
    for owner in ("send_email.2", "send_email.1"):
        effect = await world.process(owner).begin(MAIL)
        assert (effect.may_send, effect.state) == (False, EffectState.UNKNOWN)


async def test_a_restarted_owner_knows_at_once_that_its_former_life_crashed() -> None:
    world = World()
    await world.process(life="first").begin(MAIL)
    effect = await world.process(life="second").begin(MAIL)
    assert (effect.may_send, effect.state) == (False, EffectState.UNKNOWN)


async def test_an_owner_thought_dead_may_still_say_how_it_ended() -> None:
    world = World()
    slow = world.process("send_email.1")
    effect = await slow.begin(MAIL)
    world.clock.advance(LEASE_S + 1)
    await world.process("send_email.2").begin(MAIL)
    assert (await slow.finish(effect, EffectState.SENT)).state == EffectState.SENT


async def test_who_lost_the_right_to_finish_changes_nothing() -> None:
    world = World()
    first = world.process("send_email.1")
    mine = await first.begin(MAIL)
    await first.release(mine)
    theirs = await world.process("send_email.2").begin(MAIL)
    assert theirs.may_send
    assert (await first.finish(mine, EffectState.REJECTED)).state == EffectState.SENDING


async def test_a_sure_refusal_gives_the_effect_back() -> None:
    ledger = World().process()
    await ledger.release(await ledger.begin(MAIL))
    effect = await ledger.begin(MAIL)
    assert (effect.may_send, effect.attempt) == (True, 2)


async def test_a_suppressed_effect_cannot_be_begun() -> None:
    ledger = World().process()
    await ledger.suppress(MAIL, {"reason": "unsubscribed"})
    effect = await ledger.begin(MAIL)
    assert (effect.may_send, effect.state) == (False, EffectState.SUPPRESSED)
    assert dict(effect.facts) == {"reason": "unsubscribed"}


async def test_what_was_sent_cannot_be_suppressed() -> None:
    ledger = World().process()
    await ledger.finish(await ledger.begin(MAIL), EffectState.SENT)
    assert (await ledger.suppress(MAIL)).state == EffectState.SENT


class ForgetfulStore(InMemoryStore):
    """Carries an update out and loses the answer."""

    forgets = 0

    async def update_if(self, *arguments: Any, **named: Any) -> Document | None:
        document = await super().update_if(*arguments, **named)
        if self.forgets:
            self.forgets -= 1
            raise StoreUnavailableError("the answer was lost")
        return document


async def test_a_lost_answer_of_the_store_does_not_use_the_effect_up() -> None:
    world = World(ForgetfulStore())
    assert isinstance(world.store, ForgetfulStore)
    world.store.forgets = 1
    ledger = world.process()
    with pytest.raises(StoreUnavailableError):
        await ledger.begin(MAIL)
    assert (await ledger.begin(MAIL)).may_send


class Crashes(RuleBasedStateMachine):
    """Three processes begin, send, finish, crash and restart in any order, with any clock."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.lives = [0, 0, 0]
        self.ledgers = [self.world.process(f"send_email.{number}", "0") for number in range(3)]
        self.permits: dict[int, Effect] = {}
        self.sent = 0
        self.resolved = False

    @rule(number=st.integers(0, 2))
    def begin(self, number: int) -> None:
        if number in self.permits:
            return
        try:
            effect = asyncio.run(self.ledgers[number].begin(MAIL))
        except EffectUnavailableError:
            return
        if effect.may_send:
            self.permits[number] = effect

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), confirmed=st.booleans())
    def send(self, data: st.DataObject, confirmed: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.permits)))
        effect = self.permits.pop(number)
        self.sent += 1  # the mail is out, whatever is noted afterwards
        if confirmed:
            asyncio.run(self.ledgers[number].finish(effect, EffectState.SENT))

    @precondition(lambda self: self.permits)
    @rule(data=st.data())
    def refused(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.permits)))
        asyncio.run(self.ledgers[number].release(self.permits.pop(number)))

    @rule(number=st.integers(0, 2))
    def crash(self, number: int) -> None:
        self.permits.pop(number, None)
        self.lives[number] += 1
        self.ledgers[number] = self.world.process(f"send_email.{number}", str(self.lives[number]))

    @rule(verdict=st.sampled_from([EffectState.SENT, EffectState.REJECTED]))
    def a_person_resolves(self, verdict: Any) -> None:
        with suppress(RefusedError):
            asyncio.run(self.ledgers[0].resolve(MAIL, verdict, "ann"))
            self.resolved = True

    @rule(seconds=st.floats(-100, 100))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @invariant()
    def it_is_sent_once_at_most(self) -> None:
        assert self.sent <= 1
        assert len(self.permits) <= 1

    @invariant()
    def what_may_have_been_sent_is_never_free_again(self) -> None:
        document = asyncio.run(self.world.store.get(EFFECTS, MAIL))
        if self.sent:
            assert document is not None
            said = {EffectState.REJECTED} if self.resolved else set()
            assert document["state"] in {EffectState.SENDING, EffectState.SENT, EffectState.UNKNOWN, *said}


TestCrashes = Crashes.TestCase
