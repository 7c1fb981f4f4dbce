"""Finds and ends processes that a stack left behind, by the variable that each of them carries."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psutil

from pointsman.local.programs import MARK

_TERM_WAIT_S: Final = 5.0
_KILL_WAIT_S: Final = 5.0


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Live processes of the stack in `data_dir`, whoever started them, this process left out."""
    me = psutil.Process().pid
    return [process for process in psutil.process_iter() if process.pid != me and _belongs(process, str(data_dir))]


def end_processes_of(data_dir: Path) -> int:
    """Ask them to stop, then kill them; the number of processes that were found."""
    found = processes_of(data_dir)
    for process in found:
        _signal(process, kill=False)
    _, stubborn = psutil.wait_procs(found, timeout=_TERM_WAIT_S)
    for process in stubborn:
        _signal(process, kill=True)
    psutil.wait_procs(stubborn, timeout=_KILL_WAIT_S)
    return len(found)


def _belongs(process: psutil.Process, data_dir: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == data_dir
    except (psutil.Error, OSError):
        return False  # gone meanwhile, or another user's


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return
