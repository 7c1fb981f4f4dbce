"""P6: one, two and four TaskManagers."""

from __future__ import annotations

from bench.flink_systems import FAST_ROUTER, HAS_FAST_MODE, Router
from bench.measuring import Load
from bench.process_systems import FAUST_TUNED, PLAIN_SAME_CLIENT
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import Workload

TITLE = "Scale-out"
MINUTES = 7.0
TASKMANAGERS = (1, 2, 4)
BURST = 6000


def run(session: Session) -> Report:
    """A burst for each parallelism; where cores are few, routings per CPU-second say more than routings per second."""
    report = Report(
        benchmark="P6", title=TITLE, machine=machine(session.bed.cores),
        what=f"{BURST} messages at once, model of 200 ms, 4000 calls in flight per TaskManager at most. All "
        "TaskManagers share the cores of the system under test.",
    )  # fmt: skip
    base = FAST_ROUTER if HAS_FAST_MODE else Router()
    load = Load(rate=0, count=round(session.seconds(BURST, 2000, 200)), drain_s=60)
    for parallelism in TASKMANAGERS:
        router = Router(
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
