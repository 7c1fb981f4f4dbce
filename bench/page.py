"""docs/performance.md: tables and plots, made from the result files alone.

python -m bench page
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from bench.arithmetic import medians, ratio_of_medians
from bench.explained import WORDS
from bench.figures import SHOWN, Shown, figures_of
from bench.plots import draw
from bench.profiling import VIEWS, profile_name
from bench.programs import ROOT
from bench.results_file import RESULTS
from bench.targets import TARGETS, Verdict, judged

PAGE: Final = ROOT / "docs" / "performance.md"
IMAGES: Final = ROOT / "docs" / "images" / "performance"
_QUIET_PERCENT: Final = 15.0
_OURS: Final = "Pointsman"
_INTRODUCTION: Final = """\
# Performance

Made by `make bench` from the raw runs in `bench/results/`; do not edit. Every benchmark runs the router as it is
shipped, on a real Kafka broker and a real Flink cluster, beside other ways to do the same, in turns (A-B-A-B).
Shown are medians over the repeats; all runs are in the files.

How it is measured:
- Load is open loop: messages come at their times, whatever the system does. Latency counts from when a message was
  *due*.
- The model is a mock with a set latency that always names the same agent for the same message, so that a message
  that went to the wrong agent is seen. Broker, mock, load and consumers run on other cores than the measured
  system. The systems of a benchmark are all up while one of them is measured, but for Flink jobs where a note says so:
  an idle one takes a tenth to a fifth of a core of those that are measured, and a router beside two of them routed 660
  messages of a burst per second instead of 900.
- TaskManagers run with both of the JVM's compilers, as on a cluster (`pointsman up` starts them with the first alone,
  which is up sooner). Every system gets messages before it is measured, up to 12,000 where it is said under the
  table; up to 4,800 otherwise, which leaves compilers at work while the first loads are measured.
- Each Flink job has a cluster of its own where a note says so. Before (commits before 580301f) the jobs of a benchmark
  shared one, and came with each turn to whichever TaskManager was free: a JVM that had to compile them first.
- `RocksDB in memory`: what TaskManagers work with is in `/dev/shm`, as on the local stack. Without that note it is on
  the machine's disk, and each checkpoint stops messages for as long as that takes, or on the heap (commits before
  015da01, where a checkpoint writes everything).
- Every run counts what was lost, came twice or went to the wrong agent. A run with a loss is **void**: its figures
  do not count, but in P9 and P12, which are about losses, and the table says how many there were.
- Rivals get the same prompt, payload, partitions and concurrency, and write to one topic without looking at
  contracts; each in its default form and, where there is one, tuned.
- Rows of systems in process, without Kafka, pay for no broker, and lose what they hold when they die. `router's client`
  is a rival that asks the model by the router's own adapter, so that the client makes no difference.
- Guarantee: G0 in memory, G1 at least once, G2 exactly once. `committed` is when a consumer that reads only
  committed records sees the decision; the other figures of a G2 system are when it was written.
- Under a target that was missed stands what explains it: in words, and by a profile (`python -m bench profile P2`):
  where the processor time of the measured processes went, in a run of its own, by thread, by Python function on top of
  the stack, and by Java method. What waits takes no processor time: that is in the words.
- The plain loop and Flink's rivals run with the libraries of this project; faust, quixstreams, LangGraph and litellm
  in environments of their own (`bench/rivals/*/requirements.txt`), where their tuning stands, too.
