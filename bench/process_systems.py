"""Rivals that are programs of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.programs import ROOT, BenchError, end, family_of, start, wait_for
from bench.systems import Running, Workload, common_config
from bench.testbed import FlinkCluster, Testbed
from bench.venvs import python_of

_READY_WITHIN_S = 120.0


@dataclass(frozen=True, kw_only=True)
class ProgramSystem:
    """A rival in `bench/rivals/<folder>/sut.py`.

    Attributes:
        name: what it is called in results.
        folder: its folder.
        guarantee: `G0`, `G1` or `G2`.
        told: what its configuration holds beside what all get.
        own_environment: it has one; otherwise it runs in the project's.
        most_per_s: see `System`.
    """

    name: str
    folder: str
    guarantee: str
    told: Mapping[str, Any] = field(default_factory=dict)
    own_environment: bool = True
    most_per_s: float = float("inf")
    needs_flink: bool = False

    def start(self, bed: Testbed, workload: Workload, flink: FlinkCluster | None) -> Running:
        del flink
        python = str(python_of(self.folder)) if self.own_environment else sys.executable
        config = {**common_config(bed, workload, self.folder), **self.told}
        return _Program(
            lambda log: rival_program(python, self.folder, "sut.py", config, bed, log), bed, config
        ).running()


def rival_program(
    python: str, folder: str, script: str, config: Mapping[str, Any], bed: Testbed, log: Path, **pipes: Any
) -> subprocess.Popen[str]:
    """Start a rival's program on the measured system's cores.

    Args:
        python: the Python that has what it needs.
        folder: its folder below `bench/rivals`.
        script: its file there.
        config: what it is told.
        bed: whose cores.
        log: file for what it says.
        pipes: further arguments of `Popen`.
    """
    rivals = ROOT / "bench" / "rivals"
    env = {"PYTHONPATH": f"{rivals}:{ROOT}", "PYTHONUNBUFFERED": "1"}
    command = [python, str(rivals / folder / script), json.dumps(config)]
    return start(command, bed.cores.system, log=log, env=env, **pipes)


class _Program:
    """A program that is started again when it was killed, as a supervisor would do it."""

    def __init__(
        self, program: Callable[[Path], subprocess.Popen[str]], bed: Testbed, config: Mapping[str, Any]
    ) -> None:
        self._start = program
        self._bed = bed
        self._config = config
        self._log = bed.folder / f"{config['in_topic']}.log"
        self._process = self._start(self._log)
        try:
            wait_for(config["in_topic"], self._is_ready, _READY_WITHIN_S)
        except BenchError as error:
            end(self._process)
            raise BenchError(f"{error}: {_last_lines(self._log)}") from None

    def running(self) -> Running:
        return Running(
            bootstrap=self._bed.bootstrap,
            in_topic=self._config["in_topic"],
            out_topics={self._config["out_topic"]: ""},
            processes=self._family,
            stop=lambda: end(self._process),
            kill=self._kill,
        )

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise BenchError(f"it ended with {self._process.returncode}")
        return b"ready" in self._log.read_bytes()

    def _family(self) -> list[psutil.Process]:
        return family_of([self._process.pid])

    def _kill(self) -> None:
        family = self._family()
        for member in family:
            member.kill()
        self._process.wait()
        threading.Thread(target=self._restart, daemon=True).start()

    def _restart(self) -> None:
        self._process = self._start(self._log)


def _last_lines(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-3:])[:400]


PLAIN = ProgramSystem(
    name="plain loop, aiohttp", folder="plain", guarantee="G1", told={"client": "aiohttp"}, own_environment=False
)
PLAIN_SAME_CLIENT = ProgramSystem(
    name="plain loop, router's client", folder="plain", guarantee="G1", told={"client": "pointsman"},
    own_environment=False,
)  # fmt: skip
FAUST = ProgramSystem(name="faust-streaming", folder="faust_streaming", guarantee="G1", told={"form": "default"})
FAUST_TUNED = ProgramSystem(
    name="faust-streaming, tuned", folder="faust_streaming", guarantee="G1", told={"form": "tuned"}
)
# G1 by what it does, whatever its option is called: its program says why.
FAUST_EXACTLY_ONCE = ProgramSystem(
    name="faust-streaming, exactly once", folder="faust_streaming", guarantee="G1", told={"form": "exactly-once"}
)
QUIX = ProgramSystem(name="quixstreams", folder="quix_streams", guarantee="G1", most_per_s=15)
LANGGRAPH = ProgramSystem(
    name="LangGraph behind Kafka", folder="langgraph", guarantee="G0", told={"form": "memory"}, most_per_s=250
)
LANGGRAPH_SQLITE = ProgramSystem(
    name="LangGraph behind Kafka, SQLite saver", folder="langgraph", guarantee="G0", told={"form": "sqlite"},
    most_per_s=50,
)  # fmt: skip
