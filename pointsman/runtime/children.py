"""Several instances of one agent as child processes, started and stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

EXIT_CONFIGURATION: Final = 3
_STOP_WITHIN_S: Final = 12.0
_LOOK_EVERY_S: Final = 0.2
_RESTART_AFTER_S: Final = 1.0

_log = structlog.get_logger(__name__)


def run_children(commands: Sequence[Sequence[str]]) -> int:
    """Run `commands` until SIGTERM or SIGINT, restarting one that fails.

    Returns:
        0 after a signal; 3 when a child says that its configuration is wrong, after the others were stopped.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    children = {index: _start(command) for index, command in enumerate(commands)}
    code = 0
    while not stopping.wait(_LOOK_EVERY_S) and not code:
        for index, child in list(children.items()):
            status = child.poll()
            if status == EXIT_CONFIGURATION:
                code = status
            elif status is not None:
                _log.warning("instance ended, starting it anew", exit_code=status)
                stopping.wait(_RESTART_AFTER_S)
                children[index] = _start(commands[index])
    _stop(children.values())
    return code


def exit_with_parent(parent: int) -> None:
    """End this process in good order (SIGTERM) once the process `parent` is gone, however that died."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command)  # noqa: S603 (our own interpreter and arguments)


def _stop(children: Iterable[subprocess.Popen[bytes]]) -> None:
    living = [child for child in children if child.poll() is None]
    for child in living:
        child.terminate()
    deadline = time.monotonic() + _STOP_WITHIN_S
    for child in living:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _log.error("instance did not stop in time, killing it", pid=child.pid)
            child.kill()
            child.wait()
