"""Waits grow, stay bounded, keep what the other side asked for, and are spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backoff import BackOff

dice = st.floats(0, 1)
tries = st.integers(1, 10_000)
back_offs = st.builds(
    BackOff, first_s=st.floats(0.01, 10), longest_s=st.floats(10, 120), spread=st.floats(0, 1)
)  # fmt: skip


@given(back_off=back_offs, tries=tries)
def test_a_wait_is_never_shorter_than_the_one_before_it(back_off: BackOff, tries: int) -> None:
    assert back_off.wait_s(tries, 0.0) <= back_off.wait_s(tries + 1, 0.0)


@given(back_off=back_offs, tries=tries, dice=dice)
def test_a_wait_is_bounded_by_the_cap_and_the_spread(back_off: BackOff, tries: int, dice: float) -> None:
    least = back_off.wait_s(tries, 0.0)
    assert back_off.first_s <= least <= back_off.longest_s
    assert least <= back_off.wait_s(tries, dice) <= least * (1 + back_off.spread) * 1.000001


@given(back_off=back_offs, tries=tries, dice=dice, asked_s=st.floats(0, 3600))
def test_nobody_comes_back_before_the_time_that_the_other_side_asked_for(
    back_off: BackOff, tries: int, dice: float, asked_s: float
) -> None:
    wait_s = back_off.wait_s(tries, dice, asked_s)
    assert wait_s >= asked_s
    assert wait_s <= max(asked_s, back_off.longest_s) + back_off.longest_s * back_off.spread


def test_the_waits_of_the_default() -> None:
    waits = [BackOff().wait_s(number, 0.0) for number in range(1, 9)]
    assert waits == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30])
