"""When the durable call operator looks for answers."""

import pytest

from flink_jobs.operators import looks
from flink_jobs.operators.answer_times import AnswerTimes
from flink_jobs.operators.looks import Looks
from tests.durable_call import Calls, Flink, calls, message, started

assert calls, "a fixture"


class Clocks:
    """Both clocks of the operator: the one by which timers fire, and the one that measures answers."""

    def __init__(self, flink: Flink, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = 1_000_000
        monkeypatch.setattr("flink_jobs.operators.route.time.time_ns", lambda: self.ms * 1_000_000)
        flink.operator._looks = Looks(AnswerTimes(lambda: self.ms / 1000))


def test_the_next_look_is_one_for_all_and_less_soon_while_many_wait(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    flink = started(Flink())
    clocks = Clocks(flink, monkeypatch)
    for offset in range(looks.BUSY_FROM):
        flink.message(message(f"w{offset}", offset))
    clocks.ms += looks.TICK_MS
    flink.tick()
    assert flink.timers == [1_000_000 + looks.TICK_MS, 1_000_000 + looks.TICK_MS + looks.BUSY_TICK_MS]


@pytest.mark.parametrize(("late_ms", "next_ms"), [(1, looks.TICK_MS), (20, 40), (60_000, 2 * looks.MOST_LATE_MS)])
def test_a_look_that_came_late_is_followed_less_soon(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, late_ms: int, next_ms: int
) -> None:
    flink = started(Flink())
    clocks = Clocks(flink, monkeypatch)
    flink.message(message("w", 1))
    clocks.ms += looks.TICK_MS
    flink.tick(late_ms)
    assert flink.timers[-1] == clocks.ms + next_ms


def test_an_answer_is_looked_for_when_it_may_be_there_and_at_once_where_one_is(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    flink = started(Flink())
    clocks = Clocks(flink, monkeypatch)
    flink.message(message("w", 1))
    clocks.ms += 80
    calls.answer(0)
    flink.tick()
    flink.timers.clear()

    flink.message(message("w", 2))
    assert flink.timers == [clocks.ms + 80]
    flink.message(message("w", 3))
    calls.answer(2)
    flink.tick()
    assert flink.timers == [clocks.ms + 80, clocks.ms + looks.TICK_MS]
