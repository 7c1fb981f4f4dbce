"""Traps that have lost messages before: each is either impossible by how the code is written, or has a test elsewhere.

- A task that only the event loop knows is garbage-collected under way:
  `unit/test_model_process_serving.py::test_calls_under_way_survive_the_garbage_collector`, and no call here drops one.
- A list that two threads swap loses what comes in between:
  `unit/test_router_asking_again.py::test_what_many_threads_answer_at_once_is_all_seen`.
- `hash` of a text differs from process to process: nothing here calls it.
- What was in flight is asked again after a restore:
  `unit/test_router_durable_call.py::test_a_restart_asks_again_for_what_was_in_flight_and_keeps_the_order`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
STARTS_A_TASK = {"create_task", "ensure_future"}


@cache
def sources() -> dict[Path, str]:
    """The code that has something to do with a trap, by its file; the rest need not be parsed."""
    files = [file for room in ("pointsman", "flink_jobs", "agents") for file in sorted((ROOT / room).rglob("*.py"))]
    texts = {file: file.read_text() for file in files}
    return {file: text for file, text in texts.items() if re.search(r"create_task|ensure_future|\bhash\(", text)}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for file, text in sources().items():
        for node in ast.walk(ast.parse(text)):
            yield file.name, node


def starts_a_task(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in STARTS_A_TASK


def test_no_task_is_started_and_dropped() -> None:
    assert any(starts_a_task(node) for _, node in nodes())
    dropped = [
        f"{file}:{node.lineno}" for file, node in nodes() if isinstance(node, ast.Expr) and starts_a_task(node.value)
    ]
    assert dropped == []


def test_nothing_depends_on_the_hash_of_a_text() -> None:
    named = [
        f"{file}:{node.lineno}"
        for file, node in nodes()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hash"
    ]
    assert named == []


def test_the_tests_named_above_exist() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", __doc__ or "")
    assert len(named) == 3
    assert [name for file, name in named if f"def {name}(" not in (ROOT / "tests" / file).read_text()] == []
