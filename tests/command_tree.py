"""Every command of the command line, each imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from pointsman.cli.commands import Deferred
from pointsman.cli.main import app


def commands(node: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The words of each command, and the command; of all, unless one to begin with is given."""
    node = typer.main.get_command(app) if node is None else node
    if isinstance(node, Deferred):
        node = node.command
    if not hasattr(node, "commands"):
        yield " ".join(words), node
        return
    for name, below in node.commands.items():
        yield from commands(below, (*words, name))


def options(command: Any) -> set[str]:
    """What may be said to it."""
    return {option for parameter in command.params for option in parameter.opts}
