"""Finds and ends processes that a stack left behind, by the variable that each of them carries."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psutil

from pointsman.local.programs import MARK

_TERM_WAIT_S: Final = 15.0
_KILL_WAIT_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.02


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Live processes of the stack in `data_dir`, whoever started them, this process left out."""
    me = psutil.Process().pid
    return [process for process in psutil.process_iter() if process.pid != me and _belongs(process, str(data_dir))]


def end_processes_of(data_dir: Path) -> int:
    """Ask them to stop, then kill what is left; the number of processes that were found."""
    found = processes_of(data_dir)
    for process in found:
        _signal(process, kill=False)
    _wait_for_end(found, _TERM_WAIT_S)
    # Looked up anew: a supervisor may have started something again before it ended itself.
    stubborn = processes_of(data_dir)
    for process in stubborn:
        _signal(process, kill=True)
    _wait_for_end(stubborn, _KILL_WAIT_S)
    return len(found)


def _belongs(process: psutil.Process, data_dir: str) -> bool:
    try:
        return _is_alive(process) and process.environ().get(MARK) == data_dir
    except (psutil.Error, OSError):
        return False  # gone meanwhile, or another user's


def _is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; one that has ended and that nobody has asked for its exit code does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _wait_for_end(processes: Iterable[psutil.Process], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while any(_is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN_S)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return
