"""P9: what a killed worker costs: the longest silence, losses, copies, repeated model calls."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from bench.flink_systems import ASYNC_TUNED, FAST_ROUTER, HAS_FAST_MODE, ML_PREDICT, ROUTER
from bench.measuring import Load
from bench.process_systems import FAUST_TUNED, PLAIN
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import Running, System, Workload

TITLE = "Recovery"
MINUTES = 8.5
RATE, LATENCY_MS, CHECKPOINT_MS = 50.0, 2000, 500


def run(session: Session) -> Report:
    """SIGKILL to the process that works, at a random moment of each load."""
    report = Report(
        benchmark="P9", title=TITLE, machine=machine(session.bed.cores),
        what=f"{RATE:g} messages per second, a model of {LATENCY_MS} ms, checkpoints every {CHECKPOINT_MS} ms: SIGKILL "
        "to the process that works, at a random moment. It is started again at once, Flink jobs by their supervisor, "
        "with a spare TaskManager. `repeated calls` are model calls beyond one per message.",
    )  # fmt: skip
    dice = random.Random(9)  # noqa: S311 - no secret hangs on it
    workload = Workload(model=f"l{LATENCY_MS}", checkpoint_ms=CHECKPOINT_MS)
    load = Load.steady(RATE, session.seconds(12, 9), drain_s=40)
    systems: list[System] = [ROUTER, *([FAST_ROUTER] if HAS_FAST_MODE else []), PLAIN, FAUST_TUNED, ASYNC_TUNED]
    entrants = [
        Entrant(system=one, workload=workload, loads={"killed": load}, disturb=_killing(dice)) for one in systems
    ]
    slow = Load.steady(2, session.seconds(12, 9), drain_s=40)
    entrants.append(Entrant(system=ML_PREDICT, workload=workload, loads={"killed": slow}, disturb=_killing(dice)))
    session.interleaved(report, entrants, spare_slots=1)
    for line in report.rows:
        line["repeated_calls"] = line["asked"]["calls"] - line["count"]
    return report


def _killing(dice: random.Random) -> Callable[[Running, float], None]:
    def kill(running: Running, began: float) -> None:
        time.sleep(max(0.0, began + dice.uniform(4.0, 7.0) - time.time()))
        running.kill()

    return kill
