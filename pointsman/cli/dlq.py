"""`pointsman dlq`: look at dead letters, send them again, mend them, set them aside."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from pointsman.cli.letter_text import cell, describe, exported, state_of
from pointsman.cli.new_file import new_file
from pointsman.cli.options import By, DryRun, Unmask, Yes, confirm, operator, per_second
from pointsman.cli.output import Output, OutputOption, print_lines, print_rows
from pointsman.deadletter_queue import DeadLetter, Group, Selection, check_may_be_sent, grouped, letter_id
from pointsman.deadletter_work import DeadLetterTopics, DeadLetterWork, Done, KafkaDeadLetterTopics
from pointsman.envelope import Record, decode_payload, encode_payload
from pointsman.errors import ConfigurationError, InvalidEnvelopeError, RefusedError
from pointsman.settings import settings

app = typer.Typer(no_args_is_help=True)


Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="agent_errors/<partition>/<offset>")]
Id = Annotated[str, typer.Argument(metavar="ID", help="agent_errors/<partition>/<offset>")]
Reason = Annotated[str | None, typer.Option(help="Only those of this reason, e.g. contract_violation.")]
Stage = Annotated[str | None, typer.Option(help="Only those of this stage: router, leads, or an agent's name.")]
All = Annotated[bool, typer.Option("--all", help="Also those that somebody has dealt with.")]


@app.command("ls")
def list_letters(
    reason: Reason = None,
    stage: Stage = None,
    *,
    each: Annotated[bool, typer.Option("--each", help="A line for each, with its id.")] = False,
    with_handled: All = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """List what nobody has dealt with, by stage and reason."""
    letters = _work(None).find(Selection(reason=reason, stage=stage, with_handled=with_handled))
    if each:
        columns = ("id", "failed_at", "stage", "reason", "type", "workflow", "state")
        print_rows([_in_short(letter) for letter in letters], columns, output)
    else:
        groups = [_group(group) for group in grouped(letters)]
        print_rows(groups, ("count", "stage", "reason", "first", "last"), output, right=("count",))


@app.command()
def show(
    letter: Id,
    *,
    unmask: Unmask = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show one: why it failed, where it lies, headers and payload."""
    found = _one(_work(None), letter)
    data = json.loads(exported(found)) if unmask else _in_short(found)
    print_lines(describe(found, unmask=unmask), data, output)


