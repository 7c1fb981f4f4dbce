"""A sitting: starts systems, measures them in turn, writes what it has after every turn."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import KafkaException

from bench.answering import start_agents
from bench.measuring import Load, Measured, measure, warmed
from bench.mock_model import behaviour
from bench.programs import BenchError, end
from bench.results_file import Report
from bench.systems import Running, System, Workload
from bench.testbed import FlinkCluster, Testbed
from pointsman.errors import PointsmanError

EXPECTED_TROUBLE = (
    BenchError,
    PointsmanError,
    KafkaException,
    psutil.Error,
    subprocess.SubprocessError,
    OSError,
    ValueError,
    KeyError,
    RuntimeError,
)
"""What one system may run into without ending the benchmark of the others."""


_TURNS_NOTE = "Each Flink job has a cluster of its own; of them only the one runs whose turn it is."
_STARTED_AT_ONCE = 3
_WARM_UP_RATE = 400.0
_WARM_UP_S = 30.0
"""12,000 messages: with fewer, what is measured is how the JVM compiles."""
_WARM_UP_NOTE = f"Every system got up to {_WARM_UP_RATE * _WARM_UP_S:,.0f} messages before it was measured."


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A system and what it is told.

    Attributes:
        system: the system.
        workload: what it is told.
        loads: what it is offered, by name.
        is_answered: agents answer what is routed to them, until a message has made its workload's hops.
    """

    system: System
    workload: Workload
    loads: dict[str, Load]
    is_answered: bool = False


@dataclass(kw_only=True)
class Session:
    """What every benchmark is given.

    Attributes:
        bed: broker and model.
        repeats: turns.
        results: folder of result files.
        short: smaller loads, for a look.
        smoke: the smallest loads, and the project's own environment only: for breakage.
        systems: beginnings of the names of the systems to measure; empty: all.
    """

    bed: Testbed
    repeats: int = 3
    results: Path
    short: bool = False
    smoke: bool = False
    systems: tuple[str, ...] = ()
    _began: float = field(default_factory=time.monotonic)

    def seconds(self, full: float, short: float, smoke: float = 1.0) -> float:
        """A duration for this kind of sitting."""
        return smoke if self.smoke else short if self.short else full

    def say(self, text: str) -> None:
        """Tell the person at the terminal."""
        sys.stderr.write(f"[{time.monotonic() - self._began:6.1f} s] {text}\n")

    def interleaved(self, report: Report, entrants: Sequence[Entrant], spare_slots: int = 0) -> None:
        """Measure every entrant under every load, in turns; the rows go into `report`, which is written each turn."""
        with self.started(report, entrants, spare_slots) as lives:
            for turn, live in self.turns(report, lives):
                for name, load in live.entrant.loads.items():
                    if not (turn and load.once):
                        self._measure_into(report, live, name, load, turn)

    def turns(self, report: Report, lives: Sequence[Live]) -> Iterator[tuple[int, Live]]:
        """Number and system of each turn; `report` is written after every round.

        Of several Flink jobs each runs during its own turns only, and TaskManagers go on: an idle job takes a tenth to
        a fifth of a core of those that are measured. In one cluster a job would come to whichever TaskManager is free,
        and begin again and again in a JVM that has compiled another one.
        """
        jobs = [live for live in lives if live.entrant.system.needs_flink]
        taking_turns = jobs if len(jobs) > 1 else []
        if taking_turns:
            report.note(_TURNS_NOTE)
        for live in taking_turns:
            live.stop()
        for turn in range(self.repeats):
            for live in lives:
                yield turn, live
                if live in taking_turns:
                    live.stop()
            report.write(self.results)

    def _measure_into(self, report: Report, live: Live, name: str, load: Load, turn: int) -> None:
        system = live.entrant.system
        try:
            found = live.measure(load)
        except EXPECTED_TROUBLE as error:
            report.failed(system.name, error)
            self.say(f"{report.benchmark} {system.name}, {name}: {error}")
            return
        report.rows.append(row(system, live.entrant.workload, name, turn, found))
        self.say(f"{report.benchmark} {system.name}, {name}: {brief(found)}")

    @contextmanager
    def started(self, report: Report, entrants: Sequence[Entrant], spare_slots: int = 0) -> Iterator[list[Live]]:
        """Start the systems of `entrants`; those that do not start are recorded and left out."""
        chosen = [one for one in entrants if not self.systems or one.system.name.startswith(self.systems)]
        report.left_out([one.system.name for one in entrants if one not in chosen])
        if not self.smoke:
            report.note(_WARM_UP_NOTE)
        lives: list[Live] = []
        try:
            for entrant in chosen:
                flink = self.bed.flink(1 + spare_slots) if entrant.system.needs_flink else None
                lives.append(Live(entrant, self.bed, flink, thoroughly=not self.smoke))
            with ThreadPoolExecutor(max_workers=_STARTED_AT_ONCE) as pool:
                started = list(pool.map(lambda live: self._start(report, live), lives))
            yield [live for live, is_up in zip(lives, started, strict=True) if is_up]
        finally:
            for live in lives:
                live.stop()
            self.bed.close_flinks()
            report.write(self.results)

    def _start(self, report: Report, live: Live) -> bool:
        name = live.entrant.system.name
        try:
            live.start()
        except EXPECTED_TROUBLE as error:
            report.failed(name, error)
            self.say(f"{report.benchmark} {name} does not start: {error}")
            live.stop()
            return False
        self.say(f"{report.benchmark} {name} is up")
        return True


