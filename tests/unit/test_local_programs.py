"""Programs, their command lines and supervisord, without Java."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervisor.options import UnhosedConfigParser

from pointsman.errors import ConfigurationError
from pointsman.local import supervision
from pointsman.local.layout import Layout
from pointsman.local.leftovers import end_processes_of, processes_of
from pointsman.local.programs import MODEL_SECRETS, Program, quote
from pointsman.local.supervision import Supervisor, config_text, count_exits, last_line

SLEEPER = (sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)")


def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def as_supervisord_reads(text: str) -> list[str]:
    """The command as supervisord's own parser, expansion and splitting see it."""
    parser = UnhosedConfigParser()  # type: ignore[no-untyped-call]
    parser.read_string(f"[program:x]\ncommand={text}\n")  # type: ignore[no-untyped-call]
    return shlex.split(parser.get("program:x", "command") % {})


@pytest.mark.parametrize(
    "word", ["plain", "a b", "my #2 folder", "a ;b", "50%", "it's", 'say "x"', "%(here)s", " # ; % ", "a\xa0;b"]
)
def test_a_word_reaches_the_program_as_it_is(word: str) -> None:
    assert as_supervisord_reads(f"env {quote(word)}") == ["env", word]


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1))
def test_any_word_reaches_the_program_as_it_is(word: str) -> None:
    assert as_supervisord_reads(f"env {quote(word)}") == ["env", word]


def test_a_program_without_use_for_a_secret_does_not_get_it() -> None:
    blind = Program(name="x", command=("run",), environment={"A": "b c"})
    seeing = Program(name="x", command=("run",), may_see=MODEL_SECRETS)
    words = shlex.split(blind.command_line)
    assert words[words.index("OPENAI_API_KEY") - 1] == "-u"
    assert "OPENAI_API_KEY" not in seeing.command_line
    assert shlex.split(blind.command_line)[-2:] == ["A=b c", "run"]


def test_exits_nobody_asked_for_are_counted_by_program() -> None:
    log = [
        "2026-11-21 10:01:52,088 INFO spawned: 'console' with pid 313",
        "2026-11-21 10:01:52,120 WARN exited: console (exit status 1; not expected)",
        "2026-11-21 10:01:58,191 WARN exited: console (terminated by SIGKILL; not expected)",
        "2026-11-21 10:04:45,016 INFO stopped: agent-x (exit status 0)",
    ]
    assert count_exits(log) == {"console": 2}


