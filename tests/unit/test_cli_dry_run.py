"""What changes something takes `--dry-run`: every command does, or is named here with the reason why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from pointsman.cli.main import app

ONLY_LOOK = {
    "status", "logs", "trace", "costs", "capacity", "doctor", "agents validate", "agents diff", "agents ls",
    "agents show", "agents card", "agents history", "archive status", "archive ls", "case run", "console link",
    "decisions ls", "decisions show", "dlq ls", "dlq show", "effects status", "effects ls", "eval run",
    "eval threshold", "job status",
    "knowledge ls", "knowledge search", "knowledge eval", "leads ls", "local-model eval", "local-model show",
    "messages tail", "retention ls", "rollout status", "workflows ls", "workflows show", "workflows rebuild",
}  # fmt: skip
MAKE_A_FILE_OF_THE_CALLER = {
    "agents helm-values", "agents schema", "case save", "decisions export", "dlq export", "eval import",
    "eval examples", "keys new", "local-model train", "local-model propose",
}  # fmt: skip
CLEAN_UP_AFTER_THEMSELVES = {"demo"}
STAY_AND_ACT_BY_A_DECLARED_RULE = {"rollout watch"}


def commands(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    if hasattr(node, "commands"):
        for name, below in node.commands.items():
            yield from commands(below, (*path, name))
    else:
        yield " ".join(path), {option for each in node.params for option in each.opts}


def test_every_command_that_changes_something_takes_dry_run() -> None:
    known = dict(commands(get_command(app)))
    without = {name for name, options in known.items() if "--dry-run" not in options}
    named = ONLY_LOOK | MAKE_A_FILE_OF_THE_CALLER | CLEAN_UP_AFTER_THEMSELVES | STAY_AND_ACT_BY_A_DECLARED_RULE
    assert without == named
