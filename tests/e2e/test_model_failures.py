"""A model that hangs, talks rubbish or asks to wait holds up nobody but the message it was asked about."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.system import System, hot_lead
from tests.witness import eventually

NOTE = {"lead_id": "x", "text": "The coffee machine in the kitchen is broken again."}


@pytest.fixture(autouse=True)
def _nobody_else_asks_the_model(system: System) -> None:
    """The next call is the one that the test is about: leads of earlier tests are done."""
    _wait_until_nobody_asks(system)


def _wait_until_nobody_asks(system: System) -> None:
    seen = [-1]

    def is_quiet() -> bool:
        seen.append(system.model_calls())
        return seen[-1] == seen[-2]

    eventually(is_quiet, every_s=3, what="a quiet model")


def test_a_hanging_model_call_delays_no_other_workflow(system: System) -> None:
    with system.model_control(hang_next=1):
        stuck = system.send("lead.activity_noted", NOTE)
        eventually(lambda: system.model_in_flight() == 1, every_s=0.05, what="the hanging call")
        others = [system.send("lead.activity_noted", NOTE) for _ in range(5)]
        eventually(lambda: all(system.outcomes(workflow) for workflow in others), every_s=0.1, what="the others")
    eventually(lambda: system.outcomes(stuck) == ["abstained"], what="the hanging call's end and its repeat")
    # By the router's clock: on a busy machine this test may see all of them at once.
    assert max(_decided_at(system, workflow) for workflow in others) < _decided_at(system, stuck)


def _decided_at(system: System, workflow: str) -> str:
    return str(system.witness.decisions(workflow)[0]["decided_at"])


def test_rubbish_from_the_model_is_repaired_once(system: System) -> None:
    with system.model_control(garbage_next=1):
        workflow = system.send("lead.activity_noted", NOTE)
        decision = eventually(lambda: system.witness.decisions(workflow), what="a decision")[0]
    assert decision["reason_code"] == "none_fits"
    assert decision["model_call"]["attempts"] == 2


def test_a_model_that_asks_to_wait_is_asked_again_after_that_time(system: System) -> None:
    with system.model_control(fail_next=1, status=429, retry_after_s=2):
        workflow = system.send("lead.activity_noted", NOTE)
        decision = eventually(lambda: system.witness.decisions(workflow), what="a decision")[0]
    assert decision["reason_code"] == "none_fits"
    assert decision["model_call"]["latency_ms"] >= 2000


def test_messages_of_one_workflow_leave_in_the_order_in_which_they_came(system: System) -> None:
    """Some need the model and some do not, so that later ones are decided before earlier ones."""
    with system.model_control(latency_ms=500):
        series: list[tuple[str, dict[str, Any]]] = [("lead.activity_noted", NOTE), ("nobody.knows_this", {"n": 1})] * 5
        workflow = system.send_series(series)
        eventually(lambda: len(system.outcomes(workflow)) == len(series), what="ten decisions")
    assert {decision["how"] for decision in system.witness.decisions(workflow)} == {"model", "contract"}
    left = [seen for seen in system.witness.read("agent_escalations") if seen.workflow == workflow]
    in_order = sorted(left, key=lambda seen: (seen.partition, seen.offset))
    assert [seen.header("ce_id") for seen in in_order] == [f"{workflow}/{n}" for n in range(1, len(series) + 1)]


def test_while_no_model_answers_everything_waits_and_nothing_is_lost(system: System) -> None:
    restarts, failed_checkpoints = system.job_restarts(), system.failed_checkpoints()
    with system.model_control(fail_rate=1.0, status=503):
        began = system.model_calls()
        leads = dict(system.insert(hot_lead()) for _ in range(3))
        notes = [system.send("lead.activity_noted", NOTE) for _ in range(5)]
        eventually(lambda: system.model_calls() - began >= 8, every_s=0.1, what="calls in vain of router and agent")
        _wait_until_nobody_asks(system)
        assert [system.outcomes(note) for note in notes] == [[]] * 5
    eventually(lambda: [system.outcomes(note) for note in notes] == [["abstained"]] * 5, within_s=90, what="notes")
    eventually(lambda: all(system.mails_to(where) for where in leads.values()), within_s=120, what="mails")
    assert {len(system.mails_to(where)) for where in leads.values()} == {1}
    assert {decision["reason_code"] for note in notes for decision in system.witness.decisions(note)} == {"none_fits"}
    assert not [seen for seen in system.witness.read("agent_errors") if seen.workflow in leads]
    assert (system.job_restarts(), system.failed_checkpoints()) == (restarts, failed_checkpoints)
