"""How every command prints data: as a table for people, or as JSON or YAML for programs; always on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pointsman.definitions.writing import to_yaml
from pointsman.envelope import to_rfc3339
from pointsman.plaintext import one_line

_WIDTH_OF_NO_TERMINAL: Final = 10_000
"""Columns where nobody looks: a pipe gets whole lines."""
_LONGEST_CELL: Final = 300
_SHOW_EVERY: Final = 100

Item = TypeVar("Item")
Row = Mapping[str, Any]


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print it: table, json or yaml.")]


def print_rows(rows: Sequence[Row], columns: Sequence[str], output: Output, *, right: Sequence[str] = ()) -> None:
    """Print a list of things. Nothing is masked here.

    Args:
        rows: the things; JSON and YAML print all of their fields.
        columns: the fields that a table shows, in order; each is its own heading.
        output: how.
        right: the columns whose cells stand at the right, that is numbers.
    """
    if output is not Output.TABLE:
        print_data([dict(row) for row in rows], output)
        return
    console = _console()
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def print_data(data: Any, output: Output) -> None:
    """Print `data` as JSON or YAML; times become RFC 3339."""
    plain = json.loads(json.dumps(data, default=_as_text, ensure_ascii=False))
    text = json.dumps(plain, indent=2, ensure_ascii=False) if output is Output.JSON else to_yaml(plain)
    typer.echo(text.rstrip("\n"))


def print_lines(lines: Iterable[str], data: Any, output: Output) -> None:
    """Print one thing: `lines` for people, `data` for programs."""
    if output is not Output.TABLE:
        print_data(data, output)
        return
    for line in lines:
        typer.echo(line)


def counted(items: Iterable[Item], what: str) -> Iterator[Item]:
    """`items`, with a count on stderr while they pass, if that is a terminal.

    Args:
        items: what passes.
        what: what the count is of, for example `reading agent_decisions`.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        for number, item in enumerate(items, start=1):
            if number % _SHOW_EVERY == 0:
                progress.update(task, completed=number)
            yield item


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner on stderr, if that is a terminal, while the block works."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


@contextmanager
def advancing(total: int, what: str) -> Iterator[Callable[[], None]]:
    """A bar on stderr, if that is a terminal; call what it gives whenever one of `total` is done."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _console() -> Console:
    # Made anew each time: it takes hold of stdout as it is then. It honours NO_COLOR by itself.
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_OF_NO_TERMINAL, no_color=True)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    # What strangers wrote must not move the cursor. Whoever prints it has masked it.
    return one_line(str(value), _LONGEST_CELL)


def _as_text(value: Any) -> str:
    return to_rfc3339(value) if isinstance(value, datetime) else str(value)
