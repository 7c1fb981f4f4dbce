"""The page of guarantees names tests that exist, and its table is what the last `make chaos` measured."""

from __future__ import annotations

import re

from tests.chaos.report import BEGIN, END, PAGE, ROOT, mutation_table, soak_table, table, with_table

ROW = {
    "fault": "F10", "what": "agents killed", "injected": 12, "leads": 100, "lost": 0, "duplicated": 0,
    "to_a_person": 1, "unknown_mails": 2, "recovery_p50_s": 1.25, "recovery_p95_s": 4.0, "seed": 7,
}  # fmt: skip


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE.read_text())
    assert named
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / "tests" / file).read_text()]
    assert missing == []


def test_the_table_stands_between_its_marks_and_is_replaced_as_a_whole() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    new = with_table(page, table([ROW]))
    assert "old" not in new
    assert "| F10 | agents killed | 12 | 100 | 0 | 0 | 1 | 2 | 1.2 / 4.0 s | - | 7 |" in new
    assert with_table(new, table([ROW])) == new


def test_faults_stand_in_the_order_of_their_numbers() -> None:
    rows = [{**ROW, "fault": "F10"}, {**ROW, "fault": "F2", "recovery_p50_s": None}]
    assert re.findall(r"^\| (F\d+)", table(rows), re.MULTILINE) == ["F2", "F10"]


def test_a_fault_names_what_was_switched_off_to_check_its_test_unless_nothing_was_noticed() -> None:
    noticed = {"mechanism": "ledger", "file": "a.py", "test": "tests/b.py::c", "faults": ["F10"], "outcome": "red"}
    missed = {**noticed, "mechanism": "order", "outcome": "GREEN: the test does not notice\nmore"}
    assert "| 1.2 / 4.0 s | ledger | 7 |" in table([ROW], [noticed, missed])
    assert "| ledger | `a.py` | `b.py::c` | red |" in mutation_table([noticed, missed])
    assert "| order | `a.py` | `b.py::c` | GREEN: the test does not notice |" in mutation_table([noticed, missed])


def test_a_soak_says_how_the_memory_of_each_process_grew() -> None:
    memory = {"kafka": {"mib": 300.4, "percent_per_10_min": 0.123}}
    soak = {"minutes": 30, "seed": 7, "leads": 900, "faults": 40, "lost": 0, "duplicated": 0, "memory": memory}
    assert "| kafka | 300 | +0.12 % |" in soak_table(soak)


def test_no_measured_fault_lost_or_repeated_anything() -> None:
    measured = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in measured.splitlines() if line[:3] == "| F"]
    assert cells
    assert [row[0] for row in cells if row[4:6] != ["0", "0"] or int(row[2]) == 0] == []
