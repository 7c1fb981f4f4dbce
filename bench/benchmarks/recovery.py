"""P9: what a killed worker, a killed broker and an absent model cost: silence, losses, copies, repeated calls."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bench.flink_systems import ASYNC_TUNED, FAST_ROUTER, HAS_FAST_MODE, ML_PREDICT, ROUTER
from bench.measuring import Load
from bench.process_systems import FAUST_TUNED, PLAIN
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import Running, System, Workload
from bench.testbed import Testbed

TITLE = "Recovery"
MINUTES = 24.5
RATE, LATENCY_MS, CHECKPOINT_MS = 50.0, 2000, 500
KILLED: Final = "killed"
BROKER_KILLED: Final = "broker killed"
NO_MODEL: Final = "no model for 30 s"
_DOWN_S: Final = 30.0


def run(session: Session) -> Report:
    """A fault at a random moment of each load."""
    report = Report(
        benchmark="P9", title=TITLE, machine=machine(session.bed.cores),
        what=f"{RATE:g} messages per second, a model of {LATENCY_MS} ms, checkpoints every {CHECKPOINT_MS} ms, and a "
        f"fault at a random moment. `{KILLED}`: SIGKILL to the process that works; it is started again at once, Flink "
        f"jobs by their supervisor, with a spare TaskManager. `{BROKER_KILLED}`: SIGKILL to Kafka's, which its "
        f"supervisor starts again. `{NO_MODEL}`: every call is refused meanwhile. `repeated calls` are model calls "
        "beyond one per message, refused ones included.",
    )  # fmt: skip
    faults = _Faults(bed=session.bed, dice=random.Random(9))  # noqa: S311 - no secret hangs on it
    workload = Workload(model=f"l{LATENCY_MS}", checkpoint_ms=CHECKPOINT_MS)
    load = Load.steady(RATE, session.seconds(12, 9), drain_s=40, disturb=faults.kill)
    others = {
        BROKER_KILLED: replace(load, disturb=faults.kill_broker),
        # Longer than the outage, which would be the next system's, too, where one gives messages up.
        NO_MODEL: Load.steady(RATE, _DOWN_S + 10, drain_s=40, disturb=faults.stop_model),
    }
    patient: list[System] = [ROUTER, *([FAST_ROUTER] if HAS_FAST_MODE else []), PLAIN, FAUST_TUNED]
    entrants = [Entrant(system=one, workload=workload, loads={KILLED: load, **others}) for one in patient]
    entrants.append(Entrant(system=ASYNC_TUNED, workload=workload, loads={KILLED: load}))
    slow = Load.steady(2, session.seconds(12, 9), drain_s=40, disturb=faults.kill)
    entrants.append(Entrant(system=ML_PREDICT, workload=workload, loads={KILLED: slow}))
    session.interleaved(report, entrants, spare_slots=1)
    for line in report.rows:
        line["repeated_calls"] = line["asked"]["calls"] - line["count"]
    return report


@dataclass(frozen=True, kw_only=True)
class _Faults:
    """What happens to a system, four to seven seconds after its load has begun.

    Attributes:
        bed: broker and model.
        dice: says when exactly.
    """

    bed: Testbed
    dice: random.Random

    def kill(self, running: Running, began: float) -> None:
        self._at_some_moment(began, running.kill)

    def kill_broker(self, running: Running, began: float) -> None:
        self._at_some_moment(began, lambda: self.bed.kill_broker(running.bootstrap))

    def stop_model(self, _: Running, began: float) -> None:
        self._at_some_moment(began, lambda: self.bed.model.be_down(_DOWN_S))

    def _at_some_moment(self, began: float, happen: Callable[[], None]) -> None:
        time.sleep(max(0.0, began + self.dice.uniform(4.0, 7.0) - time.time()))
        happen()
