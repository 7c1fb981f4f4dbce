"""Traps that have lost messages before: each is either impossible by how the code is written, or has a test elsewhere.

- A task that only the event loop knows is garbage-collected under way:
  `unit/test_model_process_serving.py::test_calls_under_way_survive_the_garbage_collector`, and no call here drops one,
  be it under a name that nothing looks at again.
- A list that two threads swap loses what comes in between:
  `unit/test_router_asking_again.py::test_what_many_threads_answer_at_once_is_all_seen` and
  `unit/test_router_shard.py::test_what_another_thread_answers_while_messages_leave_leaves_once_and_in_its_order`.
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

import pytest

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


def dropped_in(tree: ast.AST) -> Iterator[int]:
    """The lines that start a task which nothing refers to: it has no name, or one that its function never reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and starts_a_task(node.value):
            yield node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from forgotten_in(node)


def forgotten_in(function: ast.AST) -> Iterator[int]:
    read = names_read_in(function)
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and starts_a_task(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            # An attribute or an element beside the name keeps the task.
            if all(isinstance(target, ast.Name) and target.id not in read for target in targets):
                yield node.lineno


def names_read_in(function: ast.AST) -> set[str]:
    nodes = list(ast.walk(function))
    # Who has himself told of a task's end does not keep it.
    told = [node.value for node in nodes if isinstance(node, ast.Attribute) and node.attr == "add_done_callback"]
    names = (node for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return {name.id for name in names if name not in told}


def test_no_task_is_started_and_dropped() -> None:
    assert any(starts_a_task(node) for _, node in nodes())
    trees = {file.name: ast.parse(text) for file, text in sources().items()}
    assert [f"{file}:{line}" for file, tree in trees.items() for line in dropped_in(tree)] == []


@pytest.mark.parametrize(
    "kept",
    [
        "await asyncio.create_task(work())",
        "task = asyncio.create_task(work()); await task",
        "task = asyncio.create_task(work()); running.add(task); task.add_done_callback(running.discard)",
        "running[1] = task = asyncio.create_task(work())",
        "self.task = asyncio.create_task(work())",
        "return asyncio.ensure_future(work())",
    ],
)
def test_a_task_that_something_refers_to_is_kept(kept: str) -> None:
    assert list(dropped_in(ast.parse(f"async def f():\n    {kept}"))) == []


@pytest.mark.parametrize(
    "dropped",
    [
        "asyncio.create_task(work())",
        "task = asyncio.create_task(work())",
        "task: Task = asyncio.ensure_future(work()); task = None",
        "task = asyncio.create_task(work()); task.add_done_callback(print)",
    ],
)
def test_a_task_under_no_name_or_one_that_is_never_read_is_dropped(dropped: str) -> None:
    assert list(dropped_in(ast.parse(f"async def f():\n    {dropped}"))) == [2]


def test_nothing_depends_on_the_hash_of_a_text() -> None:
    named = [
        f"{file}:{node.lineno}"
        for file, node in nodes()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hash"
    ]
    assert named == []


def test_the_tests_named_above_exist() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", __doc__ or "")
    assert len(named) == 4
    assert [name for file, name in named if f"def {name}(" not in (ROOT / "tests" / file).read_text()] == []
