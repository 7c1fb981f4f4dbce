"""P6: one, two and four TaskManagers."""

from __future__ import annotations

from dataclasses import dataclass

from bench.flink_systems import FAST_ROUTER, HAS_FAST_MODE, Router, taskmanagers_of
from bench.measuring import Load
from bench.pinning import move
from bench.process_systems import FAUST_TUNED, PLAIN_SAME_CLIENT
from bench.programs import family_of
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import Running, Workload
from bench.testbed import FlinkCluster, Testbed

TITLE = "Scale-out"
MINUTES = 9.0
TASKMANAGERS = (1, 2, 4)
BURST = 6000


@dataclass(frozen=True, kw_only=True)
class OneCoreEach(Router):
    """The router, each of its TaskManagers on one core of the measured system's; they share where cores are too few."""

    def start(self, bed: Testbed, workload: Workload, flink: FlinkCluster | None) -> Running:
        running = super().start(bed, workload, flink)
        cores = sorted(bed.cores.system)
        if running.flink is not None:
            for number, process in enumerate(taskmanagers_of(*running.flink)):
                move(family_of([process.pid]), frozenset({cores[number % len(cores)]}))
        return running


def run(session: Session) -> Report:
    """A burst for each parallelism."""
    report = Report(
        benchmark="P6", title=TITLE, machine=machine(session.bed.cores),
        what=f"{BURST} messages at once, model of 200 ms, 4000 calls in flight per TaskManager at most. Each "
        "TaskManager has one core, and four share two; the loops and faust have both cores.",
    )  # fmt: skip
    base = FAST_ROUTER if HAS_FAST_MODE else Router()
    load = Load(rate=0, count=round(session.seconds(BURST, 2000, 200)), drain_s=60)
    for parallelism in TASKMANAGERS:
        router = OneCoreEach(
            name=f"{base.name}, {parallelism}", guarantee=base.guarantee, told={**base.told, "parallelism": parallelism}
        )
        entrant = Entrant(system=router, workload=Workload(concurrency=4000), loads={"burst": load})
        session.interleaved(report, [entrant], spare_slots=parallelism - 1)
    workload = Workload(concurrency=4000)
    session.interleaved(
        report,
        [Entrant(system=one, workload=workload, loads={"burst": load}) for one in (PLAIN_SAME_CLIENT, FAUST_TUNED)],
    )
    return report
