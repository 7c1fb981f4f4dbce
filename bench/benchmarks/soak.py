"""P14: half an hour at a steady rate, with a kill every five minutes."""

from __future__ import annotations

import time
from dataclasses import replace

from bench.flink_systems import FAST_ROUTER, HAS_FAST_MODE, ROUTER
from bench.measuring import Load
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import Running, Workload

TITLE = "Half an hour"
MINUTES = 36.0
RATE = 500.0
KILL_EVERY_S = 300.0


def run(session: Session) -> Report:
    """Five minutes at a time, so that drift shows from part to part; each part but the first has a kill in it."""
    report = Report(
        benchmark="P14", title=TITLE, machine=machine(session.bed.cores),
        what=f"{RATE:g} messages per second at 200 ms, six parts of five minutes; in all but the first the TaskManager "
        "is killed halfway. Memory is what its processes hold at the end of each part.",
    )  # fmt: skip
    part_s = session.seconds(KILL_EVERY_S, 20, 3)
    load = Load.steady(RATE, part_s, drain_s=120)
    system = FAST_ROUTER if HAS_FAST_MODE else ROUTER

    def kill(running: Running, began: float) -> None:
        time.sleep(max(0.0, began + part_s / 2 - time.time()))
        running.kill()

    killed = {f"part {number}": replace(load, disturb=kill) for number in range(2, 7)}

    session.repeats = 1
    session.interleaved(report, [Entrant(system=system, workload=Workload(), loads={"part 1": load})], spare_slots=1)
    session.interleaved(report, [Entrant(system=system, workload=Workload(), loads=killed)], spare_slots=1)
    return report
