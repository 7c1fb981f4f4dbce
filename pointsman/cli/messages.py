"""`pointsman messages`: watch messages pass, and send one by hand."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from pointsman.cli.message_lines import MessageLine, message_line, workflow_of
from pointsman.cli.options import By, DryRun, operator
from pointsman.cli.output import Output, OutputOption, print_data
from pointsman.decision_log import Place
from pointsman.envelope import OPERATOR_SOURCE, Envelope, Record, decode_payload, to_rfc3339
from pointsman.errors import ConfigurationError, InvalidEnvelopeError
from pointsman.kafka import publish, tail
from pointsman.settings import settings
from pointsman.topics import DECISIONS, ERRORS, ESCALATIONS, LEADS, MESSAGES

app = typer.Typer(no_args_is_help=True)

_EVERYTHING: Final = (LEADS, MESSAGES, r"^agents\..*\.inbox$", DECISIONS, ESCALATIONS, ERRORS)
_STYLES: Final = {ERRORS: "red", ESCALATIONS: "yellow", DECISIONS: "cyan"}


@app.command("tail")
def follow(
    topic: Annotated[list[str] | None, typer.Option(help="Only this topic; may be given several times.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only this workflow (the lead's id).")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Start with what is there.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show messages as they pass, one line (of JSON, or one YAML document) each, until Ctrl-C."""
    records = tail(settings().kafka_bootstrap, topic or _EVERYTHING, from_beginning=from_beginning)
    with suppress(KeyboardInterrupt):
        show(records, Console(), workflow, output)


@app.command()
def send(
    event_type: Annotated[str, typer.Option("--type", help="Event type, e.g. lead.activity_noted.")],
    payload: Annotated[str, typer.Option(help="The payload, a JSON object.")],
    workflow: Annotated[str, typer.Option(help="Workflow id, e.g. the lead's id; a new one if left out.")] = "",
    agent: Annotated[str | None, typer.Option(help="Name the next agent yourself, instead of the router.")] = None,
    *,
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Write one message, in your name, for the router."""
    message = hand_written(event_type, payload, workflow or str(uuid.uuid4()), agent, operator(by))
    if dry_run:
        typer.echo(f"would send {message.id} {message.event_type} workflow {message.workflow_id}")
        return
    publish(settings().kafka_bootstrap, [message.to_record(MESSAGES)], f"pointsman.messages.{message.id}")
    typer.echo(f"{message.id} {message.event_type} workflow {message.workflow_id}")


def show(records: Iterable[Record], console: Console, workflow: str | None, output: Output = Output.TABLE) -> None:
    """Print a line for each of `records`, those of other workflows left out."""
    for record in records:
        if workflow is not None and workflow_of(record) != workflow:
            continue
        line = message_line(record)
        if output is Output.TABLE:
            console.print(_rendered(line), soft_wrap=True)
        elif output is Output.JSON:
            typer.echo(json.dumps(_as_data(record, line), ensure_ascii=False))
        else:
            typer.echo("---")
            print_data(_as_data(record, line), output)


def _as_data(record: Record, line: MessageLine) -> dict[str, Any]:
    return {"place": str(Place.of(record)), **asdict(line), "time": to_rfc3339(line.time)}


def hand_written(event_type: str, payload: str, workflow: str, agent: str | None, by: str) -> Envelope:
    """The message that a person writes.

    Raises:
        ConfigurationError: the payload is no JSON object.
    """
    try:
        parsed = decode_payload(payload.encode(errors="surrogateescape"))
    except InvalidEnvelopeError as error:
        raise ConfigurationError(f"--payload: {error.detail}", "write a JSON object") from None
    return Envelope(
        id=str(uuid.uuid4()),
        source=f"{OPERATOR_SOURCE}{by}",
        event_type=event_type,
        workflow_id=workflow,
        payload=parsed,
        time=datetime.now(UTC),
        target_agent=agent,
    )


def _rendered(line: MessageLine) -> Text:
    style = _STYLES.get(line.topic, "")
    return Text.assemble(
        (f"{line.time:%H:%M:%S.%f}"[:-3], "dim"),
        f"  {line.topic:<32}  ",
        (f"{line.event_type:<22}", "bold"),
        f"  {line.workflow}  ",
        (f"{line.sender} → {line.receiver}", style),
    )
