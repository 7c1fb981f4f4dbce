"""Shows steps as they run: with spinners on a terminal, as plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from pointsman.local.progress import Progress


class PlainSteps:
    """One line per step that is done."""

    def started(self, step: str) -> None:
        """Nothing: several steps run at the same time."""

    def finished(self, step: str, seconds: float) -> None:
        typer.echo(f"{step}: done in {seconds:.1f} s", err=True)

    def failed(self, step: str) -> None:
        typer.echo(f"{step}: failed", err=True)


class LiveSteps:
    """One spinner per step that runs, one mark per step that is done.

    Args:
        bars: where they are drawn.
    """

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def started(self, step: str) -> None:
        self._tasks[step] = self._bars.add_task(step, total=1)

    def finished(self, step: str, seconds: float) -> None:
        self._bars.update(self._tasks[step], completed=1)

    def failed(self, step: str) -> None:
        self._bars.update(self._tasks[step], description=f"[red]{step}: failed[/red]")
        self._bars.stop_task(self._tasks[step])


@contextmanager
def shown_steps() -> Iterator[Progress]:
    """A progress that is drawn on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainSteps()
        return
    columns = (SpinnerColumn(finished_text="[green]✓[/green]"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bars(*columns, console=console) as bars:
        yield LiveSteps(bars)
