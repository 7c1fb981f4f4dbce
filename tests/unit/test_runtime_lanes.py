"""One lane per workflow: in order within, side by side between."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from pointsman.runtime.lanes import Lanes


class Workshop:
    """Work that ends when the test opens its gate."""

    def __init__(self, limit: int) -> None:
        self.lanes: Lanes[str] = Lanes(self._work, lambda: limit)
        self.gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.began: list[str] = []
        self.ended: list[str] = []

    async def _work(self, name: str) -> None:
        self.began.append(name)
        await self.gates[name].wait()
        self.ended.append(name)

    async def open(self, name: str) -> None:
        self.gates[name].set()
        await settled()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_work_of_one_workflow_waits_for_its_predecessor_and_other_workflows_do_not() -> None:
    shop = Workshop(limit=8)
    for name in ("a1", "a2", "b1"):
        shop.lanes.submit(name[0], name)
    await settled()
    assert shop.began == ["a1", "b1"]
    await shop.open("a1")
    assert shop.began == ["a1", "b1", "a2"]
    await shop.open("a2")
    await shop.open("b1")


async def test_no_more_runs_at_the_same_time_than_the_limit_allows() -> None:
    shop = Workshop(limit=2)
    for name in ("a1", "b1", "c1", "d1"):
        shop.lanes.submit(name[0], name)
    await settled()
    assert shop.began == ["a1", "b1"]
    await shop.open("b1")
    assert shop.began == ["a1", "b1", "c1"]
    await shop.lanes.finish(0)


async def test_winding_down_drops_what_has_not_begun_and_cancels_what_is_late() -> None:
    shop = Workshop(limit=2)
    for name in ("a1", "a2", "b1", "c1"):
        shop.lanes.submit(name[0], name)
    await settled()
    shop.lanes.drop_waiting()
    shop.gates["a1"].set()
    await shop.lanes.finish(0.02)
    assert (shop.began, shop.ended) == (["a1", "b1"], ["a1"])


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 4))
def test_every_piece_of_work_is_done_once_and_in_the_order_of_its_workflow(keys: list[str], limit: int) -> None:
    done: list[tuple[str, int]] = []
    all_done = asyncio.Event()

    async def work(piece: tuple[str, int]) -> None:
        await asyncio.sleep(0)
        done.append(piece)
        if len(done) == len(keys):
            all_done.set()

    async def run() -> None:
        lanes = Lanes(work, lambda: limit)
        for number, key in enumerate(keys):
            lanes.submit(key, (key, number))
        if keys:
            await all_done.wait()

    asyncio.run(run())
    for key in "abc":
        assert [number for name, number in done if name == key] == [n for n, name in enumerate(keys) if name == key]
