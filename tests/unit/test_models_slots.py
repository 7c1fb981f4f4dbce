"""Slots with precedence lose none, whoever is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from pointsman.models.slots import PausedError, PrioritySlots


async def test_a_cancelled_waiter_gives_its_turn_to_the_next() -> None:
    slots = PrioritySlots(1)
    entered: list[str] = []

    async def hold(name: str, priority: int) -> None:
        async with slots.taken(priority):
            entered.append(name)

    async with slots.taken(5):
        cancelled = asyncio.create_task(hold("cancelled", 9))
        waiting = asyncio.create_task(hold("waiting", 1))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0)
    await waiting
    assert entered == ["waiting"]


async def test_a_slot_given_to_a_waiter_that_is_cancelled_before_it_wakes_up_is_not_lost() -> None:
    slots = PrioritySlots(1)

    async def hold() -> None:
        async with slots.taken(5):
            pass

    async with slots.taken(5):
        waiter = asyncio.create_task(hold())
        await asyncio.sleep(0)
    waiter.cancel()  # The slot is already its own, but it has not run yet.
    with pytest.raises(asyncio.CancelledError):
        await waiter
    async with asyncio.timeout(1):
        await hold()


async def test_an_error_inside_gives_the_slot_back() -> None:
    slots = PrioritySlots(1)
    for _ in range(2):
        with pytest.raises(ValueError, match="inside"):
            async with slots.taken(5):
                raise ValueError("inside")


async def test_nobody_gets_a_slot_before_a_pause_is_over_and_the_longest_pause_counts() -> None:
    slots = PrioritySlots(2)
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.06
    slots.pause(0.02)
    slots.pause(0.06)
    slots.pause(0.01)
    async with slots.taken(5):
        assert loop.time() >= until - 0.001
    assert slots.pause_left_s() == 0


async def test_a_waiter_that_is_sent_away_takes_no_slot_with_it() -> None:
    slots = PrioritySlots(1)

    async def hold() -> None:
        async with slots.taken(5, patience_s=0.0):
            pass

    async with slots.taken(5):
        waiter = asyncio.create_task(hold())
        await asyncio.sleep(0)
        slots.pause(0.01)
        with pytest.raises(PausedError):
            await waiter
    async with asyncio.timeout(1), slots.taken(5):
        pass
