"""P4: a whole journey: six routing hops, with agents that answer at once."""

from __future__ import annotations

from bench.flink_systems import ASYNC, ASYNC_TUNED, FAST_ROUTER, HAS_FAST_MODE, ROUTER
from bench.in_process import LANGGRAPH_BARE
from bench.measuring import Load
from bench.messages import HOPS
from bench.process_systems import FAUST_TUNED, LANGGRAPH, LANGGRAPH_SQLITE, PLAIN, PLAIN_SAME_CLIENT
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import System, Workload

TITLE = "Six hops"
MINUTES = 9.0
CHECKPOINT_MS = 1000


def run(session: Session) -> Report:
    """20 journeys per second with a model of 0 and of 200 ms."""
    report = Report(
        benchmark="P4", title=TITLE, machine=machine(session.bed.cores),
        what=f"{HOPS} routing hops per journey, 20 new journeys per second, model of 0 and of 200 ms; agents answer at "
        "once. The figure is the time from when a journey was due to when its last hop is routed, minus the model's "
        f"{HOPS} answers. Checkpoints every {CHECKPOINT_MS} ms. Behind the exactly-once router agents read what is "
        "committed, so each hop but the last waits for a checkpoint. LangGraph makes all hops in one process.",
    )  # fmt: skip
    workload = Workload(checkpoint_ms=CHECKPOINT_MS, hops=HOPS)
    seconds = session.seconds(5, 3)
    loads = {
        f"model {latency} ms": Load.steady(20, seconds, hop=HOPS - 1, how=f"l{latency}", drain_s=40)
        for latency in (0, 200)
    }
    answered: list[System] = [ROUTER, *([FAST_ROUTER] if HAS_FAST_MODE else []), PLAIN, PLAIN_SAME_CLIENT]
    answered += [FAUST_TUNED, ASYNC_TUNED, ASYNC]
    in_process: list[System] = [LANGGRAPH, LANGGRAPH_SQLITE, LANGGRAPH_BARE]
    entrants = [Entrant(system=one, workload=workload, loads=loads, is_answered=True) for one in answered]
    entrants += [Entrant(system=one, workload=workload, loads=loads) for one in in_process]
    session.interleaved(report, entrants)
    return report
