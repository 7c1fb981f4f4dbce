"""What models cost by day, by agent and per mail; an unknown price is never nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from pointsman.cli.costs import table
from pointsman.costs import Costs, Spending, costs, spent_by_agents, spent_by_router
from pointsman.decision_log import LoggedDecision, Place
from pointsman.envelope import Record
from tests.logged import START, scored

DAY = date(2030, 1, 2)


def decision(cost: float | None, **told: Any) -> LoggedDecision:
    call = {"model": "m", "attempts": 2, "input_tokens": 100, "output_tokens": 10, "cost_usd": cost}
    place = Place(topic="agent_decisions", partition=0, offset=0)
    return LoggedDecision(value={"model_call": call, **told}, place=place, decided_at=START)


def written(number: int, **usage: bytes) -> Record:
    record = scored(number)
    return replace(record, headers={**record.headers, **{f"ce_{name}": value for name, value in usage.items()}})


def mail(at: datetime | None = START) -> dict[str, Any]:
    return {"_id": "e", "state": "sent", "finished_at": at}


def found() -> Costs:
    messages = [
        written(1, modelcalls=b"1", inputtokens=b"50", outputtokens=b"5", costmicrousd=b"2000"),
        written(1, modelcalls=b"1", inputtokens=b"50", outputtokens=b"5", costmicrousd=b"2000"),
        written(2),
        written(3, modelcalls=b"3"),
        Record(topic="agent_messages", key=None, value=b"x", headers={}),
    ]
    return costs(
        [*spent_by_router([decision(0.004), decision(None), decision(1.0, model_call=None)]),
         *spent_by_agents(messages)],
        [mail(), mail(), mail(None)],
    )  # fmt: skip


def test_router_and_agents_are_summed_by_day_and_a_repeat_counts_once() -> None:
    assert found().by_agent == {
        (DAY, "router"): Spending(calls=4, input_tokens=200, output_tokens=20, cost_usd=0.004, unpriced_calls=2),
        (DAY, "lead_scoring"): Spending(calls=4, input_tokens=50, output_tokens=5, cost_usd=0.002, unpriced_calls=3),
    }


def test_a_day_tells_what_each_mail_cost() -> None:
    rows = list(table(found()))
    assert [row["agent"] for row in rows] == ["lead_scoring", "router", "all"]
    assert (rows[-1]["mails"], rows[-1]["cost_usd"], rows[-1]["unpriced_calls"]) == (2, 0.006, 5)
    assert rows[-1]["usd_per_mail"] is None
    (_, day) = table(costs(spent_by_router([decision(0.006)]), [mail(), mail()]))
    assert (day["usd_per_mail"], day["unpriced_calls"]) == (0.003, 0)


def test_what_only_models_without_a_price_did_has_no_price() -> None:
    (row, day) = table(costs(spent_by_router([decision(None)]), [mail()]))
    assert (row["cost_usd"], day["cost_usd"], day["usd_per_mail"]) == (None, None, None)


def test_a_day_without_mails_has_no_price_per_mail() -> None:
    (_, day) = table(costs(spent_by_router([decision(0.1)]), []))
    assert (day["mails"], day["usd_per_mail"]) == (0, None)


def test_a_day_with_mails_and_no_model_costs_nothing() -> None:
    (day,) = table(costs([], [mail(datetime(2030, 1, 3, tzinfo=UTC))]))
    assert (day["day"], day["usd_per_mail"]) == ("2030-01-03", 0.0)