def test_the_last_line_that_says_something_stands_for_a_log(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert last_line(log) == "it wrote no log"
    log.write_text("first\nNo module named x\n\n")
    assert last_line(log) == "No module named x"


def test_a_long_path_gets_its_socket_in_the_temporary_folder(tmp_path: Path) -> None:
    near, far = Layout(data_dir=Path("/data")), Layout(data_dir=tmp_path / ("deep" * 30))
    assert near.socket == Path("/data/run/supervisor.sock")
    assert len(str(far.socket)) < 90
    assert far.socket != Layout(data_dir=tmp_path / ("deep" * 31)).socket


class Running:
    """A supervisord that really runs, in a folder with an awkward name."""

    def __init__(self, layout: Layout, programs: list[Program]) -> None:
        self.layout = layout
        self.supervisor = Supervisor(layout)
        self.supervisor.configure(programs)
        self.supervisor.start_supervisord()
        eventually(self.supervisor.is_running)

    def pid(self, name: str) -> int:
        state = self.supervisor.state(name)
        return state.pid if state else 0


def programs(*names: str) -> list[Program]:
    return [Program(name=name, command=SLEEPER, environment={"WORD": "a # b"}) for name in names]


FAILING = Program(name="failing", command=(sys.executable, "-S", "-c", "raise SystemExit('no such module')"))


@contextmanager
def stack(folder: Path, configured: list[Program]) -> Iterator[Running]:
    layout = Layout(data_dir=folder)
    layout.make_folders()
    try:
        yield Running(layout, configured)
    finally:
        for process in processes_of(layout.data_dir):
            process.kill()
        layout.socket.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("stack") / "my #data; 50% [x]"
    with stack(folder, [*programs("writes", "killed", "stays", "one", "two"), FAILING]) as running:
        yield running


def test_a_program_runs_in_the_data_folder_with_its_variables_and_writes_its_log(running: Running) -> None:
    running.supervisor.start("writes")
    running.supervisor.start("writes")  # twice is harmless
    process = psutil.Process(running.pid("writes"))
    eventually(lambda: process.name() != "env" and process.environ().get("WORD") == "a # b")
    assert Path(process.cwd()) == running.layout.data_dir
    eventually(lambda: last_line(running.layout.logs / "writes.log") == "ready")


def test_a_killed_program_comes_back_and_is_counted(running: Running) -> None:
    running.supervisor.start("killed")
    before = running.pid("killed")
    os.kill(before, signal.SIGKILL)
    eventually(lambda: running.pid("killed") not in (0, before))
    assert running.supervisor.restarts()["killed"] == 1


def test_a_program_that_ends_at_once_is_refused_with_what_it_said(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "HOPELESS_EXITS", 1)
    running.supervisor.refuse_failed(["failing"])
    running.supervisor.start("failing")
    eventually(lambda: _state(running, "failing") == "BACKOFF" and running.supervisor.restarts().get("failing", 0) > 0)
    with pytest.raises(ConfigurationError, match="failing does not start: no such module; run: pointsman logs failing"):
        running.supervisor.refuse_failed(["failing"])
    running.supervisor.refuse_failed(["writes"])


def test_stopping_all_returns_when_all_have_stopped(running: Running) -> None:
    for name in ("one", "two"):
        running.supervisor.start(name)
    # A signal that arrives between fork and exec is lost, and the program is only killed twelve seconds later.
    eventually(lambda: all(last_line(running.layout.logs / f"{name}.log") == "ready" for name in ("one", "two")))
    running.supervisor.stop_all(["one", "two"])
    assert (running.pid("one"), running.pid("two")) == (0, 0)


def test_a_program_nobody_knows_is_a_clear_error(running: Running) -> None:
    with pytest.raises(ConfigurationError, match="nobody"):
        running.supervisor.start("nobody")


def test_a_new_program_joins_another_leaves_and_those_that_run_stay(running: Running) -> None:
    running.supervisor.start("stays")
    before = running.pid("stays")
    running.supervisor.configure(programs("stays", "new"))
    running.supervisor.start("new")
    assert {state.name for state in running.supervisor.states()} == {"stays", "new"}
    assert running.pid("stays") == before
    assert running.pid("new")


def test_what_a_killed_supervisor_leaves_behind_is_found_and_ended(tmp_path: Path) -> None:
    with stack(tmp_path, programs("one", "two")) as running:
        for name in ("one", "two"):
            running.supervisor.start(name)
        # A program that still has something to say would die of the closed pipe.
        eventually(lambda: all(last_line(running.layout.logs / f"{name}.log") == "ready" for name in ("one", "two")))
        pids = {running.pid("one"), running.pid("two")}
        supervisord = next(process for process in processes_of(tmp_path) if process.pid not in pids)
        supervisord.kill()
        supervisord.wait(5)
        assert running.supervisor.states() == []
        assert {process.pid for process in processes_of(tmp_path)} == pids
        assert end_processes_of(tmp_path) == 2
        assert processes_of(tmp_path) == []


def test_the_configuration_holds_no_absolute_path_of_the_data_folder(tmp_path: Path) -> None:
    assert str(tmp_path) not in config_text([Program(name="x", command=("run",))], Path("run/supervisor.sock"))


def _state(running: Running, name: str) -> str:
    state = running.supervisor.state(name)
    return state.state if state else ""
