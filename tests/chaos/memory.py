"""How the memory of each process of a stack grows.

A JVM lets garbage fill its heap before it collects, so that its size says little: it is read after a full collection,
when what it keeps is what is in use. That needs `jcmd`, which comes with a JDK.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from statistics import linear_regression, mean

import psutil

from pointsman.local import LocalStack
from tests.e2e.system import System

Sample = tuple[float, float]
"""Seconds and bytes."""
BALLAST_MIB = 128
"""Twice MongoDB's cache in the local stack: what fills up to its bound has done so before anything is measured."""
_TEN_MINUTES_S = 600.0
_LONGEST_COLLECTION_S = 30.0


class MemoryWatch:
    """Samples the resident memory of every program of `stack` on a thread of its own, until `close`."""

    def __init__(self, stack: LocalStack, *, every_s: float = 20.0) -> None:
        self._stack = stack
        self._jcmd = shutil.which("jcmd")
        self._every_s = every_s
        self._samples: dict[tuple[str, int], list[Sample]] = defaultdict(list)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    def since(self, moment: float) -> dict[str, list[Sample]]:
        """Samples after a monotonic `moment`, by program; of a program that was started anew, its last process's."""
        last = {name: samples for (name, _), samples in self._samples.items()}
        return {name: [sample for sample in samples if sample[0] >= moment] for name, samples in last.items()}

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            now = time.monotonic()
            for status in self._stack.status():
                if status.pid and (size := self._size(status.pid)):
                    self._samples[status.name, status.pid].append((now, float(size)))

    def _size(self, pid: int) -> int:
        """Resident bytes; 0 for a process that has just ended."""
        try:
            process = psutil.Process(pid)
            if self._jcmd and process.name() == "java":
                command = [self._jcmd, str(pid), "GC.run"]
                subprocess.run(command, check=False, capture_output=True, timeout=_LONGEST_COLLECTION_S)
            return int(process.memory_info().rss)
        except (psutil.Error, subprocess.TimeoutExpired):
            return 0


def growth_percent(samples: Sequence[Sample]) -> float:
    """Per cent by which memory grows in ten minutes, by linear regression over `samples`.

    Raises:
        ValueError: fewer than two samples.
    """
    if len(samples) < 2:
        raise ValueError("a slope needs two samples")
    sizes = [size for _, size in samples]
    slope: float = linear_regression([at for at, _ in samples], sizes).slope
    return slope * _TEN_MINUTES_S / mean(sizes) * 100


def fill_the_databases_cache(system: System) -> None:
    """Have MongoDB take the memory that it may take in any case."""
    ballast = system.database["ballast"]
    for number in range(BALLAST_MIB):
        ballast.insert_one({"_id": number, "bytes": os.urandom(2**20)})
    assert sum(len(one["bytes"]) for one in ballast.find()) == BALLAST_MIB * 2**20
