"""Programs that the harness starts, pinned to cores, and ends by their own process id."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from bench.pinning import pinned

ROOT: Final = Path(__file__).resolve().parents[1]


class BenchError(Exception):
    """A measurement could not be made; the text says why."""


def start(
    command: Sequence[str],
    cores: frozenset[int],
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    **pipes: Any,
) -> subprocess.Popen[str]:
    """Start a program on `cores`, from the project's folder.

    Args:
        command: program and arguments.
        cores: where it and its children run.
        log: file for what it says; None leaves its output to `pipes`.
        env: what its environment has beside the harness's own.
        pipes: further arguments of `Popen`.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    with pinned(cores):
        if log is None:
            return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)
        with log.open("wb") as output:
            return subprocess.Popen(
                command, cwd=ROOT, env=environment, text=True, stdout=output, stderr=subprocess.STDOUT, **pipes
            )


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of the harness."""
    return [sys.executable, "-m", name, *arguments]


def end(process: subprocess.Popen[str], *, within_s: float = 5.0) -> None:
    """End a program and its children, whether it wants or not."""
    family = family_of([process.pid])
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for member in family:
        if member.pid != process.pid and member.is_running():
            member.kill()


def family_of(pids: Iterable[int]) -> list[psutil.Process]:
    """The live processes with those ids, and their children's children."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            parent = psutil.Process(pid)
            found.update({one.pid: one for one in (parent, *parent.children(recursive=True))})
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Processor time that live processes have used."""
    used = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system
    return used


def rss_bytes(processes: Iterable[psutil.Process]) -> int:
    """Resident memory of live processes."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def wait_for(what: str, condition: Callable[[], object], within_s: float, every_s: float = 0.05) -> None:
    """Look until `condition` holds.

    Raises:
        BenchError: it did not within `within_s` seconds.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"{what} did not come within {within_s:g} s")
        time.sleep(every_s)
