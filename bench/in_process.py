"""A rival without a broker: it makes the load and notes what comes out in its own process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.arithmetic import Arrival
from bench.process_systems import rival_program
from bench.programs import BenchError, end, family_of, wait_for
from bench.systems import Running, Workload, common_config
from bench.testbed import FlinkCluster, Testbed
from bench.venvs import python_of

_READY_WITHIN_S = 40.0


@dataclass(frozen=True, kw_only=True)
class InProcessSystem:
    """A rival in `bench/rivals/<folder>/bare.py`; G0, and without Kafka's time in its latencies.

    Attributes:
        name: what it is called in results.
        folder: its folder.
        most_per_s: see `System`.
    """

    name: str
    folder: str
    most_per_s: float = float("inf")
    guarantee: str = "G0"
    needs_flink: bool = False

    def start(self, bed: Testbed, workload: Workload, flink: FlinkCluster | None) -> Running:
        del flink
        config = common_config(bed, workload, f"{self.folder}-bare")
        log = bed.folder / f"{config['in_topic']}.log"
        process = rival_program(
            str(python_of(self.folder)), self.folder, "bare.py", config, bed, log, stdin=subprocess.PIPE
        )
        try:
            wait_for(self.name, lambda: process.poll() is not None or b"ready" in log.read_bytes(), _READY_WITHIN_S)
        except BenchError:
            end(process)
            raise
        if process.poll() is not None:
            raise BenchError(f"it ended with {process.returncode}")
        return Running(
            bootstrap=bed.bootstrap, in_topic="", out_topics={}, processes=lambda: family_of([process.pid]),
            stop=lambda: end(process), kill=process.kill, offers=_Offers(process, bed.folder),
        )  # fmt: skip


class _Offers:
    """Has the program offer a load to itself.

    Args:
        process: the program.
        folder: where it leaves what it saw.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def __call__(self, plan: Mapping[str, Any], within_s: float) -> list[Arrival]:
        file = self._folder / f"seen-{plan['run']}.json"
        if self._process.stdin is None:
            raise BenchError("it cannot be told anything")
        self._process.stdin.write(json.dumps({**plan, "file": str(file)}) + "\n")
        self._process.stdin.flush()
        wait_for("the end of the load", lambda: file.is_file() or self._process.poll() is not None, within_s)
        if not file.is_file():
            raise BenchError(f"it ended with {self._process.returncode}")
        rows = json.loads(file.read_text(encoding="utf-8"))
        file.unlink()
        return [Arrival(number=number, at=at, agent=agent) for number, at, agent in rows]


LANGGRAPH_BARE = InProcessSystem(name="LangGraph in process, no Kafka", folder="langgraph", most_per_s=800)
