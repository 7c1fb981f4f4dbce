"""Numbers that travel: what was used, what is left, and what it cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.models.prices import Price, cost_usd, price_of
from pointsman.usage import MICRO, USAGE_HEADERS, Budget, Usage, microusd

counts = st.integers(0, 10**11)
usages = st.builds(Usage, calls=counts, input_tokens=counts, output_tokens=counts, cost_microusd=counts)
bounds = st.none() | counts
budgets = st.builds(Budget, calls=bounds, tokens=bounds, cost_microusd=bounds)


@given(usages)
def test_usage_comes_back_from_headers_and_from_text(used: Usage) -> None:
    assert Usage.from_headers(used.headers()) == used
    assert Usage.from_text(used.to_text()) == used


@given(budgets)
def test_a_budget_comes_back_from_headers(budget: Budget) -> None:
    assert Budget.from_headers(budget.headers()) == budget


@given(st.dictionaries(st.sampled_from(sorted(USAGE_HEADERS.values())), st.binary(max_size=20)), st.text(max_size=30))
def test_whatever_stands_in_the_headers_nothing_is_ever_negative(headers: dict[str, bytes], text: str) -> None:
    for used in (Usage.from_headers(headers), Usage.from_text(text)):
        assert min(used.calls, used.input_tokens, used.output_tokens, used.cost_microusd) >= 0


def test_what_is_zero_is_left_out_of_usage_and_stays_in_a_budget() -> None:
    assert Usage(calls=2).headers() == {"ce_modelcalls": b"2"}
    assert Budget(calls=0).headers() == {"ce_budgetcalls": b"0"}


@given(budgets, st.lists(usages, max_size=6))
def test_what_is_left_never_grows_and_is_never_negative(budget: Budget, spent: list[Usage]) -> None:
    left = budget
    for used in spent:
        after = left.less(used)
        for name in ("calls", "tokens", "cost_microusd"):
            before, now = getattr(left, name), getattr(after, name)
            assert (now is None) == (before is None)
            assert now is None or 0 <= now <= before
        left = after


@given(budgets, budgets)
def test_the_tighter_of_two_budgets_allows_nothing_that_either_forbids(one: Budget, other: Budget) -> None:
    both = one.within(other)
    assert both == other.within(one)
    assert (both.spent() is None) == (one.spent() is None and other.spent() is None)


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-4o-mini-latest"])
def test_a_dated_name_costs_what_the_plain_one_does(model: str) -> None:
    assert cost_usd(model, input_tokens=1_000_000, output_tokens=1_000_000) == pytest.approx(0.75)


@pytest.mark.parametrize("model", ["offline-stand-in (gpt-4o-mini)", "gpt-4o-mini-fast", "", "gpt-4o-minimal"])
def test_the_price_of_a_model_that_nobody_knows_is_unknown_and_not_zero(model: str) -> None:
    assert price_of(model) is None
    assert cost_usd(model, input_tokens=1, output_tokens=1) is None


def test_prices_of_ones_own_count() -> None:
    own = {"my-model": Price(input=1, output=2)}
    assert cost_usd("my-model", input_tokens=500_000, output_tokens=250_000, prices=own) == 1.0


@given(st.floats(0, 1000), st.lists(st.floats(0, 1), max_size=20))
def test_micro_dollars_add_up_to_the_sum_within_half_a_micro_each(first: float, others: list[float]) -> None:
    total = sum(microusd(each) for each in [first, *others])
    assert abs(total / MICRO - sum([first, *others])) <= (len(others) + 1) / MICRO
