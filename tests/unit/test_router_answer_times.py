"""When an answer of the model is looked for."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flink_jobs.operators.answer_times import LONGEST_WAIT_S, AnswerTimes


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def after(*took_s: float) -> tuple[AnswerTimes, Clock]:
    """As after answers that took so long, one after the other."""
    clock = Clock()
    times = AnswerTimes(clock)
    for each in took_s:
        answer: Future[Any] = Future()
        times.watch(answer)
        clock.now += each
        answer.set_result(None)
    return times, clock


def test_before_the_first_answer_a_question_is_looked_at_at_once() -> None:
    times, clock = after()
    assert times.next_look_s([clock.now]) == 0.0


def test_no_look_before_the_quickest_tenth_of_the_answers_would_be_there() -> None:
    times, clock = after(0.01, *[0.08] * 9, *[2.0] * 10)
    assert times.next_look_s([clock.now]) == pytest.approx(0.08)
    assert times.next_look_s([clock.now - 0.05]) == pytest.approx(0.03)


def test_looks_at_a_late_answer_become_rarer() -> None:
    times, clock = after(0.2)
    waits = [times.next_look_s([clock.now - age]) for age in (0.2, 0.4, 1.2, 60.0)]
    assert waits == pytest.approx([0.0, 0.01, 0.05, LONGEST_WAIT_S])


def test_the_question_that_wants_the_earliest_look_decides() -> None:
    times, clock = after(0.2)
    assert times.next_look_s([clock.now, clock.now - 0.15, clock.now - 3]) == pytest.approx(0.05)


def test_where_nothing_is_asked_there_is_no_hurry() -> None:
    times, _ = after(0.2)
    assert times.next_look_s([]) == LONGEST_WAIT_S


def test_it_follows_a_model_that_becomes_quick() -> None:
    times, clock = after(*[3.0] * 200, *[0.05] * 7)
    assert times.next_look_s([clock.now]) == pytest.approx(0.05)


@given(
    took_s=st.lists(st.floats(0, 100), max_size=80),
    ages_s=st.lists(st.floats(0, 1000), min_size=1, max_size=20),
)
def test_no_wait_is_negative_or_long(took_s: list[float], ages_s: list[float]) -> None:
    times, clock = after(*took_s)
    assert 0 <= times.next_look_s([clock.now - age for age in ages_s]) <= LONGEST_WAIT_S
