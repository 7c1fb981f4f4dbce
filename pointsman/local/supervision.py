"""supervisord: writes its configuration, starts it, and speaks to it over its socket."""

from __future__ import annotations

import subprocess
import sys
import time
import xmlrpc.client  # nosec B411
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, cast

from supervisor.xmlrpc import Faults, SupervisorTransport

from pointsman.errors import ConfigurationError
from pointsman.local.layout import Layout
from pointsman.local.programs import MARK, Program

_CONFIG: Final = "run/supervisord.conf"
_LOG: Final = "logs/supervisord.log"
_LOOK_AGAIN_S: Final = 0.05
_TAIL_BYTES: Final = 4096
HOPELESS_EXITS: Final = 4
"""After so many exits in a run, a program that is down is taken for one that cannot start."""

# A program that cannot start is tried 20 times with growing pauses: about three minutes, then it is FATAL.
_PROGRAM: Final = """
[program:{name}]
command={command}
autostart=false
autorestart=true
startsecs=1
startretries=20
stopwaitsecs={stop_wait_s}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=logs/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""

_SUPERVISORD: Final = """
[supervisord]
logfile={log}
logfile_maxbytes=0
pidfile=run/supervisord.pid
childlogdir=logs
identifier=pointsman

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


@dataclass(frozen=True, kw_only=True)
class ProgramState:
    """What supervisord knows of one program.

    Attributes:
        name: the program.
        state: supervisord's word: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL...
        pid: process id, 0 when it does not run.
        started_at: seconds since the epoch of the last start.
        problem: why it could not be started, when it could not.
    """

    name: str
    state: str
    pid: int
    started_at: float
    problem: str


def config_text(programs: Iterable[Program], socket: Path) -> str:
    """Configuration of supervisord for `programs`; its working folder is the data folder."""
    # Only the socket may stand outside the data folder; there its name is ours and has no sign of the parser's.
    head = _SUPERVISORD.format(log=_LOG, socket=str(socket).replace("%", "%%"))
    parts = [
        _PROGRAM.format(name=program.name, command=program.command_line, stop_wait_s=program.stop_wait_s)
        for program in programs
    ]
    return head + "".join(parts)


class Supervisor:
    """Starts, stops and lists the programs of one data folder.

    Args:
        layout: the data folder.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def is_running(self) -> bool:
        """Whether supervisord answers."""
        try:
            self._call("getState")
        except (OSError, HTTPException):
            return False
        return True

    def configure(self, programs: Iterable[Program]) -> None:
        """Write the configuration; a running supervisord takes over programs that are new or have changed."""
        text = config_text(programs, self._socket_in_config())
        (self._layout.data_dir / _CONFIG).write_text(text, encoding="utf-8")
        if self.is_running():
            self._reload()

    def start_supervisord(self) -> None:
        """Start supervisord; it outlives this process.

        Raises:
            ConfigurationError: it did not start.
        """
        self._layout.socket.unlink(missing_ok=True)
        (self._layout.data_dir / _LOG).unlink(missing_ok=True)  # exits are counted from the start of this run
        mark = f"{MARK}={self._layout.data_dir}"
        command = ["env", mark, sys.executable, "-P", "-m", "supervisor.supervisord", "-c", _CONFIG]
        done = subprocess.run(  # noqa: S603  # fixed arguments
            command, cwd=self._layout.data_dir, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise ConfigurationError(
                f"supervisord did not start: {said[-1] if said else 'no reason given'}",
                f"see {self._layout.data_dir / _LOG}",
            )

    def start(self, name: str) -> None:
        """Start the program; nothing happens when it runs."""
        self._tolerating(Faults.ALREADY_STARTED, "startProcess", name, False)

    def stop(self, name: str, *, wait: bool = True) -> None:
        """Stop the program; nothing happens when it does not run."""
        self._tolerating(Faults.NOT_RUNNING, "stopProcess", name, wait)

    def stop_all(self, names: Collection[str]) -> None:
        """Stop the programs at the same time, and return when all have stopped."""
        for name in names:
            self.stop(name, wait=False)
        while any(state.name in names and state.pid for state in self.states()):
            time.sleep(_LOOK_AGAIN_S)

    def refuse_failed(self, names: Collection[str]) -> None:
        """Find programs that end as soon as they are started.

        Raises:
            ConfigurationError: one of `names` is such a program.
        """
        exits = self.restarts()
        for state in self.states():
            is_down = state.state in ("BACKOFF", "FATAL") and exits.get(state.name, 0) >= HOPELESS_EXITS
            if state.name in names and is_down:
                said = last_line(self._layout.logs / f"{state.name}.log")
                raise ConfigurationError(f"{state.name} does not start: {said}", f"run: pointsman logs {state.name}")

    def states(self) -> list[ProgramState]:
        """All programs; empty when supervisord does not run."""
        try:
            rows = cast("list[dict[str, Any]]", self._call("getAllProcessInfo"))
        except (OSError, HTTPException):
            return []
        return [
            ProgramState(
                name=row["name"],
                state=row["statename"],
                pid=row["pid"],
                started_at=row["start"],
                problem=row["spawnerr"],
            )
            for row in rows
        ]

    def state(self, name: str) -> ProgramState | None:
        """One program, or None when there is none of this name."""
        return next((state for state in self.states() if state.name == name), None)

    def shutdown(self) -> None:
        """Stop supervisord itself and every program that still runs; returns when it no longer answers."""
        try:
            self._call("shutdown")
        except (OSError, HTTPException):
            return
        while self.is_running():
            time.sleep(_LOOK_AGAIN_S)

    def restarts(self) -> dict[str, int]:
        """How often each program ended by itself in this run and was started again."""
        try:
            log = (self._layout.data_dir / _LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return {}
        return count_exits(log.splitlines())

    def _socket_in_config(self) -> Path:
        socket = self._layout.socket
        is_inside = socket.is_relative_to(self._layout.data_dir)
        return socket.relative_to(self._layout.data_dir) if is_inside else socket

    def _reload(self) -> None:
        changes = cast("list[list[list[str]]]", self._call("reloadConfig"))
        added, changed, removed = changes[0]
        for name in (*changed, *removed):
            self.stop(name)
            self._call("removeProcessGroup", name)
        for name in (*added, *changed):
            self._call("addProcessGroup", name)

    def _tolerating(self, fault: int, method: str, *arguments: object) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as problem:
            if problem.faultCode != fault:
                raise ConfigurationError(
                    f"supervisord cannot {method} {arguments[0]}: {problem.faultString}",
                    f"see {self._layout.logs / f'{arguments[0]}.log'}",
                ) from None

    def _call(self, method: str, *arguments: object) -> Any:
        # A connection per call: calls come from several threads, and a proxy serves one at a time.
        transport = SupervisorTransport(None, None, f"unix://{self._layout.socket}")  # type: ignore[no-untyped-call]
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()  # type: ignore[no-untyped-call]


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = handle.read().decode(errors="replace").split("\n")
    except OSError:
        return "it wrote no log"
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")


def count_exits(log_lines: Sequence[str]) -> dict[str, int]:
    """Exits that nobody asked for, by program, from the lines of supervisord's log."""
    counts: dict[str, int] = {}
    for line in log_lines:
        _, found, rest = line.partition(" exited: ")
        if found:
            name = rest.partition(" ")[0]
            counts[name] = counts.get(name, 0) + 1
    return counts
