"""What changes something takes `--dry-run`: every command does, or is named here with the reason why not."""

from __future__ import annotations

from tests.command_tree import commands, options

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


def test_every_command_that_changes_something_takes_dry_run() -> None:
    without = {words for words, command in commands() if "--dry-run" not in options(command)}
    named = ONLY_LOOK | MAKE_A_FILE_OF_THE_CALLER | CLEAN_UP_AFTER_THEMSELVES | STAY_AND_ACT_BY_A_DECLARED_RULE
    assert without == named
