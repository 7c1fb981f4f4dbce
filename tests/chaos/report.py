"""Writes the measured table of docs/guarantees.md from the results that `make chaos` leaves.

python -m tests.chaos.report
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = ROOT / ".pointsman" / "chaos.json"
PAGE: Final = ROOT / "docs" / "guarantees.md"
BEGIN: Final = "<!-- begin: written by `make chaos` -->"
END: Final = "<!-- end: written by `make chaos` -->"
_HEAD: Final = (
    "| | fault | happened | leads | lost | twice | to a person | mails unknown | back after, p50 / p95 | seed |",
    "|---|---|---|---|---|---|---|---|---|---|",
)


def table(rows: Iterable[dict[str, Any]]) -> str:
    """The results as a Markdown table, by number of the fault."""
    ordered = sorted(rows, key=lambda row: int(row["fault"].lstrip("F")))
    return "\n".join((*_HEAD, *(_line(row) for row in ordered)))


def with_table(page: str, new: str) -> str:
    """`page` with the table between its two marks replaced.

    Raises:
        ValueError: a mark is missing.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return f"{head}{BEGIN}\n{new}\n{END}{tail}"


def _line(row: dict[str, Any]) -> str:
    back = f"{row['recovery_p50_s']:.1f} / {row['recovery_p95_s']:.1f} s" if row["recovery_p50_s"] is not None else "-"
    cells = (
        row["fault"], row["what"], row["injected"], row["leads"], row["lost"], row["duplicated"], row["to_a_person"],
        row["unknown_mails"], back, row["seed"],
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def main() -> None:
    """Render the results of the last run."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), table(rows.values())), encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} has the results of {len(rows)} faults\n")


if __name__ == "__main__":
    main()