class Live:
    """An entrant at work; started anew when it was left with a backlog, which would spoil its next turn.

    Args:
        entrant: who.
        bed: broker and model.
        flink: where Flink jobs run.
        thoroughly: after a start, enough messages are sent through for what is compiled while it runs.
    """

    def __init__(self, entrant: Entrant, bed: Testbed, flink: FlinkCluster | None, *, thoroughly: bool = True) -> None:
        self.entrant = entrant
        self._bed = bed
        self.flink = flink
        self._thoroughly = thoroughly
        self._running: Running | None = None
        self._is_spoilt = False
        self._agents: subprocess.Popen[str] | None = None

    @property
    def running(self) -> Running:
        """The system.

        Raises:
            BenchError: it does not run.
        """
        if self._running is None:
            raise BenchError("it does not run")
        return self._running

    @property
    def about(self) -> dict[str, Any]:
        """What `measure` must know of it."""
        routes = getattr(self.entrant.system, "routes", True)
        names = [agent.name for agent in self.entrant.workload.agents] if routes else None
        return {"guarantee": self.entrant.system.guarantee, "agents": names}

    def start(self, *, thoroughly: bool = True) -> None:
        """Start it and send some messages through; not `thoroughly`: a few in any case."""
        self._running = self.entrant.system.start(self._bed, self.entrant.workload, self.flink)
        if self.entrant.is_answered:
            committed = self.entrant.system.guarantee == "G2"
            self._agents = start_agents(self._bed, self._running, self.entrant.workload.hops, committed=committed)
        hop = self.entrant.workload.hops - 1
        warmed(self._bed, self._running, hop=hop, **self.about)
        if thoroughly and self._thoroughly:
            # Of a journey each hop is a message.
            rate = min(_WARM_UP_RATE, self.entrant.system.most_per_s / 2) / self.entrant.workload.hops
            self._is_spoilt = not self._carries(Load.steady(rate, _WARM_UP_S, hop=hop))

    def _carries(self, load: Load) -> bool:
        """Offer `load`; whether nothing is left of it, which would be in the way of what is measured."""
        try:
            return measure(self._bed, self.running, load, **self.about).is_drained
        except EXPECTED_TROUBLE:
            return False

    def measure(self, load: Load, **more: Any) -> Measured:
        """One measurement, of a system that is started if need be; losses make the next one begin with a new start."""
        if self._is_spoilt:
            self.stop()
        if self._running is None:
            self.start()
        self._is_spoilt = True  # until it has come to a good end
        disturb, running = load.disturb, self.running
        if disturb is not None:
            more = {"during": lambda began: disturb(running, began), **more}
        found = measure(self._bed, running, load, **{**self.about, **more})
        self._is_spoilt = not found.is_drained
        return found

    def stop(self) -> None:
        """Stop it."""
        if self._agents is not None:
            end(self._agents)
            self._agents = None
        if self._running is not None:
            with suppress(*EXPECTED_TROUBLE):
                self._running.stop()
        self._running = None


def row(system: System, workload: Workload, load: str, turn: int, found: Measured) -> dict[str, Any]:
    """A line of the result file."""
    asks = getattr(system, "routes", True)
    return {
        "system": system.name, "guarantee": system.guarantee, "load": load, "repeat": turn, "model": workload.model,
        "concurrency": workload.concurrency, "checkpoint_ms": workload.checkpoint_ms,
        "floor_ms": floor_ms(workload, found.how) if asks else 0.0, **found.figures,
    }  # fmt: skip


def floor_ms(workload: Workload, how: str) -> float:
    """What the model alone takes for a message, in milliseconds: no system can be faster."""
    return behaviour(workload.model.encode(), how.encode()).latency_s * 1000 * workload.hops


def brief(found: Measured) -> str:
    """A measurement in a few words."""
    figures = found.figures
    shown = {view: f"{ms.get('p50')}/{ms.get('p99')} ms" for view, ms in figures["latency_ms"].items()}
    counts = f"lost {figures['lost']}, twice {figures['duplicated']}, astray {figures['misrouted']}"
    return f"{shown}, {figures['per_s']}/s, {figures['cpu_s']} CPU-s, {counts}"