@app.command()
def redrive(
    ids: Ids = None,
    reason: Reason = None,
    stage: Stage = None,
    *,
    dry_run: DryRun = False,
    rate: Annotated[str, typer.Option(help="At most that many in a second.")] = "20/s",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Send them back to where they were read, as they were; at most three times each."""
    per_s = per_second(rate)
    work = _work(by)
    letters = _chosen(work, ids, reason, stage)
    if not dry_run and not ids and letters:
        confirm(f"Send {len(letters)} dead letters back?", yes=yes)
    _tell(work.preview(letters) if dry_run else work.redrive(letters, per_s), "would go " if dry_run else "")


@app.command()
def edit(
    letter: Id,
    payload: Annotated[Path | None, typer.Option(help="File with the new payload; $EDITOR if left out.")] = None,
    *,
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Mend the payload of one and send it back; the dead letter keeps the original."""
    work = _work(by)
    found = _one(work, letter)
    check_may_be_sent(found)
    mended = _mended(found, payload)
    if dry_run:
        _tell(work.preview([found]), "would go, mended, ")
    else:
        _tell([work.edit(found, mended)])


@app.command()
def discard(
    ids: Ids = None,
    reason: Reason = None,
    stage: Stage = None,
    *,
    note: Annotated[str, typer.Option(help="Why; kept in the audit record. No personal data.")] = "",
    dry_run: DryRun = False,
    by: By = None,
    yes: Yes = False,
) -> None:
    """Note that nothing more is to be done about them; `ls` leaves them out from then on."""
    work = _work(by)
    letters = _chosen(work, ids, reason, stage)
    if dry_run:
        _tell([Done(id=letter.id, is_done=True, text="would be discarded") for letter in letters])
        return
    if not ids and letters:
        confirm(f"Set {len(letters)} dead letters aside?", yes=yes)
    _tell(work.discard(letters, note))


@app.command()
def export(
    output: Annotated[Path, typer.Option(help="The file to make; it will hold personal data.")],
    reason: Reason = None,
    stage: Stage = None,
    *,
    with_handled: All = False,
) -> None:
    """Write them to a file: JSON Lines, bytes as base64."""
    letters = _work(None).find(Selection(reason=reason, stage=stage, with_handled=with_handled))
    typer.echo(f"{write_export(letters, output)} dead letters in {output}")


def write_export(letters: Iterable[DeadLetter], output: Path) -> int:
    """Write `letters` to a new file that only its owner may read; their number.

    Raises:
        ConfigurationError: the file exists, or cannot be made.
    """
    count = 0
    with new_file(output) as file:
        for count, letter in enumerate(letters, start=1):  # noqa: B007 - the last number is what is wanted
            file.write(f"{exported(letter)}\n".encode())
    return count


def dead_letter_topics() -> DeadLetterTopics:
    """The dead letters of the cluster that the settings name."""
    return KafkaDeadLetterTopics(settings().kafka_bootstrap)


def _work(by: str | None) -> DeadLetterWork:
    return DeadLetterWork(topics=dead_letter_topics(), by=operator(by), now=lambda: datetime.now(UTC), pause=time.sleep)


def _one(work: DeadLetterWork, name: str) -> DeadLetter:
    return _named(work, [name])[0]


def _chosen(work: DeadLetterWork, ids: list[str] | None, reason: str | None, stage: str | None) -> list[DeadLetter]:
    if bool(ids) == bool(reason or stage):
        raise typer.BadParameter("name dead letters by their ids, or by --reason and --stage")
    if ids:
        return _named(work, ids)
    letters = list(work.find(Selection(reason=reason, stage=stage)))
    if not letters:
        typer.echo("no such dead letter is open; `pointsman dlq ls` shows which are", err=True)
    return letters


def _named(work: DeadLetterWork, names: list[str]) -> list[DeadLetter]:
    ids = [letter_id(name) for name in names]
    found = {letter.id: letter for letter in work.find(Selection(ids=frozenset(ids), with_handled=True))}
    missing = [name for name in ids if name not in found]
    if missing:
        raise RefusedError(f"there is no dead letter {missing[0]}", "`pointsman dlq ls --each` names them")
    return [found[name] for name in dict.fromkeys(ids)]


def _mended(letter: DeadLetter, file: Path | None) -> bytes:
    try:
        octets = _from_editor(letter) if file is None else file.read_bytes()
        return encode_payload(decode_payload(octets))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}", "check the path") from None
    except InvalidEnvelopeError as error:
        raise RefusedError(
            f"the new payload is not taken: {error.detail}", "nothing was sent; write a JSON object"
        ) from None


def _from_editor(letter: DeadLetter) -> bytes:
    original = _text_of(letter.record)
    edited = click.edit(original, extension=".json")
    if edited is None or edited == original:
        raise RefusedError("nothing was changed", "save the file to send it, or use `pointsman dlq redrive`")
    return edited.encode(errors="surrogateescape")


def _text_of(record: Record) -> str:
    """What there is to edit: a payload that is encrypted or Avro as JSON, anything else as it is."""
    if isinstance(record.decoded, dict):
        return json.dumps(record.decoded, ensure_ascii=False, indent=2)
    return (record.value or b"{}").decode(errors="replace")


def _tell(results: Iterable[Done], prefix: str = "") -> None:
    refused = 0
    for done in results:
        if done.is_done:
            typer.echo(f"{done.id} {prefix}{done.text}")
        else:
            refused += 1
            typer.echo(f"refused: {done.text}", err=True)
    if refused:
        raise typer.Exit(1)


def _group(group: Group) -> dict[str, Any]:
    return {
        "count": group.count,
        "stage": cell(group.stage),
        "reason": cell(group.reason),
        "first": group.first_at,
        "last": group.last_at,
    }


def _in_short(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "failed_at": letter.failed_at,
        "stage": cell(letter.stage),
        "reason": cell(letter.reason),
        "type": cell(letter.header("ce_type")),
        "workflow": cell(letter.workflow_id or ""),
        "state": state_of(letter),
    }
