"""`pointsman dlq`: look at dead letters, send them again, mend them, set them aside."""

from __future__ import annotations

import getpass
import os
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import click
import typer

from pointsman.cli.letter_text import cell, describe, exported, state_of
from pointsman.deadletter_queue import DeadLetter, Group, Selection, check_may_be_sent, grouped, letter_id
from pointsman.deadletter_work import DeadLetterTopics, DeadLetterWork, Done, KafkaDeadLetterTopics
from pointsman.envelope import decode_payload, encode_payload
from pointsman.errors import ConfigurationError, InvalidEnvelopeError, RefusedError
from pointsman.settings import settings

app = typer.Typer(no_args_is_help=True)

_RATE: Final = re.compile(r"([1-9][0-9]{0,3})/s")

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="agent_errors/<partition>/<offset>")]
Id = Annotated[str, typer.Argument(metavar="ID", help="agent_errors/<partition>/<offset>")]
Reason = Annotated[str | None, typer.Option(help="Only those of this reason, e.g. contract_violation.")]
Stage = Annotated[str | None, typer.Option(help="Only those of this stage: router, leads, or an agent's name.")]
All = Annotated[bool, typer.Option("--all", help="Also those that somebody has dealt with.")]
By = Annotated[str | None, typer.Option(help="In whose name; the user of this machine if left out.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")]


@app.command("ls")
def list_letters(
    reason: Reason = None,
    stage: Stage = None,
    *,
    each: Annotated[bool, typer.Option("--each", help="A line for each, with its id.")] = False,
    with_handled: All = False,
) -> None:
    """List what nobody has dealt with, by stage and reason."""
    letters = _work(None).find(Selection(reason=reason, stage=stage, with_handled=with_handled))
    if each:
        for letter in letters:
            typer.echo(_line(letter))
    else:
        typer.echo("\n".join([_heading(), *map(_group, grouped(letters))]))


@app.command()
def show(
    letter: Id,
    *,
    unmask: Annotated[bool, typer.Option("--unmask", help="Also show texts, which may name people.")] = False,
) -> None:
    """Show one: why it failed, where it lies, headers and payload."""
    for line in describe(_one(_work(None), letter), unmask=unmask):
        typer.echo(line)


@app.command()
def redrive(
    ids: Ids = None,
    reason: Reason = None,
    stage: Stage = None,
    *,
    dry_run: DryRun = False,
    rate: Annotated[str, typer.Option(help="At most that many in a second.")] = "20/s",
    by: By = None,
) -> None:
    """Send them back to where they were read, as they were; at most three times each."""
    per_s = _per_second(rate)
    work = _work(by)
    letters = _chosen(work, ids, reason, stage)
    _tell(work.preview(letters) if dry_run else work.redrive(letters, per_s), "would go " if dry_run else "")


@app.command()
def edit(
    letter: Id,
    payload: Annotated[Path | None, typer.Option(help="File with the new payload; $EDITOR if left out.")] = None,
    *,
    by: By = None,
) -> None:
    """Mend the payload of one and send it back; the dead letter keeps the original."""
    work = _work(by)
    found = _one(work, letter)
    check_may_be_sent(found)
    _tell([work.edit(found, _mended(found, payload))])


@app.command()
def discard(
    ids: Ids = None,
    reason: Reason = None,
    stage: Stage = None,
    *,
    note: Annotated[str, typer.Option(help="Why; kept in the audit record. No personal data.")] = "",
    dry_run: DryRun = False,
    by: By = None,
) -> None:
    """Note that nothing more is to be done about them; `ls` leaves them out from then on."""
    work = _work(by)
    letters = _chosen(work, ids, reason, stage)
    if dry_run:
        _tell([Done(id=letter.id, is_done=True, text="would be discarded") for letter in letters])
    else:
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
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be made: {error.strerror}", "choose another --output") from None
    count = 0
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for count, letter in enumerate(letters, start=1):  # noqa: B007 - the last number is what is wanted
            file.write(exported(letter) + "\n")
    return count


def dead_letter_topics() -> DeadLetterTopics:
    """The dead letters of the cluster that the settings name."""
    return KafkaDeadLetterTopics(settings().kafka_bootstrap)


def _work(by: str | None) -> DeadLetterWork:
    return DeadLetterWork(
        topics=dead_letter_topics(), by=by or getpass.getuser(), now=lambda: datetime.now(UTC), pause=time.sleep
    )


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
    original = (letter.record.value or b"{}").decode(errors="replace")
    edited = click.edit(original, extension=".json")
    if edited is None or edited == original:
        raise RefusedError("nothing was changed", "save the file to send it, or use `pointsman dlq redrive`")
    return edited.encode(errors="surrogateescape")


def _per_second(rate: str) -> int:
    match = _RATE.fullmatch(rate)
    if match is None:
        raise typer.BadParameter("write a rate as 20/s", param_hint="--rate")
    return int(match.group(1))


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


def _heading() -> str:
    return f"{'count':>6}  {'stage':<28}  {'reason':<20}  {'first (UTC)':<19}  last"


def _group(group: Group) -> str:
    times = "  ".join(f"{time:%Y-%m-%d %H:%M:%S}" for time in (group.first_at, group.last_at))
    return f"{group.count:>6}  {cell(group.stage):<28}  {cell(group.reason):<20}  {times}"


def _line(letter: DeadLetter) -> str:
    about = (letter.stage, letter.reason, letter.header("ce_type"), letter.workflow_id or "")
    return "  ".join((letter.id, f"{letter.failed_at:%Y-%m-%dT%H:%M:%SZ}", *map(cell, about), state_of(letter)))
