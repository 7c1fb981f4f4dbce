"""Profiles of the benchmarks: the router (or what else is measured) at work as in the benchmark, watched by tools.

A profile is a run of its own, so that no figure of the benchmark is taken while a tool looks on.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import PurePath
from types import MappingProxyType
from typing import Final

import psutil

from bench.benchmarks import ALL
from bench.benchmarks.catalogue_size import SIZES, decisions
from bench.catalogs import agents
from bench.flink_systems import FAST_ROUTER, ROUTER, Router
from bench.labelled import examples, message, sdr_agents
from bench.measuring import Load
from bench.messages import HOPS
from bench.profiling import Taken, profile_name, take
from bench.programs import ROOT, end, family_of, start
from bench.results_file import Report, machine
from bench.session import Entrant, Live, Session
from bench.systems import Workload
from pointsman.catalog import Catalog
from pointsman.routing.limits import Counters
from pointsman.routing.prompt import prefix_for
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router as Decider

_WARM_UP_S: Final = 2.0
_Watch = Callable[[Session, Live], Taken]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A Flink job under a load.

    Attributes:
        load: what is offered; the profile is taken while it lasts.
        workload: what the job is told.
        system: whose job.
        is_answered: agents answer what is routed to them.
        spare_slots: further TaskManagers.
        watch: how it is watched; None: under the load.
        said: what is watched, in words; empty: the load.
    """

    load: Load
    workload: Workload
    system: Router = ROUTER
    is_answered: bool = False
    spare_slots: int = 0
    watch: _Watch | None = None
    said: str = ""

    @property
    def _words(self) -> str:
        how = self.load.how or self.workload.model
        return self.said or f"{self.load.rate:g} messages per second, the model told to behave as `{how}`"

    def take(self, session: Session, report: Report) -> Taken:
        """Start it, watch it, stop it."""
        report.what = f"Taken over {_seconds(session):g} s in a run of its own. {self.system.name}, {self._words}."
        load = replace(self.load, how=self.load.how or self.workload.model)
        entrant = Entrant(
            system=self.system, workload=self.workload, loads={"profile": load}, is_answered=self.is_answered
        )
        with session.started(report, [entrant], self.spare_slots) as lives:
            return (self.watch or _under_load)(session, lives[0]) if lives else Taken()


def _under_load(session: Session, live: Live) -> Taken:
    seconds, found = _seconds(session), []

    def during(began: float) -> None:
        time.sleep(max(0.0, began + _WARM_UP_S - time.time()))
        found.append(take(live.running.processes(), seconds))

    load = live.entrant.loads["profile"]
    lasts_s = _WARM_UP_S + seconds + 2
    live.measure(replace(load, count=round(load.rate * lasts_s), drain_s=60), during=during)
    return found[0]


def _after_a_kill(session: Session, live: Live) -> Taken:
    """The TaskManagers that take over."""
    seconds, found = _seconds(session), []

    def during(began: float) -> None:
        time.sleep(max(0.0, began + _WARM_UP_S - time.time()))
        killed = {process.pid for process in live.running.processes()}
        others = [process for process in _taskmanagers(live) if process.pid not in killed]
        live.running.kill()
        found.append(take(others, seconds))

    load = live.entrant.loads["profile"]
    live.measure(replace(load, count=round(load.rate * (_WARM_UP_S + seconds)), drain_s=60), during=during)
    return found[0]


def _from_submission(session: Session, live: Live) -> Taken:
    """The TaskManagers while the job is submitted again and gets its first messages."""
    live.stop()
    with ThreadPoolExecutor(max_workers=1) as pool:
        taken = pool.submit(take, _taskmanagers(live), _seconds(session))
        live.start(thoroughly=False)
        return taken.result()


def _taskmanagers(live: Live) -> list[psutil.Process]:
    if live.flink is None:
        return []
    return family_of(pid for name, pid in live.flink.pids().items() if name.startswith("taskmanager"))


def _seconds(session: Session) -> float:
    return session.seconds(20, 8, 3)


