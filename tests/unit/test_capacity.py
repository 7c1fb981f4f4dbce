"""What so many leads a day need, from figures of one lead."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pointsman.capacity import BUSIEST, Capacity, Demand, Figures, planned
from pointsman.cli.capacity import FIGURES
from pointsman.cli.main import app
from pointsman.errors import ConfigurationError
from pointsman.topics import DECISIONS, LEADS, MESSAGES, WORKFLOW_STATE

USE = {"model_calls": 1, "input_tokens": 1000, "output_tokens": 100}
NOTHING = {"model_calls": 0, "input_tokens": 0, "output_tokens": 0}
FIGURES_OF_A_LEAD = Figures.model_validate(
    {
        "measured": {"date": "2030-01-02", "machine": "m"},
        "per_lead": {
            "messages": 5, "mails": 1, "mongodb_bytes": 2000, "router": NOTHING,
            "topic_bytes": {MESSAGES: 1000, DECISIONS: 2000, WORKFLOW_STATE: 100, "agents.writer.inbox": 500},
            "agents": {
                "writer": {"messages": 1, "in_flight": 10, **USE},
                "sender": {"messages": 1, "in_flight": 100, **NOTHING},
            },
        },
        "leads_per_s_per_instance": 10, "hop_s": 0.2,
        "memory_mib": {"taskmanager": 600, "agent": 100, "rest": 1000},
    }
)  # fmt: skip
DAY = Demand(leads_per_day=86_400, peak_factor=5, model_latency_s=3, utilisation=0.5, kafka_replicas=3)


def test_an_agent_needs_as_many_instances_as_little_s_law_says() -> None:
    writer = planned(DAY, FIGURES_OF_A_LEAD).agents["writer"]
    assert writer.messages_per_s == 5
    assert writer.in_flight == pytest.approx(5 * (0.2 + 3))
    assert writer.instances == 4, "16 in flight, and each instance takes half of 10"


def test_the_rate_at_which_one_instance_kept_up_bounds_router_and_agents() -> None:
    found = planned(replace(DAY, leads_per_day=2 * 86_400), FIGURES_OF_A_LEAD)
    assert found.agents["sender"].instances == 2
    assert found.router_instances == 2


def test_partitions_are_enough_for_the_agent_with_most_instances() -> None:
    assert planned(DAY, FIGURES_OF_A_LEAD).partitions == 4
    assert planned(replace(DAY, model_latency_s=6), FIGURES_OF_A_LEAD).partitions == 8


def test_the_model_s_quota_is_of_the_peak_and_its_price_of_the_day() -> None:
    model = planned(DAY, FIGURES_OF_A_LEAD).model
    assert (model.calls_per_min, model.input_tokens_per_min, model.output_tokens_per_min) == (300, 300_000, 30_000)
    assert model.in_flight == 15
    assert model.usd_per_day == pytest.approx(86_400 * (1000 * 0.15 + 100 * 0.60) / 1_000_000)
    assert planned(replace(DAY, model="nobody-knows"), FIGURES_OF_A_LEAD).model.usd_per_day is None


def test_storage_follows_the_retention_of_each_topic() -> None:
    storage = planned(DAY, FIGURES_OF_A_LEAD).storage
    copies = 3 * 86_400
    assert storage.kafka_per_day == copies * 3600
    assert storage.kafka_kept == copies * (1000 * 7 + 2000 * 30 + 500 * 7)
    assert storage.kafka_compacted_per_year == pytest.approx(copies * 100 / 5 * 365)
    assert storage.mongodb_per_day == 86_400 * 2000


def test_more_than_one_router_carries_is_said_and_not_planned_away() -> None:
    found = planned(replace(DAY, leads_per_day=40 * 86_400), FIGURES_OF_A_LEAD)
    assert found.router_instances == max(BUSIEST)
    assert found.problems == ("one router carries the work of 16.0 instances, and 40.0 are needed: run 3 systems",)
    assert planned(DAY, FIGURES_OF_A_LEAD).problems == ()


def needs(found: Capacity) -> list[float]:
    """Everything that must not shrink when more is asked for."""
    agents = [number for need in found.agents.values() for number in (need.instances, need.in_flight)]
    model = found.model
    return [
        found.router_instances, found.partitions, *agents, model.calls_per_min, model.input_tokens_per_min,
        model.in_flight, found.memory_mib,
    ]  # fmt: skip


SHARES = st.floats(0.05, 1)
MORE: list[tuple[str, Callable[[Demand, float], Demand]]] = [
    ("leads", lambda demand, more: replace(demand, leads_per_day=demand.leads_per_day * (1 + more))),
    ("peak", lambda demand, more: replace(demand, peak_factor=demand.peak_factor * (1 + more))),
    ("latency", lambda demand, more: replace(demand, model_latency_s=demand.model_latency_s * (1 + more))),
    ("reserve", lambda demand, more: replace(demand, utilisation=demand.utilisation / (1 + more))),
]


@pytest.mark.parametrize("asked", [asked for _, asked in MORE], ids=[name for name, _ in MORE])
@settings(max_examples=25)
@given(leads=st.floats(1, 1e7), peak=st.floats(1, 50), latency=st.floats(0, 60), share=SHARES, more=st.floats(0, 10))
def test_who_asks_for_more_needs_no_less(
    asked: Callable[[Demand, float], Demand], leads: float, peak: float, latency: float, share: float, more: float
) -> None:
    demand = Demand(leads_per_day=leads, peak_factor=peak, model_latency_s=latency, utilisation=share)
    less, greater = (planned(each, FIGURES_OF_A_LEAD) for each in (demand, asked(demand, more)))
    assert all(after >= before * (1 - 1e-9) for before, after in zip(needs(less), needs(greater), strict=True))


def test_the_shipped_figures_say_where_they_are_from_and_know_every_kind_of_topic() -> None:
    shipped = Figures.read(FIGURES)
    assert {"date", "machine", "cores", "leads", "mix"} <= set(shipped.measured)
    assert {LEADS, MESSAGES, DECISIONS, WORKFLOW_STATE} <= set(shipped.per_lead.topic_bytes)
    assert shipped.per_lead.agents


@pytest.mark.parametrize(("text", "said"), [(None, "cannot be read"), ("[]", "no JSON object"), ("{}", "measured")])
def test_figures_that_are_none_are_named(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "f.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        Figures.read(file)


def test_the_command_prints_a_table_and_the_same_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_MAIL_DAILY_CAP", "500")
    table = CliRunner().invoke(app, ["capacity", "--leads-per-day", "100000"])
    assert table.exit_code == 0, table.output
    assert "partitions of agent_messages and inboxes" in table.stdout
    assert "POINTSMAN_MAIL_DAILY_CAP is 500" in table.stderr
    data = json.loads(CliRunner().invoke(app, ["capacity", "--leads-per-day", "100000", "-o", "json"]).stdout)
    assert data["demand"]["leads_per_day"] == 100_000
    assert data["router_instances"] >= 1
    assert data["model"]["usd_per_day"] > 0
