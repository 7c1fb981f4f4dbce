"""Which processor cores the measuring parts and the measured system run on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, kw_only=True)
class Cores:
    """Cores of the machine, by use.

    Attributes:
        harness: broker, model, load and collectors.
        system: the system under test.
    """

    harness: frozenset[int]
    system: frozenset[int]

    @property
    def are_apart(self) -> bool:
        """Whether the measured system has cores of its own; otherwise only figures per CPU-second say anything."""
        return not self.harness & self.system


def split(cores: frozenset[int], for_system: int = 2) -> Cores:
    """Give the last `for_system` of `cores` to the system and the others to the harness; share what cannot be split."""
    ordered = sorted(cores)
    if len(ordered) < 2 * for_system:
        return Cores(harness=cores, system=cores)
    return Cores(harness=frozenset(ordered[:-for_system]), system=frozenset(ordered[-for_system:]))


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Processes started within run on `cores`; they inherit it from this thread, and so do their children."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def move(processes: Iterable[psutil.Process], cores: frozenset[int]) -> None:
    """Have running processes, with all their threads and whatever they start from now on, run on `cores`."""
    for process in processes:
        for thread in process.threads():
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setaffinity(thread.id, cores)
