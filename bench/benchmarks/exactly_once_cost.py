"""P5: what it costs that agents see committed decisions only."""

from __future__ import annotations

from bench.flink_systems import ASYNC_EXACTLY_ONCE, FAST_ROUTER, HAS_FAST_MODE, PASS_THROUGH_EXACTLY_ONCE, ROUTER
from bench.measuring import Load
from bench.process_systems import FAUST_EXACTLY_ONCE
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import System, Workload

TITLE = "Cost of exactly once"
MINUTES = 6.0
CHECKPOINTS_MS = (1000, 200)


def run(session: Session) -> Report:
    """Checkpoints each second and five times a second, read as committed and as written."""
    report = Report(
        benchmark="P5", title=TITLE, machine=machine(session.bed.cores),
        what="100 messages per second at 200 ms, with a checkpoint each second and five times a second. `committed` is "
        "when agents may see a decision, the other figures when it is written; fast mode has no such difference. "
        "Flink's own sink writes in a transaction for each checkpoint. faust's `exactly_once` commits as often, but "
        "only offsets: what goes to a topic that it does not read is outside of its transactions. The pass-through "
        "asks no model.",
    )  # fmt: skip
    systems: list[System] = [ROUTER, *([FAST_ROUTER] if HAS_FAST_MODE else [])]
    systems += [ASYNC_EXACTLY_ONCE, FAUST_EXACTLY_ONCE, PASS_THROUGH_EXACTLY_ONCE]
    for checkpoint_ms in CHECKPOINTS_MS:
        workload = Workload(checkpoint_ms=checkpoint_ms)
        loads = {f"checkpoints every {checkpoint_ms} ms": Load.steady(100, session.seconds(6, 4))}
        session.interleaved(report, [Entrant(system=one, workload=workload, loads=loads) for one in systems])
    return report
