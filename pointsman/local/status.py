"""One line of `pointsman status`."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from pointsman.local.supervision import ProgramState


@dataclass(frozen=True, kw_only=True)
class ProgramStatus:
    """A program as it is now.

    Attributes:
        name: the program.
        state: supervisord's word: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL.
        pid: process id, 0 when it does not run.
        port: the port it listens on, or None.
        metrics: ports at which Prometheus reads it.
        rss_bytes: resident memory, children included.
        uptime_s: seconds since it was started, 0 when it does not run.
        restarts: how often it ended by itself since `pointsman up`.
        problem: why it could not be started, or "".
    """

    name: str
    state: str
    pid: int
    port: int | None
    metrics: tuple[int, ...]
    rss_bytes: int
    uptime_s: float
    restarts: int
    problem: str


def status_of(state: ProgramState, port: int | None, restarts: int, metrics: tuple[int, ...] = ()) -> ProgramStatus:
    """The status of a program that supervisord knows as `state`."""
    return ProgramStatus(
        name=state.name,
        state=state.state,
        pid=state.pid,
        port=port,
        metrics=metrics,
        rss_bytes=_rss(state.pid) if state.pid else 0,
        uptime_s=max(0.0, time.time() - state.started_at) if state.pid else 0.0,
        restarts=restarts,
        problem=state.problem,
    )


def _rss(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_own_rss(member) for member in family)


def _own_rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
