"""`pointsman decisions`: the router's decision log."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pointsman.archive.reading import read_topic
from pointsman.cli.new_file import new_file
from pointsman.cli.options import By, DryRun, FromArchive, Since, Unmask, Until, operator, span
from pointsman.cli.output import Output, OutputOption, counted, print_data, print_rows
from pointsman.decision_export import json_line, write_avro
from pointsman.decision_log import LoggedDecision, in_time, read_decisions
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError, RefusedError
from pointsman.evaluation.feedback import correction_record
from pointsman.kafka import publish
from pointsman.masking import masked_line
from pointsman.routing.decision import Outcome
from pointsman.settings import settings
from pointsman.topics import DECISIONS

app = typer.Typer(no_args_is_help=True)

LATE: Final = timedelta(hours=1)
"""Kafka's timestamp of an entry may be that of the message, which waits while no model answers."""
_COLUMNS: Final = ("decided_at", "workflow", "step", "event_type", "outcome", "agent", "how", "reason")

Workflow = Annotated[str | None, typer.Option("--workflow", help="Only this workflow (the lead's id).")]


class FileFormat(StrEnum):
    """What an export is written as."""

    JSONL = "jsonl"
    AVRO = "avro"


@app.command("ls")
def list_decisions(
    workflow: Workflow = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only those with this outcome.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most that many, the latest.")] = 50,
    archive: FromArchive = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List decisions, the latest last."""
    found = [one for one in load(since, until, workflow, archive) if outcome is None or one.outcome == outcome.value]
    print_rows([in_short(one) for one in found[-limit:]], _COLUMNS, output, right=("step",))


@app.command()
def show(
    message_id: Annotated[str, typer.Argument(help="Id of the message, or where its decision lies.")],
    *,
    archive: FromArchive = None,
    unmask: Unmask = False,
    output: OutputOption = Output.YAML,
) -> None:
    """Show everything that was logged about the decisions on one message."""
    found = [one for one in load(None, None, None, archive) if message_id in {one.message_id, str(one.place)}]
    if not found:
        what = f"there is no decision on message {masked_line(message_id)}"
        raise ConfigurationError(what, "`pointsman decisions ls -o json` names the messages")
    entries = [{"place": str(one.place), **one.value} for one in found]
    print_data(entries if unmask else [_without_texts(entry) for entry in entries], _data_output(output))


@app.command()
def export(
    output: Annotated[Path, typer.Option(help="The file to make; models' answers in it may name people.")],
    workflow: Workflow = None,
    since: Since = None,
    until: Until = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="JSON Lines or Avro.")] = FileFormat.JSONL,
    archive: FromArchive = None,
) -> None:
    """Write decisions to a file, whole, in the order in which they were made."""
    found = load(since, until, workflow, archive)
    with new_file(output) as file:
        if file_format is FileFormat.AVRO:
            write_avro(counted(found, "writing"), file)
        else:
            file.writelines(f"{json_line(one)}\n".encode() for one in counted(found, "writing"))
    typer.echo(f"{len(found)} decisions in {output}")


@app.command()
def correct(
    message_id: Annotated[str, typer.Argument(help="Id of the message.")],
    agent: Annotated[str | None, typer.Option(help="The agent that should have got it.")] = None,
    *,
    nobody: Annotated[bool, typer.Option("--nobody", help="Nobody should have got it.")] = False,
    reason: Annotated[str, typer.Option(help="Why; kept with it, so name nobody.")] = "",
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Say who should have got a message: a label for `eval` and the local model. It moves nothing."""
    if (agent is None) is not nobody:
        raise typer.BadParameter("give one of --agent and --nobody")
    found = [one for one in load(None, None, None) if one.message_id == message_id]
    if not found:
        what = f"there is no decision on message {masked_line(message_id)}"
        raise ConfigurationError(what, "`pointsman decisions ls -o json` names the messages")
    last = found[-1]
    if agent is not None and agent not in {str(each.get("agent")) for each in last.candidates}:
        raise RefusedError(f"{agent[:63]} was no candidate for it", "`pointsman decisions show` names them")
    record = correction_record(
        message_id, last.workflow_id, agent, last.agent or last.outcome, operator(by), reason, datetime.now(UTC)
    )
    if not dry_run:
        publish(settings().kafka_bootstrap, [record], f"pointsman.feedback.{uuid.uuid4()}")
    typer.echo(f"{'would note' if dry_run else 'noted'}: {last.agent or last.outcome} → {agent or 'nobody'}")


def load(
    since: str | None, until: str | None, workflow: str | None, archive: Path | None = None
) -> list[LoggedDecision]:
    """The decisions of a time range, in order; of one workflow, or of all."""
    first, last = span(since, until)
    records = counted(records_between(DECISIONS, first, last, archive), f"reading {DECISIONS}")
    of_workflow = (one for one in read_decisions(records) if workflow is None or one.workflow_id == workflow)
    return in_time(of_workflow, first, last)


def records_between(
    topic: str, since: datetime | None, until: datetime | None, archive: Path | None = None
) -> Iterable[Record]:
    """The records of `topic` on the cluster that the settings name, and in `archive`, with some time at both ends."""
    first, last = since and since - LATE, until and until + LATE
    return read_topic(settings().kafka_bootstrap, topic, archive=archive, since=first, until=last)


def in_short(decision: LoggedDecision) -> dict[str, Any]:
    """The decision as a row of a list, without personal data."""
    return {
        "decided_at": decision.decided_at,
        "workflow": masked_line(decision.workflow_id or "-"),
        "step": decision.step,
        "message_id": masked_line(decision.message_id or "-"),
        "event_type": masked_line(decision.event_type or "-"),
        "outcome": decision.outcome,
        "agent": decision.agent,
        "how": decision.how,
        "reason_code": decision.reason_code,
        "reason": masked_line(decision.reason),
        "model": str((decision.model_call or {}).get("model") or "") or None,
        "catalog": decision.catalog,
        "place": str(decision.place),
    }


def _without_texts(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _without_texts(inner, key) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_texts(inner, name) for inner in value]
    if name == "place":
        return value
    if name == "raw_answer" and isinstance(value, str):
        return f"[text of {len(value)}]"
    return masked_line(value) if isinstance(value, str) else value


def _data_output(output: Output) -> Output:
    return Output.YAML if output is Output.TABLE else output
