"""The limits of workflows, by the type of their first message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pointsman.errors import ConfigurationError
from pointsman.usage import Budget
from pointsman.workflow_limits import LimitsByType, WorkflowLimits

ROOT = Path(__file__).parents[2]


def test_without_a_file_the_built_in_limits_hold(tmp_path: Path) -> None:
    limits = LimitsByType.read(tmp_path / "none.toml")
    assert limits.of("anything") == WorkflowLimits()
    assert limits.of("anything").budget == Budget(calls=20, tokens=200_000, cost_microusd=500_000)


def test_a_type_has_its_own_limits_on_top_of_those_for_all(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text('[default]\nmodel_calls = 7\ncost_usd = 1\n["a.b"]\nmodel_calls = 9\n')
    limits = LimitsByType.read(file)
    assert (limits.of("a.b").model_calls, limits.of("a.b").cost_usd) == (9, 1.0)
    assert limits.of("c.d").model_calls == 7


def test_zero_lifts_a_bound() -> None:
    lifted = LimitsByType({"default": {"model_calls": 0, "tokens": 0, "cost_usd": 0, "age_h": 0}}).default
    assert lifted.budget == Budget()


def test_what_the_job_is_told_is_what_was_read() -> None:
    limits = LimitsByType({"default": {"hops": 3}, "a.b": {"age_h": 1}})
    told = LimitsByType.from_json(limits.to_json())
    assert (told.default, told.of("a.b")) == (limits.default, limits.of("a.b"))
    assert LimitsByType.from_json("").default == WorkflowLimits()


@pytest.mark.parametrize(
    "tables",
    [{"default": {"hop": 1}}, {"a.b": {"hops": 0}}, {"a.b": {"hops": "1"}}, {"a.b": 3}, {"a.b": {"cost_usd": -1}}],
)
def test_what_is_no_limit_is_refused_by_name(tables: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(tables))):
        LimitsByType(tables)


@pytest.mark.parametrize("text", ["[default", "hops = 1", "\x00"])
def test_a_file_that_is_none_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"limits\.toml"):
        LimitsByType.read(file)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_job_that_is_told_nonsense_refuses_to_start(text: str) -> None:
    with pytest.raises(ConfigurationError):
        LimitsByType.from_json(text)


def test_the_shipped_file_gives_a_lead_time_for_its_series() -> None:
    limits = LimitsByType.read(ROOT / "workflow_limits.toml")
    assert limits.of("lead.received").age_h > 24 * 60
    assert limits.default == WorkflowLimits()
