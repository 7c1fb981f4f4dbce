"""When a model is left alone, and who may try it again."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pointsman.models.breaker import Breaker

FAILURES, RESET_S = 5, 30.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def breaker() -> tuple[Breaker, Clock]:
    clock = Clock()
    return Breaker(FAILURES, RESET_S, clock), clock


def fail(broken: Breaker, times: int = 1) -> None:
    for _ in range(times):
        broken.failed(is_probe=broken.begin())


def test_it_opens_with_the_fifth_failure_in_a_row_and_not_before() -> None:
    broken, _ = breaker()
    fail(broken, 4)
    assert broken.refused_for_s() == 0
    fail(broken)
    assert broken.refused_for_s() == RESET_S


def test_an_answer_in_between_starts_the_count_anew() -> None:
    broken, _ = breaker()
    fail(broken, 4)
    broken.begin()
    broken.succeeded()
    fail(broken, 4)
    assert not broken.is_open


def test_after_its_time_one_attempt_tries_and_the_others_wait_for_it() -> None:
    broken, clock = breaker()
    fail(broken, 5)
    clock.now += RESET_S
    assert broken.refused_for_s() == 0
    assert broken.begin()
    assert broken.refused_for_s() > 0
    broken.succeeded()
    assert not broken.is_open


def test_an_attempt_in_vain_keeps_it_open_for_as_long_again() -> None:
    broken, clock = breaker()
    fail(broken, 5)
    clock.now += RESET_S
    fail(broken)
    assert broken.refused_for_s() == RESET_S


def test_an_attempt_that_is_cancelled_lets_another_try() -> None:
    broken, clock = breaker()
    fail(broken, 5)
    clock.now += RESET_S
    broken.let_go(is_probe=broken.begin())
    assert broken.refused_for_s() == 0
    assert broken.is_open


def test_failures_of_attempts_that_began_before_it_opened_do_not_put_the_next_try_off() -> None:
    broken, clock = breaker()
    late = [broken.begin() for _ in range(3)]
    fail(broken, 5)
    clock.now += RESET_S - 1
    for is_probe in late:
        broken.failed(is_probe=is_probe)
    assert broken.refused_for_s() == 1


class WhateverHappens(RuleBasedStateMachine):
    """Attempts begin and end in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.broken, self.clock = breaker()
        self.running: list[bool] = []
        self.in_a_row = 0

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.broken.refused_for_s() == 0)
    @rule()
    def begin(self) -> None:
        self.running.append(self.broken.begin())

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        is_probe = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        how = data.draw(st.sampled_from(["succeeded", "failed", "let_go"]))
        was_open = self.broken.is_open
        if how == "succeeded":
            self.broken.succeeded()
            self.in_a_row = 0
            assert not self.broken.is_open
        elif how == "failed":
            self.broken.failed(is_probe=is_probe)
            self.in_a_row += not was_open
            assert self.broken.is_open == (was_open or self.in_a_row >= FAILURES)
        else:
            self.broken.let_go(is_probe=is_probe)
            assert self.broken.is_open == was_open

    @invariant()
    def it_never_refuses_for_longer_than_its_time(self) -> None:
        assert 0 <= self.broken.refused_for_s() <= RESET_S + 1e-6

    @invariant()
    def while_it_is_open_at_most_one_attempt_decides(self) -> None:
        if self.broken.is_open and self.broken.refused_for_s() == 0:
            assert self.broken.begin()
            assert self.broken.refused_for_s() > 0
            self.broken.let_go(is_probe=True)


TestAnything = WhateverHappens.TestCase
