"""A transaction that never ends costs the process, not the messages."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from functools import partial

import pytest

from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError
from pointsman.runtime.port import Position
from pointsman.runtime.stuck import watch_commits
from tests.memory_inbox import MemoryInbox
from tests.unit.test_runtime_process import CATALOG, Running, record


async def test_a_transaction_that_lasts_too_long_is_reported_once() -> None:
    failures: list[BaseException] = []
    began = time.monotonic() - 100
    await watch_commits(lambda: began, failures.append, stuck_after_s=99, look_every_s=0)
    assert [type(failure) for failure in failures] == [BrokerUnavailableError]


async def test_short_transactions_and_pauses_between_them_are_no_failure() -> None:
    failures: list[BaseException] = []
    looks = iter([None, time.monotonic(), None, time.monotonic(), time.monotonic() - 100])
    seen: list[float | None] = []

    def began() -> float | None:
        seen.append(next(looks))
        return seen[-1]

    await watch_commits(began, failures.append, stuck_after_s=50, look_every_s=0)
    assert len(seen) == 5
    assert len(failures) == 1


class StuckInbox(MemoryInbox):
    """Its transactions end only when the process gives up."""

    def __init__(self) -> None:
        super().__init__()
        self.given_up = threading.Event()

    def commit(self, records: Sequence[Record], positions: Sequence[Position]) -> None:
        assert self.given_up.wait(5)


async def test_a_process_whose_transaction_never_ends_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = partial(watch_commits, stuck_after_s=0.05, look_every_s=0.01)
    monkeypatch.setattr("pointsman.runtime.process.watch_commits", impatient)
    inbox = StuckInbox()
    running = Running(inbox)
    running.process.catalog_applied(CATALOG)
    inbox.put(record(0, "ann"))
    assert await asyncio.to_thread(running.process.stopping.wait, 5)
    inbox.given_up.set()
    with pytest.raises(BrokerUnavailableError, match="did not end"):
        await running.task