def _of_decisions(session: Session, report: Report) -> Taken:
    """P7: the decision among 500 agents, in this process."""
    report.what = f"The decision among {SIZES[-1]} agents, in one process, by cProfile."
    definitions, profile = agents(SIZES[-1]), cProfile.Profile()
    decisions(definitions, 50)
    with profile:
        decisions(definitions, round(session.seconds(2000, 500, 50)))
    taken, own = Taken(), Counter[str]()
    for (file, _, name), (_, _, own_s, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        own[f"{name} ({'/'.join(PurePath(file).parts[-2:])})"] += own_s
    taken.add("python", own)
    return taken


def _of_calls(session: Session, report: Report) -> Taken:
    """P11: the router's client, in a process that does nothing but ask."""
    report.what = f"Taken over {_seconds(session):g} s. The router's client, 64 calls in flight, in its own process."
    plan = {"client": "Pointsman", "in_flight": 64, "url": session.bed.model.url("l0"), "count": 200_000}
    command = [sys.executable, str(ROOT / "bench" / "rivals" / "client_cost.py"), json.dumps(plan)]
    process = start(command, session.bed.cores.system, stdout=subprocess.DEVNULL)
    try:
        time.sleep(_WARM_UP_S)
        return take(family_of([process.pid]), _seconds(session))
    finally:
        end(process)


def _of_tokens(session: Session, report: Report) -> Taken:
    """P10: what the prompt's tokens are spent on; nothing is timed."""
    del session
    report.what = "The router's prompts for the labelled messages; nothing was timed."
    router, parts = Decider(Catalog.of(sdr_agents())), Counter[str]()
    rules = len(prefix_for([]).system)
    for example in examples():
        asked = router.prepare(message(example), Counters(step=1), message(example).time)
        if isinstance(asked, ModelQuestion):
            parts["rules"] += rules
            parts["candidates"] += len(asked.request.system) - rules
            parts["message"] += len(asked.request.user)
    taken = Taken()
    taken.add("tokens", parts)
    return taken


_L200: Final = Workload(checkpoint_ms=1000)
_Take = Callable[[Session, Report], Taken]
PROFILES: Final[Mapping[str, _Take]] = MappingProxyType(
    {
        "P1": Watched(load=Load(rate=1000, count=0), workload=Workload(concurrency=4000)).take,
        "P2": Watched(load=Load(rate=500, count=0), workload=_L200).take,
        "P3": Watched(load=Load(rate=100, count=0, how="tail2s2000"), workload=_L200).take,
        "P4": Watched(
            load=Load(rate=20, count=0, hop=HOPS - 1), workload=Workload(checkpoint_ms=1000, hops=HOPS),
            system=FAST_ROUTER, is_answered=True,
        ).take,
        "P5": Watched(load=Load(rate=100, count=0), workload=Workload(checkpoint_ms=200)).take,
        "P6": Watched(
            load=Load(rate=1000, count=0), workload=Workload(concurrency=4000), spare_slots=1,
            system=replace(FAST_ROUTER, told={**FAST_ROUTER.told, "parallelism": 2}),
        ).take,
        "P7": _of_decisions,
        "P8": Watched(load=Load(rate=200, count=0), workload=Workload()).take,
        "P9": Watched(
            load=Load(rate=50, count=0), workload=Workload(model="l2000", checkpoint_ms=500), spare_slots=1,
            watch=_after_a_kill, said="the TaskManagers that are left after a kill",
        ).take,
        "P10": _of_tokens,
        "P11": _of_calls,
        "P12": Watched(load=Load(rate=50, count=0, how="faults"), workload=Workload(timeout_s=3.0)).take,
        "P13": Watched(
            load=Load(rate=0, count=0), workload=_L200, watch=_from_submission,
            said="the TaskManager from the submission of a job on",
        ).take,
        "P14": Watched(load=Load(rate=500, count=0), workload=_L200, system=FAST_ROUTER).take,
    }
)  # fmt: skip


def profile(benchmark: str, session: Session) -> Report:
    """Take the profile of a benchmark; it is written by its caller.

    Args:
        benchmark: its number, `P2`.
        session: the sitting.
    """
    report = Report(
        benchmark=profile_name(benchmark),
        title=ALL[benchmark].title,
        machine=machine(session.bed.cores),
        what="",
    )
    taken = PROFILES[benchmark](session, report)
    report.rows = taken.rows
    report.notes = taken.notes
    return report
