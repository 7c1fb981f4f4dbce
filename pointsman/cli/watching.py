"""Applies a folder again whenever it changes; what was applied last stays in force while something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Final

import typer
from watchfiles import Change, watch

from pointsman.errors import ConfigurationError, PointsmanError, TransientError

_DEBOUNCE_MS: Final = 200
_TRY_AGAIN_MS: Final = 5_000

Changes = Iterable[Set[tuple[Change, str]]]


def follow(folder: Path, apply: Callable[[], bool], changes: Changes | None = None) -> None:
    """Apply now and after every change below `folder`, until the process is interrupted.

    Args:
        folder: the folder to watch.
        apply: applies it and says whether it was valid.
        changes: sets of changed files; an empty set is the passing of five seconds.

    Raises:
        ConfigurationError: there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder", "name the folder of the YAML files")
    again = not _attempt(apply)
    typer.echo(f"watching {folder}; Ctrl+C ends it", err=True)
    for changed in changes or _changes(folder):
        if changed or again:
            again = not _attempt(apply)


def _attempt(apply: Callable[[], bool]) -> bool:
    """Whether there is nothing to try again: a wrong file waits for a person, a broker may come back."""
    try:
        if not apply():
            typer.echo("the catalog in force stays as it is", err=True)
    except TransientError as error:
        typer.echo(f"pointsman: {error}; trying again", err=True)
        return False
    except PointsmanError as error:
        typer.echo(f"pointsman: {error}", err=True)
    return True


def _changes(folder: Path) -> Changes:
    return watch(
        folder, debounce=_DEBOUNCE_MS, rust_timeout=_TRY_AGAIN_MS, yield_on_timeout=True, raise_interrupt=False
    )
