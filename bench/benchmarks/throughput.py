"""P1: the highest rate at which latency stays within 50 ms of the model's own time, with nothing lost."""

from __future__ import annotations

from bench.flink_systems import ASYNC_TUNED, FAST_ROUTER, HAS_FAST_MODE, ML_PREDICT, ROUTER
from bench.measuring import Load
from bench.process_systems import FAUST_TUNED, PLAIN, PLAIN_SAME_CLIENT, QUIX
from bench.results_file import Report, machine
from bench.session import EXPECTED_TROUBLE, Entrant, Live, Session, brief, row
from bench.systems import UNCOMMITTED, System, Workload

TITLE = "Throughput"
MINUTES = 9.0
LATENCY_MS = 200
MARGIN_MS = 50.0
STEPS = (0.9, 0.75, 0.6, 0.45)
"""Shares of what a burst came to, tried from the highest."""
BURST = 6000


def run(session: Session) -> Report:
    """First a burst, which shows about what a system can do; then steady rates below it, until one is held."""
    report = Report(
        benchmark="P1", title=TITLE, machine=machine(session.bed.cores),
        what=f"{BURST} messages at once (burst), then steady rates of {', '.join(f'{step:.0%}' for step in STEPS)} of "
        f"what the burst came to, until 99 % of the messages are routed within {LATENCY_MS + MARGIN_MS:g} ms and "
        f"nothing is lost (held). The model answers after {LATENCY_MS} ms, 4000 calls may be in flight. Slow systems "
        "get less.",
    )  # fmt: skip
    workload = Workload(model=f"l{LATENCY_MS}", concurrency=4000, checkpoint_ms=1000)
    entrants = [Entrant(system=one, workload=workload, loads={}) for one in _systems()]
    with session.started(report, entrants) as lives:
        for turn in range(session.repeats):
            for live in lives:
                try:
                    _climb(session, report, live, turn)
                except EXPECTED_TROUBLE as error:
                    report.failed(live.entrant.system.name, error)
            report.write(session.results)
    return report


def _systems() -> list[System]:
    own: list[System] = [ROUTER, *([FAST_ROUTER] if HAS_FAST_MODE else [])]
    return [*own, PLAIN, PLAIN_SAME_CLIENT, FAUST_TUNED, ASYNC_TUNED, ML_PREDICT, QUIX]


def _climb(session: Session, report: Report, live: Live, turn: int) -> None:
    system = live.entrant.system
    slow = system.most_per_s < 100
    count = round(system.most_per_s * 6) if slow else round(session.seconds(BURST, BURST / 3, 200))

    def measured(name: str, load: Load) -> dict[str, object]:
        found = live.measure(load)
        line = row(system, live.entrant.workload, name, turn, found)
        report.rows.append(line)
        session.say(f"P1 {system.name}, {name} {load.rate:g}/s: {brief(found)}")
        return line

    burst = measured("burst", Load(rate=0, count=count, drain_s=45))
    capacity = float(str(burst["per_s"]))
    for step in STEPS:
        rate = max(1.0, round(capacity * step))
        line = measured("steady", Load.steady(rate, session.seconds(5, 3, 1), drain_s=15))
        held = _is_held(line)
        line["held"] = held
        if held:
            return


def _is_held(line: dict[str, object]) -> bool:
    latency = line["latency_ms"]
    p99 = latency.get(UNCOMMITTED, {}).get("p99") if isinstance(latency, dict) else None
    return not line["void"] and p99 is not None and p99 <= LATENCY_MS + MARGIN_MS
