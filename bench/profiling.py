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
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import psutil

from bench.frames import java_self, python_self, shares, thread_kind
from pointsman.local.java import find_java

_SAMPLES_PER_S: Final = 100
_RECORDING: Final = "pointsman-bench"
_TOOL_WITHIN_S: Final = 90.0
_SAMPLED: Final = "jdk.ExecutionSample"
_LOOK_AGAIN_S: Final = 0.5
VIEWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "threads": "processor time by thread",
        "python": "Python, function on top, of the samples in which somebody held the interpreter",
        "tokens": "tokens of the prompt",
        "java": "Java, method on top, of the samples of running Java threads",
    }
)


def profile_name(benchmark: str) -> str:
    """What the profile of a benchmark is called among the results."""
    return f"profile-{benchmark}"


@dataclass(kw_only=True)
class Taken:
    """What was found in some processes over some seconds.

    Attributes:
        rows: `view` (see `VIEWS`), `name` and `share`, each view from its largest share.
        notes: what could not be taken, and why.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, view: str, counts: Mapping[str, float]) -> None:
        """Keep the largest of `counts` as a view."""
        self.rows += ({"view": view, **one} for one in shares(counts))


def take(processes: Sequence[psutil.Process], seconds: float) -> Taken:
    """Watch `processes` for `seconds`, which this call lasts, and a little longer.

    Args:
        processes: whom to watch; the JVMs among them are recorded as such.
        seconds: how long.
    """
    taken = Taken()
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as name:
        folder = Path(name)
        jvms = [one for one in processes if _is_jvm(one)]
        recorded = [_Recording(one.pid, folder, taken.notes) for one in jvms]
        before = _by_thread(processes)
        spies = [_Spy(one.pid, folder, time.monotonic() + seconds) for one in processes]
        _watch(spies, seconds)
        used = _by_thread(processes)
        used.subtract(before)
        taken.add("threads", used)
        taken.add("python", sum((spy.samples(taken.notes) for spy in spies), Counter[str]()))
        taken.add("java", sum((one.samples() for one in recorded), Counter[str]()))
    taken.notes = list(dict.fromkeys(taken.notes))
    return taken


def _watch(spies: Sequence[_Spy], seconds: float) -> None:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        time.sleep(min(_LOOK_AGAIN_S, max(0.0, ends_at - time.monotonic())))
        for spy in spies:
            spy.look_again()


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


class _Spy:
    """Looks into one process, from when there is a Python in it: a new TaskManager loads it with its first job.

    Args:
        pid: the process.
        folder: where files go.
        ends_at: until when, by the monotonic clock.
    """

    def __init__(self, pid: int, folder: Path, ends_at: float) -> None:
        self._pid = pid
        self._folder = folder
        self._ends_at = ends_at
        self._files: list[Path] = []
        self._may_not = False
        self._tool = Path(sys.executable).with_name("py-spy")
        self._process: subprocess.Popen[str] | None = None
        self.look_again()

    def look_again(self) -> None:
        """Begin anew where nothing was found yet."""
        left_s = round(self._ends_at - time.monotonic())
        if self._may_not or left_s < 1 or not self._tool.is_file() or not self._has_given_up():
            return
        file = self._folder / f"{self._pid}-{len(self._files)}.txt"
        self._files.append(file)
        command = [str(self._tool), "record", "--pid", str(self._pid), "--duration", str(left_s)]
        # Only who holds the interpreter: threads that wait for a lock or a socket look busy from outside.
        command += ["--gil", "--rate", str(_SAMPLES_PER_S), "--format", "raw", "--output", str(file)]
        self._process = subprocess.Popen(  # noqa: S603 - the environment's own py-spy
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def samples(self, notes: list[str]) -> Counter[str]:
        """Samples by the function on top; what went wrong goes to `notes`."""
        if not self._tool.is_file():
            notes.append("Python: py-spy is not installed (`make bench-setup`).")
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_TOOL_WITHIN_S)
            self._process.kill()
            self._process.wait()
            self._has_given_up()
        if self._may_not:
            notes.append("Python: py-spy may not look into the process (be root, or kernel.yama.ptrace_scope=0).")
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in self._files if file.is_file()]
        return sum((python_self(text.splitlines()) for text in texts), Counter[str]())

    def _has_given_up(self) -> bool:
        if self._process is None:
            return True
        if self._process.poll() is None or self._process.returncode == 0:
            return False
        if self._process.stderr is not None and not self._process.stderr.closed:
            self._may_not = "ermission" in self._process.stderr.read()
            self._process.stderr.close()
        return not self._may_not


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
            self._notes.append("Java: jcmd and jfr were not found (they come with a JDK, not with a JRE).")
            return ""
        try:
            done = subprocess.run(  # noqa: S603 - the JDK's own tools
                [tool, *map(str, words)], capture_output=True, text=True, timeout=_TOOL_WITHIN_S, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._notes.append(f"Java: {Path(tool).name} {words[0]}: {type(error).__name__}.")
            return ""
        return done.stdout


def _java_tool(name: str) -> str | None:
    """A tool of the JDK that the cluster runs on, else of the path."""
    java = find_java(None)
    beside = java.executable.resolve().with_name(name) if java else None
    return str(beside) if beside and beside.is_file() else shutil.which(name)
