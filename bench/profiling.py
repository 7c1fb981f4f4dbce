"""Profiles of running TaskManagers, by tools that stand outside: no measured code is changed for it.

- processor time by thread, from the kernel: how it is shared out between Python, Flink and the JVM;
- Python: py-spy, samples of whoever holds the interpreter, in the TaskManager (thread mode) as in any other process;
- Java: a flight recording, started and stopped by `jcmd`.

A tool that is missing or not let in is named in the profile; the others count all the same.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from bench.frames import java_self, python_self, shares, thread_kind
from pointsman.local.java import find_java

_SAMPLES_PER_S: Final = 100
_RECORDING: Final = "pointsman-bench"
_TOOL_WITHIN_S: Final = 90.0
_SAMPLED: Final = "jdk.ExecutionSample"


@dataclass(kw_only=True)
class Taken:
    """What was found in some processes over some seconds; each list from the largest share.

    Attributes:
        seconds: how long.
        threads: shares of the processor time, by kind of thread.
        python: shares of the samples, by Python function on top.
        java: shares of the samples, by Java method on top.
        notes: what could not be taken, and why.
    """

    seconds: float
    threads: list[dict[str, Any]] = field(default_factory=list)
    python: list[dict[str, Any]] = field(default_factory=list)
    java: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def take(processes: Sequence[psutil.Process], seconds: float) -> Taken:
    """Watch `processes` for `seconds`, which this call lasts, and a little longer.

    Args:
        processes: whom to watch; the JVMs among them are recorded as such.
        seconds: how long.
    """
    taken = Taken(seconds=seconds)
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as name:
        folder = Path(name)
        jvms = [one for one in processes if _is_jvm(one)]
        recorded = [_Recording(one.pid, folder, taken.notes) for one in jvms]
        before = _by_thread(processes)
        spies = [_spy(one.pid, folder / f"{one.pid}.txt", seconds) for one in processes]
        time.sleep(seconds)
        used = _by_thread(processes)
        used.subtract(before)
        taken.threads = shares(used)
        taken.python = shares(_python(spies, folder, taken.notes))
        taken.java = shares(sum((one.samples() for one in recorded), Counter[str]()))
    taken.notes = list(dict.fromkeys(taken.notes))
    return taken


def _is_jvm(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.name() == "java"
    return False


def _by_thread(processes: Iterable[psutil.Process]) -> Counter[str]:
    """Processor seconds so far, by kind of thread; a process that is gone has used none."""
    used: Counter[str] = Counter()
    for process in processes:
        with suppress(psutil.Error, OSError):
            for thread in process.threads():
                name = Path(f"/proc/{process.pid}/task/{thread.id}/comm").read_text(encoding="utf-8").strip()
                used[thread_kind(name)] += thread.user_time + thread.system_time  # type: ignore[assignment]
    return used


def _spy(pid: int, file: Path, seconds: float) -> subprocess.Popen[str] | None:
    tool = Path(sys.executable).with_name("py-spy")
    if not tool.is_file():
        return None
    command = [str(tool), "record", "--pid", str(pid), "--duration", f"{seconds:.0f}", "--rate", str(_SAMPLES_PER_S)]
    # Only who holds the interpreter: threads that wait for a lock or a socket look busy from outside.
    command += ["--gil", "--format", "raw", "--output", str(file)]
    return subprocess.Popen(  # noqa: S603 - the environment's own py-spy
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _python(spies: Iterable[subprocess.Popen[str] | None], folder: Path, notes: list[str]) -> Counter[str]:
    for spy in spies:
        if spy is None:
            notes.append("Python: py-spy is not installed (`make bench-setup`)")
            continue
        try:
            _, said = spy.communicate(timeout=_TOOL_WITHIN_S)
        except subprocess.TimeoutExpired:
            spy.kill()
            _, said = spy.communicate()
        # A process without Python is none of its business, and one that was killed meanwhile no fault.
        if spy.returncode != 0 and "Permission denied" in said:
            notes.append("Python: py-spy may not look into the process (as root, or with kernel.yama.ptrace_scope=0)")
    found: Counter[str] = Counter()
    for file in folder.glob("*.txt"):
        found += python_self(file.read_text(encoding="utf-8", errors="replace").splitlines())
    return found


class _Recording:
    """A flight recording of one JVM.

    Args:
        pid: the JVM.
        folder: where its file goes.
        notes: gets what goes wrong.
    """

    def __init__(self, pid: int, folder: Path, notes: list[str]) -> None:
        self._pid = pid
        self._file = folder / f"{pid}.jfr"
        self._notes = notes
        self._runs = self._jcmd("JFR.start", f"name={_RECORDING}", "settings=profile")

    def samples(self) -> Counter[str]:
        """End it; samples by the method on top."""
        if not self._runs or not self._jcmd("JFR.stop", f"name={_RECORDING}", f"filename={self._file}"):
            return Counter()
        said = self._said(_java_tool("jfr"), "print", "--json", "--stack-depth", "1", "--events", _SAMPLED, self._file)
        return java_self(json.loads(said)["recording"]["events"]) if said else Counter()

    def _jcmd(self, *words: str) -> bool:
        return bool(self._said(_java_tool("jcmd"), self._pid, *words))

    def _said(self, tool: str | None, *words: object) -> str:
        if tool is None:
            self._notes.append("Java: jcmd and jfr were not found (they come with a JDK, not with a JRE)")
            return ""
        try:
            done = subprocess.run(  # noqa: S603 - the JDK's own tools
                [tool, *map(str, words)], capture_output=True, text=True, timeout=_TOOL_WITHIN_S, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._notes.append(f"Java: {Path(tool).name} {words[0]}: {type(error).__name__}")
            return ""
        return done.stdout


def _java_tool(name: str) -> str | None:
    """A tool of the JDK that the cluster runs on, else of the path."""
    java = find_java(None)
    beside = java.executable.resolve().with_name(name) if java else None
    return str(beside) if beside and beside.is_file() else shutil.which(name)
