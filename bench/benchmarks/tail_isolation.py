"""P3: what slow model calls do to the messages beside them."""

from __future__ import annotations

from bench.flink_systems import ASYNC_TUNED, FAST_ROUTER, HAS_FAST_MODE, ROUTER
from bench.measuring import Load
from bench.process_systems import FAUST_TUNED, PLAIN, PLAIN_SAME_CLIENT
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import System, Workload

TITLE = "Slow calls and their neighbours"
MINUTES = 7.5
RATE = 100.0


def run(session: Session) -> Report:
    """The same rate with no slow call, with 2 % of 2 s, and (once) with a single one of 30 s."""
    report = Report(
        benchmark="P3", title=TITLE, machine=machine(session.bed.cores),
        what=f"{RATE:g} messages per second at 200 ms: no slow calls; 2 % of the calls take 2 s; one single call takes "
        "30 s (first repeat only). The figure is how far p90 moves, and what share was routed by three seconds after "
        "the last message was due.",
    )  # fmt: skip
    seconds = session.seconds(6, 4)
    loads = {
        "no slow call": Load.steady(RATE, seconds),
        "2 % take 2 s": Load.steady(RATE, seconds, how="tail2s2000", drain_s=45),
        "one takes 30 s": Load.steady(RATE, seconds, how="one150s30000", drain_s=45, once=True),
    }
    systems: list[System] = [ROUTER, *([FAST_ROUTER] if HAS_FAST_MODE else []), PLAIN, PLAIN_SAME_CLIENT]
    systems += [FAUST_TUNED, ASYNC_TUNED]
    session.interleaved(report, [Entrant(system=one, workload=Workload(), loads=loads) for one in systems])
    return report
