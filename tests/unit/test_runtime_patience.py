"""Quick tries for what passes in seconds, long waits for an outage, and an end to both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.definitions import Limits
from pointsman.errors import ErrorReason, ModelUnavailableError, PermanentError, TransientError
from pointsman.runtime.patience import OUTAGES, Patience
from pointsman.testing import ManualClock

LIMITS = Limits(attempts=3, timeout_s=7, retry_for_s=900)


class Working:
    """The time limit on the work."""

    until: float = 0.0

    def reschedule(self, when: float) -> None:
        self.until = when


class Trying:
    """A message that is tried; the clock moves by the waits."""

    def __init__(self, dice: Callable[[], float] = lambda: 0.0, is_wanted: Callable[[], bool] = lambda: True) -> None:
        self.clock = ManualClock()
        self.working = Working()
        self.waited_s = 0.0
        self._patience = Patience(
            LIMITS, now=self.clock, dice=dice, is_wanted=is_wanted, working=self.working  # type: ignore[arg-type]
        )  # fmt: skip

    def fail(self, error: Exception) -> float | None:
        """Seconds until the next try, None when there is none."""
        wait_s = self._patience(error)
        if isinstance(wait_s, bool):
            assert wait_s is False
            return None
        self.clock.advance(wait_s)
        self.waited_s += wait_s
        return wait_s


@pytest.fixture(autouse=True)
def _loop() -> Iterator[None]:
    with running_loop():
        yield


@contextmanager
def running_loop() -> Iterator[None]:
    """A loop whose clock can be asked, without anything running on it."""
    loop = asyncio.new_event_loop()
    asyncio.events._set_running_loop(loop)
    try:
        yield
    finally:
        asyncio.events._set_running_loop(None)
        loop.close()


def test_a_hiccup_is_tried_as_often_as_declared() -> None:
    trying = Trying()
    assert [trying.fail(TransientError("busy")) for _ in range(3)] == [0.2, 0.4, None]


@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_is_tried_until_its_time_is_over(kind: type[TransientError]) -> None:
    trying, waits = Trying(), []
    while (wait_s := trying.fail(kind("gone"))) is not None:
        waits.append(wait_s)
    assert waits[:9] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0])
    assert max(waits) == 30.0
    assert 900 <= trying.waited_s <= 900.3


def test_hiccups_in_an_outage_do_not_use_up_its_time_nor_it_their_attempts() -> None:
    trying = Trying()
    for _ in range(10):
        assert trying.fail(ModelUnavailableError("gone")) is not None
    assert [trying.fail(TransientError("busy")) for _ in range(3)] == [0.2, 0.4, None]


def test_the_wait_that_the_other_side_asks_for_is_kept_but_for_the_last_try_before_the_end() -> None:
    trying = Trying()
    assert trying.fail(ModelUnavailableError("429", 120.0)) == 120.0
    assert trying.fail(ModelUnavailableError("429", 86_400.0)) == 780.0
    assert trying.fail(ModelUnavailableError("429", 1.0)) is None


def test_while_an_outage_is_waited_out_the_time_limit_on_the_work_stands_still() -> None:
    trying = Trying()
    before = asyncio.get_running_loop().time()
    trying.fail(ModelUnavailableError("429", 120.0))
    assert trying.working.until - before == pytest.approx(127, abs=1)


def test_what_lasts_and_what_nobody_wants_is_not_tried_again() -> None:
    assert Trying().fail(PermanentError(ErrorReason.AGENT_FAULT, "no")) is None
    assert Trying().fail(ValueError("bug")) is None
    assert Trying(is_wanted=lambda: False).fail(ModelUnavailableError("gone")) is None


@given(dice=st.lists(st.floats(0, 1), min_size=1, max_size=20), asked=st.lists(st.none() | st.floats(0, 90)))
def test_whatever_chance_and_the_other_side_say_the_waiting_ends(dice: list[float], asked: list[float | None]) -> None:
    throws = iter(dice * 2000)
    trying = Trying(lambda: next(throws))
    wishes = iter(asked)
    tries = 0
    while (wait_s := trying.fail(ModelUnavailableError("gone", next(wishes, None)))) is not None:
        assert 0.2 <= wait_s <= 90 + 30 * 0.25
        tries += 1
    assert trying.waited_s <= 900 + 0.25
    assert tries <= 4510
