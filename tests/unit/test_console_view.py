"""What the console keeps in memory: stages, spending, what waits, recent records, the graph; all of it bounded."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pointsman.catalog import Catalog
from pointsman.console import view as views
from pointsman.console.graph import graph
from pointsman.console.health import HealthWatch
from pointsman.console.recent import RecentRecords
from pointsman.console.spending import Spending
from pointsman.console.stages import ROUTER, depths, in_order, stages, traffic
from pointsman.console.view import View, key_of
from pointsman.console.waiting import WaitingRoom
from pointsman.controls import EffectsControl
from pointsman.definitions import AgentDefinition
from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError
from pointsman.journeys import Journeys
from pointsman.topics import AUDIT, CONTROLS, DECISIONS, DEFINITIONS, ESCALATIONS, MESSAGES
from pointsman.workflow_acts import cancel_records, resume_records
from pointsman.workflow_states import Status, WorkflowState
from tests.console_desk import StillCluster
from tests.journey_records import START, decision, message


def agent(name: str, accepts: list[str], emits: list[str], *, terminal: tuple[str, ...] = ()) -> AgentDefinition:
    return AgentDefinition.model_validate({
        "name": name,
        "version": "1.0.0",
        "description": "Does something.",
        "accepts": [{"type": one, "contract": {}} for one in accepts],
        "emits": [{"type": one, "contract": {}, "terminal": one in terminal} for one in emits],
    })  # fmt: skip


CHAIN = Catalog.of([
    agent("sends", ["mail.drafted"], ["mail.sent"], terminal=("mail.sent",)),
    agent("profiles", ["lead.received"], ["lead.profiled"]),
    agent("writes", ["lead.profiled", "note.taken"], ["mail.drafted"]),
])  # fmt: skip


def test_agents_stand_in_the_order_in_which_messages_reach_them() -> None:
    assert in_order(CHAIN) == ["profiles", "writes", "sends"]
    assert depths(Catalog()) == {}


def test_agents_that_only_answer_each_other_have_an_order_too() -> None:
    circle = Catalog.of([agent("ping", ["pong.said"], ["ping.said"]), agent("pong", ["ping.said"], ["pong.said"])])
    assert in_order(circle) == ["ping", "pong"]


def test_the_graph_holds_every_way_that_contracts_allow_and_counts_what_went_along() -> None:
    drawn = graph(CHAIN, [("/connectors/x", "lead.received", "profiles", 3), ("profiles", "lead.profiled", "gone", 1)])
    assert [(one["name"], one["column"]) for one in drawn["nodes"]] == [
        ("start", 0), ("profiles", 1), ("sends", 3), ("writes", 2), ("end", 4),
    ]  # fmt: skip
    assert {(one["from"], one["type"], one["to"], one["count"]) for one in drawn["edges"]} == {
        ("start", "lead.received", "profiles", 3),
        ("start", "note.taken", "writes", 0),
        ("profiles", "lead.profiled", "writes", 0),
        ("writes", "mail.drafted", "sends", 0),
        ("sends", "mail.sent", "end", 0),
    }


def hops(count: int) -> Journeys:
    """`count` workflows that passed `profiles` within 2 s, 4 s, 6 s, ..."""
    journeys = Journeys()
    for number in range(1, count + 1):
        workflow = f"w{number}"
        journeys.feed(message(workflow, 1, "lead.received"))
        journeys.feed(decision(workflow, 1, "lead.received", agent="lead_scoring", source="/x"))
        journeys.feed(message(workflow, 1 + 2 * number, "lead.profiled"))
    return journeys


def test_a_stage_says_how_many_are_there_and_how_long_it_takes() -> None:
    found = {one.name: one for one in stages(hops(20).all(), {"lead_scoring": 2}, Catalog())}
    assert (found[ROUTER].p50_s, found[ROUTER].p95_s) == (0.2, 0.2)
    scoring = found["lead_scoring"]
    assert (scoring.here, scoring.passed) == (2, 20)
    assert scoring.p50_s == pytest.approx(20.8)
    assert scoring.p95_s == pytest.approx(37.9)


def test_a_stage_that_nothing_has_passed_says_so() -> None:
    (router, *others) = stages([], {}, CHAIN)
    assert (router.name, router.p50_s, [one.name for one in others]) == (ROUTER, None, ["profiles", "writes", "sends"])


def test_traffic_counts_messages_by_sender_type_and_receiver() -> None:
    journeys = hops(2)
    journeys.feed(decision("w1", 9, "mail.sent", outcome="completed", agent=None, source="/agents/sends"))
    assert traffic(journeys.all()) == {("/x", "lead.received", "lead_scoring"): 2, ("sends", "mail.sent", "end"): 1}


def spent(**call: object) -> Record:
    return decision("w", 1, "a.b", model_call={"model": "m", "attempts": 1, **call})


def test_spending_adds_up_what_router_and_agents_paid_within_the_hour() -> None:
    spending, now = Spending(), START + timedelta(minutes=10)
    spending.feed(spent(attempts=3, cost_usd=0.002))
    answer = message("w", 2, "a.b")
    used = {**answer.headers, "ce_modelcalls": b"2", "ce_costmicrousd": b"5000"}
    spending.feed(replace(answer, headers=used, timestamp_ms=int(START.timestamp() * 1000)))
    report = spending.report(now)
    assert (report.calls, report.failed, report.is_partial) == (5, 2, False)
    assert report.cost_usd == pytest.approx(0.007)
    assert spending.report(now + timedelta(hours=1)).calls == 0


def test_an_unknown_price_is_unknown_and_not_nothing() -> None:
    spending = Spending()
    spending.feed(spent())
    report = spending.report(START)
    assert (report.cost_usd, report.is_partial) == (None, True)
    spending.feed(spent(cost_usd=0.5))
    report = spending.report(START)
    assert (report.cost_usd, report.is_partial) == (0.5, True)


def test_no_calls_cost_nothing() -> None:
    report = Spending().report(START)
    assert (report.calls, report.cost_usd, report.is_partial) == (0, 0, False)


def test_a_model_that_did_not_answer_counts_as_failed() -> None:
    spending = Spending()
    spending.feed(decision("w", 1, "a.b", model_call=None, reason_code="model_unavailable", outcome="abstained"))
    report = spending.report(START)
    assert (report.calls, report.failed, report.cost_usd) == (1, 1, 0)


GARBAGE = [
    b"",
    b"\xff",
    b"[]",
    b"null",
    b"3",
    b'{"decided_at": 3}',
    b'{"decided_at": "x", "model_call": []}',
    b"[" * 9000,
]


@pytest.mark.parametrize("value", GARBAGE)
@pytest.mark.parametrize("topic", [DECISIONS, MESSAGES, DEFINITIONS, ESCALATIONS, AUDIT, CONTROLS, "workflow_state"])
def test_no_record_whatever_it_holds_stops_the_view(topic: str, value: bytes) -> None:
    view = View()
    headers = {"ce_modelcalls": b"x", "ce_id": b"\xff", "ce_workflowid": b"\xff", "ce_source": b"/agents/a"}
    view.feed(Record(topic=topic, key=b"k", value=value, headers=headers, offset=1))
    view.feed(Record(topic=topic, key=None, value=None, headers={}, offset=2))
    assert view.changes == 2
    assert isinstance(view.cards(), list)
    assert isinstance(view.standing(), tuple)


def escalation(workflow: str) -> Record:
    return replace(message(workflow, 1, "a.b"), topic=ESCALATIONS)


def test_what_a_person_has_sent_on_waits_no_more_whichever_record_is_read_first() -> None:
    sent_on = resume_records(escalation("w"), "Olga", None, START)[0]
    for records in ([escalation("w"), sent_on], [sent_on, escalation("w")]):
        room = WaitingRoom()
        for record in records:
            room.feed(record)
        assert room.all() == []


def test_nothing_of_an_ended_workflow_waits_also_what_comes_later() -> None:
    room = WaitingRoom()
    room.feed(cancel_records("w", "Olga", "", START)[0])
    room.feed(escalation("w"))
    room.feed(escalation("v"))
    assert [one.workflow_id for one in room.all()] == ["v"]


def test_recent_records_let_whole_workflows_go_and_never_tell_half_of_one() -> None:
    recent = RecentRecords(most_bytes=4_000)
    recent.feed(message("old", 1, "a.b"))
    for number in range(1, 6):
        recent.feed(message(f"new{number}", 1, "a.b"))
    assert recent.of("old") is None
    late = message("old", 2, "a.c")
    recent.feed(replace(late, headers={**late.headers, "ce_causationid": b"old-1"}))
    assert recent.of("old") is None
    found = recent.of("new5")
    assert found
    assert len(found) == 1


def test_memory_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST_JOURNEYS", 5)
    view = View()
    for number in range(40):
        view.feed(message(f"w{number}", 1, "a.b"))
    assert len(view.cards()) == 5
    assert view.workflow_id("w39") == "w39"


def test_only_what_has_changed_is_told_again() -> None:
    view = View()
    view.feed(message("w", 1, "a.b"))
    view.feed(message("v", 1, "a.b"))
    seen = view.changes
    assert view.cards(seen) == []
    view.feed(decision("w", 1, "a.b"))
    assert [card["key"] for card in view.cards(seen)] == ["w"]


def test_a_cancelled_workflow_is_over_and_stands_in_no_stage() -> None:
    view = View()
    view.feed(message("w", 1, "a.b"))
    state = WorkflowState(
        workflow_id="w", status=Status.CANCELLED, where="a.b", since=START, steps=1, message_id="w-1",
        reason_code="cancelled", reason="", catalog="c",
    )  # fmt: skip
    view.feed(state.to_record())
    (card,) = view.cards()
    assert (card["status"], card["stage"]) == ("cancelled", "")
    totals, found = view.standing()
    assert (totals, sum(stage.here for stage in found)) == ({"cancelled": 1}, 0)


def test_a_kill_switch_that_cannot_be_read_means_stopped() -> None:
    view = View()
    assert view.effects.is_allowed
    view.feed(EffectsControl(is_allowed=True, by="Olga", at=START).records()[0])
    assert (view.effects.is_allowed, view.effects.by) == (True, "Olga")
    view.feed(Record(topic=CONTROLS, key=b"effects", value=b"?", headers={}))
    assert not view.effects.is_allowed


@pytest.mark.parametrize("workflow", ["ann@acme.example", "\ud800", "a/b", "x" * 300, "two  spaces"])
def test_an_id_that_cannot_be_shown_has_another_name_that_is_its_own(workflow: str) -> None:
    key = key_of(workflow)
    assert key != workflow
    assert key.isalnum()
    assert key_of(key) == key


def test_what_the_cluster_does_not_tell_is_unknown() -> None:
    cluster = StillCluster()
    cluster.lags = {"profiles": 4}
    watch = HealthWatch(cluster, lambda: ["profiles", "writes"])
    watch.look()
    assert (watch.health.lag, watch.health.job_state, watch.health.checkpoint_at) == ({"profiles": 4}, "RUNNING", None)


def test_a_cluster_that_is_away_is_unknown_and_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise BrokerUnavailableError("away")

    cluster = StillCluster()
    watch = HealthWatch(cluster, lambda: [])
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "job", away)
        watch.look()
        assert watch.health.job_state is None
    watch.look()
    assert watch.health.job_state == "RUNNING"
