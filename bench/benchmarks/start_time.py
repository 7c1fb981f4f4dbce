"""P13: from submitting a job to the first routed message, on a warm cluster."""

from __future__ import annotations

import time

from bench.flink_systems import ASYNC_TUNED, ML_PREDICT, ROUTER
from bench.results_file import Report, machine
from bench.session import EXPECTED_TROUBLE, Entrant, Live, Session
from bench.systems import System, Workload

TITLE = "Start"
MINUTES = 5.0


def run(session: Session) -> Report:
    """Submit, send, and stop the clock when the first 20 messages are out."""
    report = Report(
        benchmark="P13", title=TITLE, machine=machine(session.bed.cores),
        what="Seconds from submitting a job to a cluster that has run one before, to the end of a load of 20 messages "
        "that is offered for one second as soon as the job runs.",
    )  # fmt: skip
    systems: list[System] = [ROUTER, ASYNC_TUNED, ML_PREDICT]
    entrants = [Entrant(system=one, workload=Workload(), loads={}) for one in systems]
    with session.started(report, entrants) as lives:
        for turn in range(session.repeats):
            for live in lives:
                _start_again(session, report, live, turn)
            report.write(session.results)
    return report


def _start_again(session: Session, report: Report, live: Live, turn: int) -> None:
    name = live.entrant.system.name
    try:
        live.stop()
        began = time.monotonic()
        live.start(thoroughly=False)
    except EXPECTED_TROUBLE as error:
        report.failed(name, error)
        return
    took = round(time.monotonic() - began, 2)
    guarantee = live.entrant.system.guarantee
    report.rows.append({"system": name, "guarantee": guarantee, "load": "start", "repeat": turn, "start_s": took})
    session.say(f"P13 {name}: {took} s")
