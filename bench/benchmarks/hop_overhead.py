"""P2: what one routing hop adds to the model's own time."""

from __future__ import annotations

from bench.flink_systems import (
    ASYNC,
    ASYNC_TUNED,
    FAST_ROUTER,
    HAS_FAST_MODE,
    ML_PREDICT,
    ML_PREDICT_TUNED,
    PASS_THROUGH,
    ROUTER,
)
from bench.in_process import LANGGRAPH_BARE
from bench.measuring import Load
from bench.process_systems import FAUST, FAUST_TUNED, LANGGRAPH, PLAIN, PLAIN_SAME_CLIENT, QUIX
from bench.programs import BenchError
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import System, Workload
from bench.venvs import python_of

TITLE = "Overhead of one hop"
MINUTES = 8.5
LATENCY_MS = 200


def run(session: Session) -> Report:
    """100/s and 500/s at a model of 200 ms; systems that cannot keep up get as much as they can."""
    report = Report(
        benchmark="P2", title=TITLE, machine=machine(session.bed.cores),
        what=f"Messages at 100 and 500 per second, model answers after {LATENCY_MS} ms, checkpoints each second. The "
        "figure is latency from when a message was due to when a consumer sees it routed, minus the model's time.",
    )  # fmt: skip
    if not (session.smoke or session.short):
        _try_flink_agents(report)
    workload = Workload(model=f"l{LATENCY_MS}", concurrency=1000, checkpoint_ms=1000)
    session.interleaved(
        report, [Entrant(system=one, workload=workload, loads=_loads(one, session)) for one in systems(session)]
    )
    return report


def systems(session: Session) -> list[System]:
    """Who takes part."""
    if session.smoke:  # the fast router would need a second broker
        return [ROUTER, PLAIN, ASYNC_TUNED]
    own: list[System] = [ROUTER, *([FAST_ROUTER] if HAS_FAST_MODE else []), PLAIN, ASYNC_TUNED]
    in_flink: list[System] = [ASYNC, ML_PREDICT, ML_PREDICT_TUNED, PASS_THROUGH]
    return [*own, PLAIN_SAME_CLIENT, *in_flink, FAUST, FAUST_TUNED, QUIX, LANGGRAPH, LANGGRAPH_BARE]


def _try_flink_agents(report: Report) -> None:
    """Its package fetches jars when it is built; where they are not to be had, it cannot take part."""
    try:
        python_of("flink_agents")
    except BenchError as error:
        report.failed("flink-agents", error)
    else:
        report.notes.append("flink-agents can be installed here; it has no job in this suite yet.")


def _loads(system: System, session: Session) -> dict[str, Load]:
    seconds = session.seconds(5, 3, 1)
    rates = [rate for rate in (100.0, 500.0) if rate <= system.most_per_s] or [system.most_per_s]
    if session.smoke:
        rates = rates[:1]
    return {f"{rate:g}/s": Load.steady(rate, seconds, warm_up_s=1.0) for rate in rates}
