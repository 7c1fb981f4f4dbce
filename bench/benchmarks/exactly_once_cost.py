"""P5: what it costs that agents see committed decisions only."""

from __future__ import annotations

from bench.flink_systems import FAST_ROUTER, HAS_FAST_MODE, ROUTER
from bench.measuring import Load
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import Workload

TITLE = "Cost of exactly once"
MINUTES = 4.0
CHECKPOINTS_MS = (1000, 200)


def run(session: Session) -> Report:
    """The router with checkpoints each second and five times a second, read as committed and as written."""
    report = Report(
        benchmark="P5", title=TITLE, machine=machine(session.bed.cores),
        what="100 messages per second at 200 ms. `read_uncommitted` is when the router has written a decision, "
        "`read_committed` when agents may see it; fast mode has no such difference.",
    )  # fmt: skip
    loads = {"100/s": Load.steady(100, session.seconds(6, 4))}
    for checkpoint_ms in CHECKPOINTS_MS:
        workload = Workload(checkpoint_ms=checkpoint_ms)
        systems = [ROUTER, *([FAST_ROUTER] if HAS_FAST_MODE else [])]
        session.interleaved(report, [Entrant(system=one, workload=workload, loads=loads) for one in systems])
    return report
