"""P6: one, two and four TaskManagers, as far as there are cores."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    """The router, each of its TaskManagers on a core of its own."""

    def start(self, bed: Testbed, workload: Workload, flink: FlinkCluster | None) -> Running:
        running = super().start(bed, workload, flink)
        cores = sorted(bed.cores.system)
        if running.flink is not None:
            for number, process in enumerate(taskmanagers_of(*running.flink)):
                move(family_of([process.pid]), frozenset({cores[number]}))
        return running


def run(session: Session) -> Report:
    """Bursts for each parallelism that there are cores for."""
    report = Report(
        benchmark="P6", title=TITLE, machine=machine(session.bed.cores),
        what=f"{BURST} messages at once for each TaskManager, model of 200 ms, 4000 calls in flight per TaskManager at "
        "most. Each TaskManager has one core; the loops and faust have all of them, and one burst. Parallelisms come "
        "one after the other: a router reads all messages of a broker. `first burst`: compilers are still at work, in "
        "each TaskManager anew.",
    )  # fmt: skip
    base = FAST_ROUTER if HAS_FAST_MODE else Router()
    load = Load(rate=0, count=round(session.seconds(BURST, 2000, 200)), drain_s=90)
    for parallelism in _parallelisms(session):
        router = OneCoreEach(
            name=f"{base.name}, {parallelism}", guarantee=base.guarantee, told={**base.told, "parallelism": parallelism}
        )
        bursts = replace(load, count=load.count * parallelism)
        loads = {"first burst": replace(bursts, once=True), "burst": bursts}
        entrant = Entrant(system=router, workload=Workload(concurrency=4000), loads=loads)
        session.interleaved(report, [entrant], spare_slots=parallelism - 1)
    workload = Workload(concurrency=4000)
    session.interleaved(
        report,
        [Entrant(system=one, workload=workload, loads={"burst": load}) for one in (PLAIN_SAME_CLIENT, FAUST_TUNED)],
    )
    return report


def _parallelisms(session: Session) -> list[int]:
    cores = len(session.bed.cores.system)
    return [number for number in TASKMANAGERS if number <= cores]
