"""Slots with precedence lose none, whoever is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from pointsman.models.slots import PrioritySlots


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
