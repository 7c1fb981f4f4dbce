"""P3: what slow model calls do to the messages beside them."""

from __future__ import annotations

from bench.flink_systems import ASYNC_TUNED, FAST_ROUTER, HAS_FAST_MODE, ROUTER
from bench.measuring import Load
from bench.process_systems import FAUST_TUNED, PLAIN, PLAIN_SAME_CLIENT
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import System, Workload

TITLE = "Slow calls and their neighbours"
MINUTES = 11.0
RATE = 100.0


def run(session: Session) -> Report:
    """The same rate with no slow call, with 2 % of 2 s, and with a single one of 30 s (rivals: once)."""
    report = Report(
        benchmark="P3", title=TITLE, machine=machine(session.bed.cores),
        what=f"{RATE:g} messages per second at 200 ms: no slow calls; 2 % of the calls take 2 s; one single call takes "
        "30 s (rivals: in the first repeat only). The figure is how far p90 moves, and what share was routed by three "
        "seconds after the last message was due.",
    )  # fmt: skip
    seconds = session.seconds(6, 4)
    own: list[System] = [ROUTER, *([FAST_ROUTER] if HAS_FAST_MODE else [])]
    rivals: list[System] = [PLAIN, PLAIN_SAME_CLIENT, FAUST_TUNED, ASYNC_TUNED]
    entrants = [Entrant(system=one, workload=Workload(), loads=_loads(seconds)) for one in own]
    entrants += [Entrant(system=one, workload=Workload(), loads=_loads(seconds, once=True)) for one in rivals]
    session.interleaved(report, entrants)
    return report


def _loads(seconds: float, *, once: bool = False) -> dict[str, Load]:
    return {
        "no slow call": Load.steady(RATE, seconds),
        "2 % take 2 s": Load.steady(RATE, seconds, how="tail2s2000", drain_s=45),
        "one takes 30 s": Load.steady(RATE, seconds, how="one150s30000", drain_s=45, once=once),
    }
