"""The soak's measure of memory."""

from __future__ import annotations

import pytest

from tests.chaos.memory import growth_percent


def test_growth_is_told_per_ten_minutes_whatever_the_span() -> None:
    samples = [(1000.0 + second, 100e6 + second * 1000) for second in range(0, 300, 5)]
    assert growth_percent(samples) == pytest.approx(0.6, rel=0.01)


def test_a_saw_tooth_does_not_grow() -> None:
    samples = [(float(second), 200e6 + (second % 50) * 1e5) for second in range(0, 1000, 5)]
    assert abs(growth_percent(samples)) < 0.2


def test_one_sample_has_no_slope() -> None:
    with pytest.raises(ValueError, match="two samples"):
        growth_percent([(0.0, 1.0)])
