"""Writes the tables of docs/guarantees.md from the results that `make chaos`, `make mutations` and `make soak` leave.

python -m tests.chaos.report
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "guarantees.md"
MUTATIONS: Final = ROOT / ".pointsman" / "mutations.json"
SOAK: Final = ROOT / ".pointsman" / "soak.json"
BEGIN: Final = "<!-- begin: written by `make chaos` -->"
END: Final = "<!-- end: written by `make chaos` -->"
_HEAD: Final = (
    "| | fault | happened | leads | lost | twice | to a person | mails unknown | back after, p50 / p95 "
    "| mutation check | seed |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)


def results_file(tier: str) -> Path:
    """Where a run of this tier leaves what it measured."""
    return ROOT / ".pointsman" / f"chaos-{tier}.json"


def table(rows: Iterable[dict[str, Any]], mutations: Iterable[dict[str, Any]] = ()) -> str:
    """The results as a Markdown table, by number of the fault, each with what was switched off to check its test."""
    ordered = sorted(rows, key=lambda row: _number(row["fault"]))
    known = list(mutations)
    return "\n".join((*_HEAD, *(_line(row, _checks(row["fault"], known)) for row in ordered)))


def mutation_table(mutations: Iterable[dict[str, Any]]) -> str:
    """What was switched off, one at a time, and the test that noticed."""
    head = ("| switched off | in | the test that must fail | it was |", "|---|---|---|---|")
    lines = (
        f"| {one['mechanism']} | `{one['file']}` | `{one['test'].removeprefix('tests/')}` "
        f"| {one['outcome'].splitlines()[0]} |"
        for one in mutations
    )
    return "\n".join((*head, *lines))


def soak_table(soak: dict[str, Any]) -> str:
    """The last soak: what happened in it, and how each process's memory grew."""
    summary = (
        f"{soak['minutes']:.0f} minutes, seed {soak['seed']}: {soak['leads']} leads, {soak['faults']} faults, "
        f"{soak['lost']} lost, {soak['duplicated']} twice."
    )
    head = ("| process | MiB at the end | growth in 10 minutes |", "|---|---|---|")
    lines = (
        f"| {name} | {one['mib']:.0f} | {one['percent_per_10_min']:+.2f} % |"
        for name, one in sorted(soak["memory"].items())
    )
    total = sum(one["mib"] for one in soak["memory"].values())
    more = sum(one["mib"] * one["percent_per_10_min"] for one in soak["memory"].values())
    whole = f"| all together | {total:.0f} | {more / total:+.2f} % |"
    return "\n".join((summary, "", *head, *lines, whole))


def with_table(page: str, new: str, begin_mark: str = BEGIN, end_mark: str = END) -> str:
    """`page` with the text between two marks replaced.

    Raises:
        ValueError: a mark is missing.
    """
    head, begin, rest = page.partition(begin_mark)
    _, end, tail = rest.partition(end_mark)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {begin_mark} and {end_mark}")
    return f"{head}{begin_mark}\n{new}\n{end_mark}{tail}"


def _number(fault: str) -> tuple[int, str]:
    """`F5` and `F5b` by number, then by letter."""
    digits = fault.strip("Fabc")
    return int(digits), fault


def _checks(fault: str, mutations: list[dict[str, Any]]) -> str:
    noticed = [one["mechanism"] for one in mutations if fault in one["faults"] and one["outcome"] == "red"]
    return ", ".join(noticed) or "-"


def _line(row: dict[str, Any], checks: str) -> str:
    back = f"{row['recovery_p50_s']:.1f} / {row['recovery_p95_s']:.1f} s" if row["recovery_p50_s"] is not None else "-"
    cells = (
        row["fault"], row["what"], row["injected"], row["leads"], row["lost"], row["duplicated"], row["to_a_person"],
        row["unknown_mails"], back, checks, row["seed"],
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _marks(command: str) -> tuple[str, str]:
    return f"<!-- begin: written by `make {command}` -->", f"<!-- end: written by `make {command}` -->"


def _left(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def main() -> None:
    """Render what the last runs left, nightly ones for faults of theirs only; where none left anything, all stays."""
    faults = {**_left(results_file("nightly")), **_left(results_file("quick"))}
    mutations, soak = _left(MUTATIONS), _left(SOAK)
    page = PAGE.read_text(encoding="utf-8")
    if faults:
        page = with_table(page, table(faults.values(), mutations.values()))
    if mutations:
        page = with_table(page, mutation_table(mutations.values()), *_marks("mutations"))
    if soak:
        page = with_table(page, soak_table(soak), *_marks("soak"))
    PAGE.write_text(page, encoding="utf-8")
    said = f"{len(faults)} faults, {len(mutations)} mutations, {1 if soak else 0} soak"
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} has the results of {said}\n")


if __name__ == "__main__":
    main()
