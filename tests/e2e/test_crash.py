"""The TaskManager is killed, or stands still, while there is work: nothing is lost, nobody gets a second mail."""

from __future__ import annotations

import signal
import time

from tests.e2e.system import System, hot_lead
from tests.witness import eventually

LEADS = 20
MODEL_LATENCY_MS = 1500
STANDS_STILL_S = 5.0
"""As on a starved machine."""


def test_a_killed_taskmanager_loses_no_lead_and_sends_no_second_mail(system: System) -> None:
    assert system.stack.options.checkpoint_interval_ms < MODEL_LATENCY_MS, (
        "a shorter call would be over before it is checkpointed as in flight"
    )
    with system.model_control(latency_ms=MODEL_LATENCY_MS):
        leads = dict(system.insert(hot_lead()) for _ in range(LEADS))
        eventually(lambda: system.model_in_flight() > 0 and _scored(system, leads) > 0, every_s=0.05,
                   within_s=60, what="model calls in flight with leads at the router")  # fmt: skip
        killed = system.kill("taskmanager", signal.SIGKILL)
        assert killed
        eventually(lambda: system.job_restarts() > 0, within_s=60, what="the job's restart")
    eventually(lambda: all(system.mails_of(leads.values()).values()), within_s=120, what="all mails")
    eventually(
        lambda: system.are_completed(leads), within_s=60,
        what="all completions",
    )  # fmt: skip
    assert system.mails_of(leads.values()) == dict.fromkeys(leads.values(), 1)
    for workflow in leads:
        events = system.witness.events(workflow)
        assert len(events) == len(set(events)) == 5
        assert len(system.outcomes(workflow)) == 5


def test_a_taskmanager_that_stands_still_for_some_seconds_is_not_taken_for_dead(system: System) -> None:
    before = system.job_failures()
    _, address = system.insert(hot_lead())
    assert system.kill("taskmanager", signal.SIGSTOP)
    try:
        time.sleep(STANDS_STILL_S)  # it is time itself that is tested
    finally:
        system.kill("taskmanager", signal.SIGCONT)
    eventually(lambda: system.mails_to(address), within_s=60, what="a mail to the lead")
    assert system.job_failures() == before


def _scored(system: System, leads: dict[str, str]) -> int:
    decided = {(d["workflow_id"], d["event_type"]) for d in system.all_decisions()}
    events = {(seen.workflow, seen.type) for seen in system.witness.read("agent_messages")}
    waiting = {(workflow, kind) for workflow, kind in events - decided if kind == "lead.scored"}
    return len({workflow for workflow, _ in waiting} & set(leads))