"""


def write_page(results: Path = RESULTS, page: Path = PAGE, images: Path = IMAGES) -> Path:
    """Write the page and its plots; the page's path.

    Args:
        results: folder of the result files.
        page: the page to write.
        images: folder of the plots, below the page's own.
    """
    reports = {
        name: json.loads(file.read_text(encoding="utf-8"))
        for name in SHOWN
        if (file := results / f"{name}.json").is_file()
    }
    images.mkdir(parents=True, exist_ok=True)
    parts = [_INTRODUCTION]
    for name, report in reports.items():
        rows = summarised(report["rows"], SHOWN[name])
        plot = draw(images / f"{name}.svg", SHOWN[name], rows)
        parts += chapter(name, report, rows, plot and plot.relative_to(page.parent), results)
    page.write_text("\n".join(parts), encoding="utf-8")
    return page


def chapter(
    name: str, report: dict[str, Any], rows: Sequence[dict[str, Any]], plot: Path | None, results: Path
) -> list[str]:
    """A benchmark's section and, where a target is missed, what explains it.

    Args:
        name: its number.
        report: its result file.
        rows: the lines of its table.
        plot: its picture, if there is one.
        results: folder of the result files and profiles.
    """
    verdicts = judged(TARGETS[name], rows)
    parts = [section(report, SHOWN[name], rows, plot, verdicts)]
    if any(verdict.is_missed for verdict in verdicts):
        parts.append(explanation(name, results / f"{profile_name(name)}.json"))
    return parts


def summarised(rows: Iterable[dict[str, Any]], shown: Shown) -> list[dict[str, Any]]:
    """One line per system and load: medians over the repeats that count, and how many do."""
    by_place: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        by_place.setdefault((row["load"], row["system"]), []).append(row)
    lines = []
    for (load, system), runs in by_place.items():
        counting = [run for run in runs if shown.shows_void or not run.get("void")]
        line: dict[str, Any] = {"load": load, "system": system, "guarantee": runs[0].get("guarantee", "")}
        line |= {"runs": len(runs), "void": sum(bool(run.get("void")) for run in runs)}
        line |= medians([figures_of(run, shown) for run in counting])
        line |= {name: sum(run.get(name, 0) for run in runs) for name in ("lost", "duplicated", "misrouted")}
        lines.append(line)
    ours = {line["load"]: line.get(shown.main) for line in lines if line["system"] == _OURS}
    for line in lines:
        values = [[value] if value is not None else [] for value in (line.get(shown.main), ours.get(line["load"]))]
        line["ratio"] = ratio_of_medians(*values)
    return sorted(
        lines, key=lambda line: (line["load"], line.get(shown.main, float("inf")) * (-1 if shown.more else 1))
    )


def section(
    report: dict[str, Any],
    shown: Shown,
    rows: Sequence[dict[str, Any]],
    plot: Path | None,
    verdicts: Sequence[Verdict] = (),
) -> str:
    """One benchmark as Markdown."""
    parts = [f"## {report['benchmark']}: {report['title']}", report["what"]]
    if verdicts:
        parts.append("Targets: " + "; ".join(f"{each.target.said}: {each.words}" for each in verdicts) + ".")
    parts += [f"![{report['title']}]({plot})"] if plot else []
    parts += [_table(rows, shown), *filter(None, [WORDS.get(report["benchmark"])])]
    parts += [*report["notes"], *_stolen(report.get("rows", ()))]
    parts += [f"Not measured: {failure['system']}: {failure['why']}" for failure in _distinct(report["failures"])]
    return "\n\n".join([*parts, *_where(report["machine"], is_timed=shown.is_timed)]) + "\n"


def _stolen(runs: Sequence[dict[str, Any]]) -> list[str]:
    """How much of a virtual machine its host gave to others, where that was looked at."""
    taken = [run["stolen_percent"] for run in runs if "stolen_percent" in run]
    if not taken:
        return []
    usual, most = statistics.median(taken), max(taken)
    return [
        f"The machine's host kept {usual:.1f} % of its processor time back in the median run, {most:.1f} % at most."
    ]


def _where(machine: dict[str, Any], *, is_timed: bool = True) -> list[str]:
    """Where and when it was measured, and a warning where that says little."""
    cores = f"{len(machine['cores_system'])} cores for the system" if machine["cores_apart"] else "cores shared"
    state = ", RocksDB in memory" if machine.get("rocksdb_in_memory") else ""
    place = (
        f"*{machine['at'][:10]}, commit {machine['commit']}, {machine['processor']}, {cores}, "
        f"{machine['busy_before_percent']:g} % busy with other work before, Python {machine['python']}, "
        f"Flink {machine['versions']['apache-flink']}{state}.*"
    )
    if not is_timed or machine["busy_before_percent"] <= _QUIET_PERCENT:
        return [place]
    return [place, "**The machine was busy with other work: these figures show that it runs, and nothing more.**"]


def explanation(name: str, file: Path) -> str:
    """What stands under a missed target: the kept profile, or how to take one."""
    head = f"### {name}: what explains it"
    if not file.is_file():
        return f"{head}\n\nNo profile is kept yet: `python -m bench profile {name}` takes one.\n"
    report = json.loads(file.read_text(encoding="utf-8"))
    parts = [head, report["what"], *(_profile_table(view, report["rows"]) for view in VIEWS), *report["notes"]]
    parts += [f"Not taken: {failure['system']}: {failure['why']}" for failure in _distinct(report["failures"])]
    parts += _where(report["machine"], is_timed=SHOWN[name].is_timed)
    return "\n\n".join(filter(None, parts)) + "\n"


def _profile_table(view: str, rows: Iterable[dict[str, Any]]) -> str:
    lines = [f"| {row['share']:.1%} | `{row['name']}` |" for row in rows if row["view"] == view]
    return "\n".join([f"| share | {VIEWS[view]} |", "| --- | --- |", *lines]) if lines else ""


def _table(rows: Sequence[dict[str, Any]], shown: Shown) -> str:
    promised = any(row["guarantee"] for row in rows)
    heads = [
        "load",
        "system",
        *(["guarantee"] if promised else ()),
        *shown.columns,
        f"{shown.main.strip().partition(',')[0]}, times {_OURS}",
        *(("lost", "twice", "astray") if shown.counts else ()),
        "runs",
    ]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        cells = [
            row["load"],
            row["system"],
            *([row["guarantee"]] if promised else ()),
            *(_cell(row.get(name)) for name in shown.columns),
        ]
        cells.append(_cell(row["ratio"]))
        if shown.counts:
            cells += [str(row[name]) for name in ("lost", "duplicated", "misrouted")]
        lines.append([*cells, f"{row['runs']}" + (f" ({row['void']} void)" if row["void"] else "")])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _distinct(failures: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return list({failure["system"]: failure for failure in failures}.values())
