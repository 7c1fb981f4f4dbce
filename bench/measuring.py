"""One measurement: offer a load to a running system, see when each message comes out, count everything."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from bench.arithmetic import (
    Arrival,
    Offered,
    account,
    latencies_ms,
    longest_gap_s,
    per_second,
    stolen_percent,
    summary,
)
from bench.messages import chosen, message_id
from bench.programs import BenchError, cpu_seconds, end, module, rss_bytes, start
from bench.systems import COMMITTED, UNCOMMITTED, Running
from bench.testbed import Testbed

_LEAD_S: Final = 0.6
"""Between starting the generator and the first message: it must have started by then."""
_SERVED_WITHIN_S: Final = 3.0
_LINGER_S: Final = 0.5
"""How long collectors listen for second copies when all has come."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is offered.

    Attributes:
        rate: messages per second; 0 offers all at once.
        count: how many.
        warm_up_s: messages due in the first so many seconds are left out of latencies.
        hop: the record of a message that counts is the one that was answered so often.
        drain_s: how long to wait for what is under way when all is offered.
        how: what the model does, in the words of `bench.mock_model` with `z` between them; empty: as the system's
            workload says.
        once: in the first turn only, because it takes long.
        kind: type of the messages; empty: the usual one.
        agent: who gets all of them; empty: whom the model names.
        disturb: what is done to the system meanwhile; gets it, and the moment at which the first message is due.
    """

    rate: float
    count: int
    warm_up_s: float = 0.0
    hop: int = 0
    drain_s: float = 20.0
    how: str = ""
    once: bool = False
    kind: str = ""
    agent: str = ""
    disturb: Callable[[Running, float], None] | None = None

    @staticmethod
    def steady(rate: float, seconds: float, warm_up_s: float = 1.0, **more: Any) -> Load:
        """`rate` messages per second for `warm_up_s` and then `seconds`."""
        return Load(rate=rate, count=round(rate * (warm_up_s + seconds)), warm_up_s=warm_up_s, **more)


@dataclass(kw_only=True)
class Measured:
    """What came of it.

    Attributes:
        figures: the row of the result file.
        arrivals: what was seen, by view.
        offered: what was offered.
        how: see `Load`.
    """

    figures: dict[str, Any]
    offered: Offered
    how: str = ""
    arrivals: dict[str, list[Arrival]] = field(default_factory=dict)

    @property
    def is_drained(self) -> bool:
        """Whether nothing is left that could come out later."""
        return not self.figures["lost"]


def measure(
    bed: Testbed,
    running: Running,
    load: Load,
    *,
    guarantee: str = "G1",
    agents: list[str] | None = None,
    during: Callable[[float], None] = lambda _: None,
) -> Measured:
    """Offer `load` and see what comes out.

    Args:
        bed: broker and model.
        running: the system.
        load: what to offer.
        guarantee: of a system with `G2` it is also noted when records are seen as committed.
        agents: names of the agents that the model chooses among; None when nothing is routed.
        during: called with the moment at which the first message is due, once the load has begun.

    Raises:
        BenchError: generator or collectors failed.
    """
    run = _run_name(load)
    views = [UNCOMMITTED, *([COMMITTED] if guarantee == "G2" else [])]
    bed.model.forget_peak()
    before, host = bed.model.counters(), psutil.cpu_times()._asdict()
    if running.offers is not None:
        found = _in_process(running, load, run, during)
    else:
        found = _through_kafka(bed, running, load, run, views, during)
    after = bed.model.counters()
    figures: dict[str, Any] = {
        "rate": load.rate, "count": load.count,
        **_seen(found.arrivals, found.offered, load, _expected(run, agents, load)), **found.figures,
        "rss_mib": rss_bytes(running.processes()) >> 20,
        "asked": {name: after[name] - before[name] for name in ("calls", "prompt_tokens", "output_tokens", "refused")},
        "peak_in_flight": after["peak"],
        "stolen_percent": stolen_percent(host, psutil.cpu_times()._asdict()),
        **({"restarts": running.restarts()} if running.restarts else {}),
    }  # fmt: skip
    found.figures = figures
    return found


def _through_kafka(
    bed: Testbed, running: Running, load: Load, run: str, views: list[str], during: Callable[[float], None]
) -> Measured:
    """Load by the generator, arrivals by the collectors, processor time of the system."""
    collectors: list[_Collector] = []
    try:
        collectors += (_Collector(bed, running, load, run, view) for view in views)
        used, began = cpu_seconds(running.processes()), time.time() + _LEAD_S
        generator = _generator(bed, running, load, run, began)
        during(began)
        written = _written(generator, load)
        spent = _spent(running, used, began)
        arrivals = {one.view: one.arrivals(load.drain_s) for one in collectors}
        if not load.rate:  # the work on a burst only begins when all of it is offered
            spent = _spent(running, used, began)
    finally:
        for one in collectors:
            one.close()
    offered = Offered(count=load.count, began=began, rate=load.rate)
    figures = {"generator_late_ms": written["late_ms"], **spent}
    return Measured(figures=figures, arrivals=arrivals, offered=offered, how=load.how)


def _in_process(running: Running, load: Load, run: str, during: Callable[[float], None]) -> Measured:
    """The same of a system that makes its load itself; its processor time holds that, too."""
    if running.offers is None:
        raise BenchError("it makes no load itself")
    used, began = cpu_seconds(running.processes()), time.time() + _LEAD_S
    lasts_s = load.count / load.rate if load.rate else 0.0
    plan = {"run": run, "count": load.count, "rate": load.rate, "begin": began, "drain_s": load.drain_s}
    during(began)
    arrivals = {UNCOMMITTED: running.offers(plan, _LEAD_S + lasts_s + load.drain_s + 30)}
    offered = Offered(count=load.count, began=began, rate=load.rate)
    return Measured(figures=_spent(running, used, began), arrivals=arrivals, offered=offered, how=load.how)


def _spent(running: Running, used: float, began: float) -> dict[str, float]:
    # A system that was killed meanwhile began to count anew.
    spent = max(0.0, cpu_seconds(running.processes()) - used)
    return {"cpu_s": round(spent, 2), "offered_s": round(time.time() - began, 2)}


def _seen(
    arrivals: dict[str, list[Arrival]], offered: Offered, load: Load, expected: Callable[[int], str | None]
) -> dict[str, Any]:
    """Losses by the strictest view, latencies by each."""
    strictest = arrivals.get(COMMITTED, arrivals[UNCOMMITTED])
    counted = account(offered.count, strictest, expected)
    return {
        "lost": counted.lost,
        "duplicated": counted.duplicated,
        "misrouted": counted.misrouted,
        "void": counted.is_void,
        "per_s": round(per_second(arrivals[UNCOMMITTED]), 1),
        "served": round(_served(arrivals[UNCOMMITTED], offered), 4),
        "longest_gap_s": round(longest_gap_s(strictest), 2),
        "latency_ms": {view: summary(latencies_ms(offered, seen, load.warm_up_s)) for view, seen in arrivals.items()},
    }


def _served(seen: list[Arrival], offered: Offered) -> float:
    """Share of the messages that were routed by three seconds after the last was due."""
    ends = offered.due(offered.count) + _SERVED_WITHIN_S
    return len({one.number for one in seen if one.at <= ends}) / offered.count


def _expected(run: str, agents: list[str] | None, load: Load) -> Callable[[int], str | None]:
    if agents is None:
        return lambda _: None
    if load.agent:
        return lambda _: load.agent
    names = sorted(name.encode() for name in agents)
    return lambda number: chosen(names, message_id(run, number).encode()).decode()


def _run_name(load: Load) -> str:
    return "z".join(filter(None, (uuid.uuid4().hex[:8], load.how)))


def _generator(bed: Testbed, running: Running, load: Load, run: str, began: float) -> subprocess.Popen[str]:
    plan = {
        "bootstrap": running.bootstrap, "topic": running.in_topic, "run": run, "count": load.count, "rate": load.rate,
        "begin": began, "kind": load.kind,
    }  # fmt: skip
    return start(module("bench.load", json.dumps(plan)), bed.cores.harness, stdout=subprocess.PIPE)


def _written(generator: subprocess.Popen[str], load: Load) -> dict[str, Any]:
    try:
        said, _ = generator.communicate(timeout=load.count / load.rate + 90 if load.rate else 120)
    except subprocess.TimeoutExpired:
        end(generator)
        raise BenchError("the load generator did not come to its end") from None
    if generator.returncode != 0:
        raise BenchError(f"the load generator ended with {generator.returncode}")
    written: dict[str, Any] = json.loads(said)
    if written["written"] != load.count:
        raise BenchError(f"Kafka took {written['written']} of {load.count} messages")
    return written


class _Collector:
    """A collector's process."""

    def __init__(self, bed: Testbed, running: Running, load: Load, run: str, view: str) -> None:
        self.view = view
        self._file: Path = bed.folder / f"seen-{run}-{view}.json"
        plan = {
            "bootstrap": running.bootstrap, "topics": dict(running.out_topics), "run": run, "hop": load.hop,
            "count": load.count, "linger_s": _LINGER_S, "committed": view == COMMITTED, "file": str(self._file),
        }  # fmt: skip
        self._process = start(
            module("bench.collect", json.dumps(plan)), bed.cores.harness, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if self._process.stdout is None or self._process.stdout.readline() != "ready\n":
            raise BenchError(f"the collector did not start ({self._process.poll()})")

    def arrivals(self, within_s: float) -> list[Arrival]:
        """What it saw, once it has seen everything or `within_s` seconds are over."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._ask_to_stop()
            self._process.wait(10)
        rows = json.loads(self._file.read_text(encoding="utf-8"))
        return [Arrival(number=number, at=at, agent=agent) for number, at, agent in rows]

    def close(self) -> None:
        """End it, and remove what it wrote."""
        if self._process.poll() is None:
            end(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._file.unlink(missing_ok=True)

    def _ask_to_stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()


def warmed(bed: Testbed, running: Running, hop: int = 0, **about: Any) -> None:
    """Send some messages through a system that has just started, so that it has connections and compiled code.

    Raises:
        BenchError: they do not come out.
    """
    first = measure(bed, running, Load(rate=20, count=20, drain_s=60, hop=hop), **about)
    if not first.is_drained:
        raise BenchError(f"{first.figures['lost']} of the first 20 messages did not come out")
