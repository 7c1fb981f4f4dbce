"""P1: the highest rate at which latency stays within 50 ms of the model's own time, with nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bench.catalogs import CONTRACT_ONLY_TYPE, agents
from bench.flink_systems import (
    ASYNC,
    ASYNC_TUNED,
    ML_PREDICT,
    ML_PREDICT_TUNED,
    PASS_THROUGH,
    ROUTER,
)
from bench.in_process import LANGGRAPH_BARE
from bench.measuring import Load
from bench.mock_model import behaviour
from bench.process_systems import FAUST, FAUST_TUNED, LANGGRAPH, PLAIN, PLAIN_SAME_CLIENT, QUIX
from bench.results_file import Report, machine
from bench.session import EXPECTED_TROUBLE, Entrant, Live, Session, brief, row
from bench.systems import UNCOMMITTED, System, Workload

TITLE = "Throughput"
MINUTES = 42.0
MODELS_MS = (200, 0, 1000)
CONTRACT_ONLY = "contract only"
MARGIN_MS = 50.0
STEPS = (0.8, 0.65, 0.5, 0.35, 0.2, 0.1, 0.05)
"""Shares of what a burst came to, tried from the highest."""
BURST = 6000
_SLOW_PER_S: Final = 100
_TARGETED: Final[tuple[System, ...]] = (PLAIN_SAME_CLIENT, FAUST_TUNED, ML_PREDICT, ML_PREDICT_TUNED)
"""Whom the targets name: they are measured with each of the models, the others at 200 ms."""


def run(session: Session) -> Report:
    """First a burst, which shows about what a system can do; then steady rates below it, until one is held."""
    report = Report(
        benchmark="P1", title=TITLE, machine=machine(session.bed.cores),
        what=f"{BURST} messages at once (burst), then steady rates of {', '.join(f'{step:.0%}' for step in STEPS)} of "
        f"what the burst came to, until 99 % of the messages are routed within {MARGIN_MS:g} ms over the model's own "
        "time and nothing is lost (held; a repeat in which no rate is held counts as 0); later repeats begin where the "
        "one before ended, and go up where that is held. The model answers after 0, 200 and 1000 ms, 4000 calls may be "
        "in flight; systems that no target names at 200 ms only. Slow systems get less. `contract only`: one agent "
        "takes the message, and no model is asked; the pass-through reads and writes and decides nothing. Systems "
        "without a broker pay no Kafka.",
    )  # fmt: skip
    workload = Workload(model="l200", concurrency=4000, checkpoint_ms=1000)
    entrants = [Entrant(system=one, workload=workload, loads=_loads(one)) for one in _systems(session)]
    search = _Search(session=session, report=report)
    with session.started(report, entrants) as lives:
        for turn, live in session.turns(report, lives):
            for name, load in live.entrant.loads.items():
                try:
                    search.measure(live, turn, name, load)
                except EXPECTED_TROUBLE as error:
                    report.failed(f"{live.entrant.system.name}, {name}", error)
    return report


def _systems(session: Session) -> list[System]:
    # Fast mode does the same work for a message; P5 and P6 have it.
    own: list[System] = [ROUTER, PLAIN, PLAIN_SAME_CLIENT]
    if session.smoke:
        return own
    tuned: list[System] = [FAUST_TUNED, ASYNC_TUNED, ML_PREDICT, ML_PREDICT_TUNED, LANGGRAPH_BARE]
    return [*own, *tuned, FAUST, ASYNC, QUIX, LANGGRAPH, PASS_THROUGH]


def _loads(system: System) -> dict[str, Load]:
    """What is offered to a system; rates and counts come later."""
    models = {f"model {ms} ms": Load(rate=0, count=0, how=f"l{ms}") for ms in MODELS_MS}
    alone = Load(rate=0, count=0, how="l0", kind=CONTRACT_ONLY_TYPE, agent=agents()[0].name)
    if system is ROUTER:
        return {**models, CONTRACT_ONLY: alone}
    if system is PASS_THROUGH:
        return {CONTRACT_ONLY: alone}
    return models if system in _TARGETED else dict(list(models.items())[:1])


@dataclass(frozen=True, kw_only=True)
class _Search:
    """Looks for the highest rate that a system holds; the rows go into `report`.

    Attributes:
        session: the sitting.
        report: where what was measured goes.
    """

    session: Session
    report: Report
    _begin: dict[tuple[str, str], int] = field(default_factory=dict)
    """The step to begin at, by system and load: all are tried in the first repeat only."""

    def measure(self, live: Live, turn: int, name: str, load: Load) -> None:
        """A burst, and steady rates below what it came to, until one is held."""
        at_once = replace(load, count=_burst(self.session, live.entrant.system, load), drain_s=45)
        capacity = self._measured(live, turn, name, at_once, "burst")["per_s"]
        lines: dict[int, dict[str, Any]] = {}

        def is_held(step: int) -> bool:
            rate = max(1.0, round(capacity * STEPS[step]))
            count = round(rate * (1 + self.session.seconds(5, 3, 1)))
            steady = replace(load, rate=rate, count=count, warm_up_s=1.0, drain_s=15)
            lines[step] = self._measured(live, turn, name, steady, "steady")
            return _is_held(lines[step])

        own = live.entrant.system.name, name
        held = highest(is_held, self._begin.get(own, 0))
        end = max(lines) if held is None else held
        lines[end]["held_per_s"] = 0.0 if held is None else lines[end]["rate"]
        self._begin[own] = end

    def _measured(self, live: Live, turn: int, name: str, offered: Load, phase: str) -> dict[str, Any]:
        system = live.entrant.system
        found = live.measure(offered)
        line = {**row(system, live.entrant.workload, name, turn, found), "phase": phase}
        self.report.rows.append(line)
        self.session.say(f"P1 {system.name}, {name}, {phase} {offered.rate:g}/s: {brief(found)}")
        return line


def highest(is_held: Callable[[int], bool], begin: int) -> int | None:
    """The first of STEPS that is held: looked for downwards from `begin`, or upwards where that is held at once.

    Args:
        is_held: measures; true where a step is held.
        begin: the step to begin at.

    Returns:
        None where none is held.
    """
    if not is_held(begin):
        return next((step for step in range(begin + 1, len(STEPS)) if is_held(step)), None)
    while begin and is_held(begin - 1):
        begin -= 1
    return begin


def _burst(session: Session, system: System, load: Load) -> int:
    """How many at once: what a slow system can do in six seconds, by what it is known to do at 200 ms."""
    latency_s = behaviour(b"", load.how.encode()).latency_s
    at_most = 6 * system.most_per_s * 0.2 / latency_s if latency_s and system.most_per_s < _SLOW_PER_S else BURST
    return round(min(at_most, session.seconds(BURST, BURST / 3, 200)))


def _is_held(line: dict[str, Any]) -> bool:
    p99 = line["latency_ms"].get(UNCOMMITTED, {}).get("p99")
    return not line["void"] and p99 is not None and p99 <= line["floor_ms"] + MARGIN_MS
