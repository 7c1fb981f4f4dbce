"""How the memory of each process of a stack grows."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from statistics import linear_regression, mean

from pointsman.local import LocalStack

Sample = tuple[float, float]
"""Seconds and bytes."""
_TEN_MINUTES_S = 600.0


class MemoryWatch:
    """Samples the resident memory of every program of `stack` on a thread of its own, until `close`."""

    def __init__(self, stack: LocalStack, *, every_s: float = 5.0) -> None:
        self._stack = stack
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
                if status.pid and status.rss_bytes:
                    self._samples[status.name, status.pid].append((now, float(status.rss_bytes)))


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
