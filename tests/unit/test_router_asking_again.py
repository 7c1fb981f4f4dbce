"""While the model is out, a message is asked about again, ever more rarely, until its time is over."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flink_jobs.operators.asking_again import AskingAgain, outage_limit_s
from flink_jobs.operators.deciding import Question
from flink_jobs.operators.records import Arrived
from flink_jobs.operators.shard import Waiting
from pointsman.envelope import Record
from pointsman.errors import ModelAnswerError, ModelUnavailableError
from pointsman.models.port import ChatRequest
from pointsman.settings import settings

LIMIT_S = 900.0
DOWN = ModelUnavailableError("down")


class Asking:
    """The operator's side, with a clock that goes from one question to the next."""

    def __init__(self, dice: float = 0.0) -> None:
        self.now = 1000.0
        self.again = AskingAgain(LIMIT_S, lambda: self.now, lambda: dice)
        self.stood_in: list[Record] | None = None

    def stand_in(self) -> list[Record] | None:
        return self.stood_in

    def ask(self, waiting: Waiting) -> None:
        waiting.question = Question(
            request=ChatRequest(system="", user="", schema={}), conclude=lambda answer: [], stand_in=self.stand_in
        )
        waiting.answer = Future()
        self.again.watch(waiting)

    def fail(self, waiting: Waiting, error: Exception = DOWN) -> None:
        assert waiting.answer
        waiting.answer.set_exception(error)

    def next_question(self, waiting: Waiting) -> float | None:
        """Seconds until `waiting` is asked again, None when it never is."""
        if waiting in self.again.take_due():
            return 0.0
        if not self.again:
            return None
        due_at = self.again._later[0][0]
        wait_s, self.now = due_at - self.now, due_at
        assert self.again.take_due() == [waiting]
        return wait_s


def message(offset: int = 0) -> Waiting:
    return Waiting(Arrived(Record(topic="t", key=b"k", value=b"{}", headers={}, partition=0, offset=offset), 1))


def waits(asking: Asking, waiting: Waiting, error: Exception = DOWN) -> list[float]:
    found: list[float] = []
    while True:
        asking.ask(waiting)
        asking.fail(waiting, error)
        wait_s = asking.next_question(waiting)
        if wait_s is None:
            return found
        found.append(wait_s)


def test_the_waits_grow_up_to_half_a_minute_and_end_with_the_limit() -> None:
    asking, waiting = Asking(), message()
    found = waits(asking, waiting)
    assert found[:8] == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30])
    assert LIMIT_S <= sum(found) <= LIMIT_S + 0.5
    assert waiting.is_given_up
    assert waiting.concluded() == []


def test_the_model_is_not_asked_before_the_time_that_it_named() -> None:
    asking, waiting = Asking(), message()
    asking.ask(waiting)
    asking.fail(waiting, ModelUnavailableError("breaker", 28.5))
    assert asking.next_question(waiting) == pytest.approx(28.5)


def test_a_call_that_took_too_long_is_an_outage_too() -> None:
    asking, waiting = Asking(), message()
    asking.ask(waiting)
    asking.fail(waiting, TimeoutError())
    assert asking.next_question(waiting) == pytest.approx(0.5)


def test_an_answer_of_no_use_and_a_cancelled_call_are_not_asked_again() -> None:
    asking, useless, cancelled = Asking(), message(1), message(2)
    asking.ask(useless)
    asking.fail(useless, ModelAnswerError("rubbish"))
    asking.ask(cancelled)
    assert cancelled.answer
    cancelled.answer.cancel()
    assert asking.again.take_due() == []
    assert not asking.again


@given(dice=st.floats(0, 1), asked_s=st.none() | st.floats(0, 3600))
def test_whatever_the_model_asks_for_the_waiting_ends(dice: float, asked_s: float | None) -> None:
    asking, waiting = Asking(dice), message()
    found = waits(asking, waiting, ModelUnavailableError("down", asked_s))
    assert sum(found) <= LIMIT_S + 1
    assert all(wait_s >= min(0.5, LIMIT_S) for wait_s in found)
    assert waiting.is_given_up


def test_the_limit_is_the_workers_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_MODEL_OUTAGE_S", "77")
    settings.cache_clear()
    assert outage_limit_s() == 77
    monkeypatch.setenv("POINTSMAN_MODEL_OUTAGE_S", "rubbish")
    settings.cache_clear()
    assert outage_limit_s() == 900
    settings.cache_clear()


def test_where_the_local_model_stands_in_the_message_is_decided_at_once() -> None:
    asking, waiting = Asking(), message()
    asking.stood_in = [Record(topic="decided", key=None, value=None, headers={})]
    asking.ask(waiting)
    asking.fail(waiting)
    assert asking.next_question(waiting) is None
    assert waiting.concluded() == asking.stood_in


def test_what_many_threads_answer_at_once_is_all_seen() -> None:
    asking = Asking()
    messages = [message(offset) for offset in range(400)]
    for each in messages:
        asking.ask(each)
    with ThreadPoolExecutor(8) as threads:
        answered = [threads.submit(asking.fail, each) for each in messages]
        while not all(future.done() for future in answered):
            assert asking.again.take_due() == []
    asking.again.take_due()  # puts the last into line
    asking.now += 60
    again = [each.arrived.record.offset for each in asking.again.take_due()]
    assert sorted(again) == list(range(400))
