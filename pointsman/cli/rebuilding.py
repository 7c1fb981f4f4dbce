"""`pointsman workflows rebuild`: work the states out anew, and compare."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pointsman.cli.output import Output, OutputOption, counted, print_data, print_rows
from pointsman.decision_log import read_decisions
from pointsman.kafka import read_all
from pointsman.masking import masked_line
from pointsman.rebuild import Mismatch, mismatches, rebuild
from pointsman.settings import settings
from pointsman.topics import DECISIONS, MESSAGES, WORKFLOW_STATE
from pointsman.workflow_states import WorkflowState


def rebuild_states(
    workflow_id: Annotated[str | None, typer.Argument(help="Only this workflow; all of them if left out.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Work every state out from messages and decisions, and compare it with `workflow_state`; exit 1 if one differs."""
    bootstrap = settings().kafka_bootstrap
    before = list(read_all(bootstrap, WORKFLOW_STATE))
    messages = counted(read_all(bootstrap, MESSAGES), f"reading {MESSAGES}")
    decisions = read_decisions(counted(read_all(bootstrap, DECISIONS), f"reading {DECISIONS}"))
    rebuilt = rebuild(messages, decisions)
    found = mismatches(rebuilt, before, read_all(bootstrap, WORKFLOW_STATE))
    rows = [in_short(one) for one in found if workflow_id in {None, one.workflow_id}]
    compared = rebuilt.states.keys() - rebuilt.planned
    count = sum(workflow_id in {None, one} for one in compared)
    if output is not Output.TABLE:
        undecided = [str(place) for place in rebuilt.undecided]
        told = {"rebuilt": count, "different": rows, "undecided": undecided, "planned": sorted(rebuilt.planned)}
        print_data(told, output)
    else:
        waiting = f"{len(rebuilt.undecided)} messages wait for a decision, {len(rebuilt.planned)} workflows have a plan"
        typer.echo(f"{count} workflows rebuilt, {len(rows)} stand otherwise in {WORKFLOW_STATE}; {waiting}")
        if rows:
            print_rows(rows, ("workflow", "rebuilt", "kept"), output)
    if rows:
        raise typer.Exit(1)


def in_short(mismatch: Mismatch) -> dict[str, Any]:
    """The mismatch as a row of a list, without personal data."""
    return {
        "workflow": masked_line(mismatch.workflow_id),
        "rebuilt": _told(mismatch.rebuilt),
        "kept": _told(mismatch.kept),
    }


def _told(state: WorkflowState | None) -> str:
    if state is None:
        return "-"
    return masked_line(f"{state.status}, {state.where}, step {state.steps}, {state.reason_code}, {state.since}")
