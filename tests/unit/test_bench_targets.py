"""Targets held against tables, and profiles reduced to tables."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.benchmarks import ALL
from bench.explained import WORDS
from bench.figures import SHOWN
from bench.frames import java_self, python_self, shares, thread_kind
from bench.labelled import examples, is_reachable, percent, sdr_agents_among
from bench.page import chapter, explanation, summarised
from bench.profiled import PROFILES
from bench.profiling import VIEWS, profile_name, take
from bench.results_file import RESULTS, Report
from bench.targets import TARGETS, Target, judged
from pointsman.catalog import Catalog
from pointsman.routing.router import Router

MACHINE = {
    "at": "2030-01-01T", "commit": "c", "processor": "p", "cores_system": [2, 3], "cores_apart": True,
    "busy_before_percent": 1.0, "python": "3.11", "versions": {"apache-flink": "2.3.0"},
}  # fmt: skip


def line(system: str, load: str, value: float | None) -> dict[str, Any]:
    return {"system": system, "load": load, "x": value}


def words(target: Target, *lines: dict[str, Any]) -> str:
    return judged([target], lines)[0].words


def test_the_worst_load_counts_on_either_side() -> None:
    rows = [line("Pointsman", "low", 5.0), line("Pointsman", "high", 9.0), line("faust", "high", 900.0)]
    assert words(Target(said="t", figure="x", at_most=8), *rows) == "**missed** (9.00)"
    assert words(Target(said="t", figure="x", at_least=5), *rows) == "met (5.00)"
    assert words(Target(said="t", figure="x", at_most=8, load="low"), *rows) == "met (5.00)"


def test_a_target_may_be_a_multiple_of_another_system_or_load_or_a_shift() -> None:
    rows = [line("Pointsman", "low", 5.0), line("Pointsman", "high", 9.0), line("faust", "high", 900.0)]
    assert words(Target(said="t", figure="x", system="faust", by="Pointsman", at_least=20), *rows) == "met (100)"
    assert words(Target(said="t", figure="x", load="high", by_load="low", at_most=1.4), *rows) == "**missed** (1.80)"
    assert words(Target(said="t", figure="x", less_load="low", at_most=4), *rows) == "met (4.00)"


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    rows = [line("Pointsman", "low", None), line("faust", "low", 3.0)]
    (verdict,) = judged([Target(said="t", figure="x", by="faust", at_most=1)], rows)
    assert (verdict.words, verdict.is_missed) == ("not measured", False)


def test_every_benchmark_has_targets_of_figures_that_its_table_shows_and_a_profile() -> None:
    assert set(TARGETS) == set(PROFILES) == set(ALL)
    for name, targets in TARGETS.items():
        shown = {*SHOWN[name].columns, SHOWN[name].main, "lost"}
        assert {target.figure for target in targets} <= shown, name


def test_python_stacks_count_for_the_function_on_top_whatever_its_line() -> None:
    stacks = ["run (a/b.py:1);work (x/site-packages/y/z.py:7) 3", "work (x/site-packages/y/z.py:9) 2", "malformed"]
    assert python_self(stacks) == {"work (y/z.py)": 5}


def test_java_stacks_count_for_the_method_on_top() -> None:
    def event(*frames: dict[str, Any]) -> dict[str, Any]:
        return {"values": {"stackTrace": {"frames": list(frames)} if frames else None}}

    top = {"method": {"type": {"name": "org/apache/flink/Task"}, "name": "run"}}
    assert java_self([event(top, top), event(top), event()]) == {"o.a.f.Task.run": 2}


def test_threads_that_differ_in_a_number_are_one_kind() -> None:
    names = ("GC Thread#1", "flink-task-12", "model-calls", "Source (1/4)", "7")
    assert [thread_kind(name) for name in names] == ["GC Thread", "flink-task", "model-calls", "Source", "7"]


def test_shares_are_of_the_whole_and_the_smallest_are_left_out() -> None:
    found = shares({"a": 1.0, "b": 3.0, "c": 0.0}, most=1)
    assert found == [{"name": "b", "share": 0.75}]
    assert shares({}) == []


def test_a_process_is_watched_by_thread_and_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.profiling.sys.executable", "/nowhere/python")
    taken = take([psutil.Process(os.getpid())], 0.2)
    assert {row["view"] for row in taken.rows} <= {"threads"}
    assert taken.notes == ["Python: py-spy is not installed (`make bench-setup`)."]


def page_text(p50_ms: float, results: Path) -> str:
    row = {
        "system": "Pointsman", "guarantee": "G2", "load": "100/s", "repeat": 0, "floor_ms": 200.0, "void": False,
        "count": 600, "cpu_s": 2.0, "latency_ms": {"read_uncommitted": {"p50": p50_ms, "p99": p50_ms}},
    }  # fmt: skip
    report = Report(benchmark="P2", title="t", what="w", rows=[row], machine=MACHINE)
    return "\n".join(chapter("P2", asdict(report), summarised(report.rows, SHOWN["P2"]), None, results))


def test_under_a_missed_target_stands_its_profile(tmp_path: Path) -> None:
    top = [{"view": view, "name": f"top of {view}", "share": 0.5} for view in VIEWS]
    Report(benchmark="profile-P2", title="t", what="Taken.", rows=top, machine=MACHINE).write(tmp_path)
    text = page_text(900.0, tmp_path)
    assert "8 ms at p50: **missed** (700)" in text
    below = text.partition("### P2: what explains it")[2]
    assert all(f"| 50.0% | `top of {view}` |" in below for view in VIEWS)


def missed(results: Path) -> list[str]:
    """Benchmarks with a kept result that misses a target."""
    found = {name: json.loads(file.read_text()) for name in SHOWN if (file := results / f"{name}.json").is_file()}
    return [
        name
        for name, report in found.items()
        if any(verdict.is_missed for verdict in judged(TARGETS[name], summarised(report["rows"], SHOWN[name])))
    ]


def test_every_target_that_a_kept_result_misses_is_explained_in_words_and_by_a_profile() -> None:
    assert [name for name in missed(RESULTS) if name not in WORDS] == []
    assert [name for name in missed(RESULTS) if not (RESULTS / f"{profile_name(name)}.json").is_file()] == []


def test_where_no_profile_was_taken_it_says_how(tmp_path: Path) -> None:
    assert "`python -m bench profile P2` takes one" in page_text(900.0, tmp_path)


def test_under_a_met_target_stands_none(tmp_path: Path) -> None:
    text = page_text(204.0, tmp_path)
    assert "8 ms at p50: met (4.00)" in text
    assert "what explains it" not in text


def test_what_a_profile_could_not_take_is_said(tmp_path: Path) -> None:
    report = Report(benchmark="profile-P2", title="t", what="Taken.", notes=["Java: no jcmd."], machine=MACHINE)
    report.failed("Pointsman", ValueError("gone"))
    text = explanation("P2", report.write(tmp_path))
    assert "Java: no jcmd." in text
    assert "Not taken: Pointsman: ValueError: gone" in text
    assert json.loads((tmp_path / "profile-P2.json").read_text(encoding="utf-8"))["rows"] == []


def test_a_shortlist_of_fifty_agents_leaves_the_right_one_within_reach() -> None:
    router = Router(Catalog.of(sdr_agents_among(50)))
    assert percent(is_reachable(router, example) for example in examples()[::20]) == 100
