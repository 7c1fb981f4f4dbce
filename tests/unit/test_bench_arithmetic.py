"""What the benchmarks' figures are made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.arithmetic import (
    Arrival,
    Offered,
    account,
    latencies_ms,
    longest_gap_s,
    medians,
    per_second,
    percentile,
    ratio_of_medians,
    stolen_percent,
    summary,
)


def seen(number: int, at: float, agent: str = "billing") -> Arrival:
    return Arrival(number=number, at=at, agent=agent)


def test_latency_counts_from_when_a_message_was_due_and_not_from_when_it_was_sent() -> None:
    offered = Offered(count=3, began=100.0, rate=10.0)
    # The generator was late with the last one; that is the system's fault as seen by who waits.
    assert latencies_ms(offered, [seen(0, 100.2), seen(1, 100.3), seen(2, 101.2)]) == pytest.approx([200, 200, 1000])


def test_a_second_copy_takes_nothing_from_the_latency_of_the_first() -> None:
    offered = Offered(count=1, began=0.0, rate=1.0)
    assert latencies_ms(offered, [seen(0, 5.0), seen(0, 0.5)]) == pytest.approx([500])


def test_messages_of_the_warm_up_have_no_latency() -> None:
    offered = Offered(count=4, began=0.0, rate=1.0)
    arrivals = [seen(number, number + 0.1 * (4 - number)) for number in range(4)]
    assert latencies_ms(offered, arrivals, warm_up_s=2.0) == pytest.approx([100, 200])


def test_in_a_burst_all_messages_are_due_at_once() -> None:
    assert {Offered(count=3, began=7.0, rate=0).due(number) for number in range(3)} == {7.0}


def test_what_is_missing_comes_twice_or_goes_astray_is_counted() -> None:
    arrivals = [seen(0, 1.0), seen(1, 1.0), seen(1, 2.0), seen(1, 3.0), seen(3, 1.0, "delivery")]
    found = account(5, arrivals, lambda _: "billing")
    assert (found.lost, found.duplicated, found.misrouted) == (2, 2, 1)
    assert found.is_void


def test_copies_alone_do_not_void_a_run() -> None:
    assert not account(1, [seen(0, 1.0), seen(0, 2.0)], lambda _: "billing").is_void


def test_where_nothing_is_routed_nothing_goes_astray() -> None:
    assert account(1, [seen(0, 1.0, "anywhere")], lambda _: None).misrouted == 0


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (90, 90), (99, 99), (100, 100), (1, 1)])
def test_percentiles_are_of_nearest_rank(percent: float, value: int) -> None:
    assert percentile(list(range(1, 101)), percent) == value


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(1, 100))
def test_a_percentile_is_one_of_the_values_and_no_more_are_below_it_than_it_says(
    values: list[float], percent: float
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert found in ordered
    assert sum(value < found for value in ordered) <= len(ordered) * percent / 100


def test_no_values_have_no_percentile_and_an_empty_summary() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)
    assert summary([]) == {}


def test_a_summary_holds_percentiles_and_the_largest() -> None:
    assert summary([1.0, 2.0, 3.004]) == {"p50": 2.0, "p90": 3.0, "p99": 3.0, "max": 3.0}


def test_messages_per_second_are_counted_once_each_between_first_and_last() -> None:
    assert per_second([seen(0, 1.0), seen(1, 1.5), seen(1, 9.0), seen(2, 2.0)]) == pytest.approx(2.0)
    assert per_second([seen(0, 1.0)]) == 0


def test_the_longest_silence_is_between_any_two_records() -> None:
    assert longest_gap_s([seen(2, 9.0), seen(0, 1.0), seen(1, 2.5)]) == pytest.approx(6.5)


def test_ratios_are_of_medians_and_there_is_none_without_values() -> None:
    assert ratio_of_medians([10, 20, 900], [5, 2, 4]) == pytest.approx(5.0)
    assert ratio_of_medians([], [1]) is None
    assert ratio_of_medians([1], [0]) is None


def test_medians_leave_out_repeats_without_a_figure() -> None:
    assert medians([{"a": 1.0, "b": None}, {"a": 3.0, "b": 7.0}, {"a": 100.0}]) == {"a": 3.0, "b": 7.0}


def test_what_the_host_kept_back_is_a_share_of_all_cores_time() -> None:
    before = {"user": 10.0, "idle": 100.0, "steal": 1.0}
    assert stolen_percent(before, {"user": 12.0, "idle": 105.0, "steal": 4.0}) == 30.0
    assert stolen_percent({"user": 10.0, "idle": 1.0}, {"user": 11.0, "idle": 2.0}) == 0.0
    assert stolen_percent(before, before) == 0.0
