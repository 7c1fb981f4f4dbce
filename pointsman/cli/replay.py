"""`pointsman replay`: decide again what was decided, to prove it, or to see what a change would make of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pointsman.catalog import Catalog
from pointsman.cli.agent_history import catalogs
from pointsman.cli.decisions import load, records_between
from pointsman.cli.options import FromArchive, Since, Until, span
from pointsman.cli.output import Output, OutputOption, advancing, counted, print_data, print_rows
from pointsman.decision_log import LoggedDecision, Place
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError
from pointsman.masking import masked_line
from pointsman.models.factory import chat_model
from pointsman.models.opinions import OpinionsModel
from pointsman.models.port import ChatModel
from pointsman.replay import CannotReplayError, Difference, NotTheRoutersError, Replay
from pointsman.settings import settings
from pointsman.shredding.values import is_erased
from pointsman.topics import MESSAGES
from pointsman.what_if import Verdict, WhatIf, summary

EXIT_DIFFERENT = 1
_GONE = "its message is no longer on Kafka, or was erased"

Pairs = Sequence[tuple[LoggedDecision, Record]]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(replay)


def replay(
    frozen: Annotated[
        bool, typer.Option("--frozen", help="No model call: make each decision again and prove it equal.")
    ] = False,
    change: Annotated[
        list[str] | None, typer.Option("--with", metavar="WHAT=VALUE", help="model=NAME, catalog=DIR, or both.")
    ] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", help="Only this workflow (the lead's id).")] = None,
    since: Since = None,
    until: Until = None,
    archive: FromArchive = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --with: only say how many model calls it would take.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Decide again what was decided; nothing is written. --frozen exits 1 when a decision comes out otherwise."""
    if frozen == bool(change):
        raise typer.BadParameter("say --frozen, or what to change --with")
    if frozen:
        _prove(load_pairs(since, until, workflow, archive), output)
    else:
        _compare(changes(change or []), load_pairs(since, until, workflow, archive), output, dry_run=dry_run)


def changes(given: Sequence[str]) -> dict[str, str]:
    """What `--with` names, by its word.

    Raises:
        BadParameter: it is neither model=NAME nor catalog=DIR.
    """
    found = {}
    for text in given:
        word, _, value = text.partition("=")
        if word not in {"model", "catalog"} or not value:
            raise typer.BadParameter(f"{text[:80]} is neither model=NAME nor catalog=DIR", param_hint="--with")
        found[word] = value
    return found


def load_pairs(
    since: str | None, until: str | None, workflow: str | None, archive: Path | None = None
) -> tuple[Pairs, list[LoggedDecision]]:
    """Each decision with its message; and the decisions whose message nothing holds any more, or is erased."""
    decisions = load(since, until, workflow, archive)
    first, last = span(since, until)
    wanted = {decision.message_place for decision in decisions}
    read = counted(records_between(MESSAGES, first, last, archive), f"reading {MESSAGES}")
    held = {Place.of(record): record for record in read if Place.of(record) in wanted and not is_erased(record)}
    pairs = [(one, held[one.message_place]) for one in decisions if one.message_place in held]
    return pairs, [one for one in decisions if one.message_place not in held]


def routing_model() -> ChatModel:
    """The model that the settings name."""
    return OpinionsModel(chat_model(settings()))


def _prove(loaded: tuple[Pairs, list[LoggedDecision]], output: Output) -> None:
    pairs, gone = loaded
    again = Replay(catalogs())
    different: list[dict[str, Any]] = []
    missing = [_missing(one, _GONE) for one in gone]
    beside: list[dict[str, Any]] = []
    for logged, record in counted(pairs, "deciding again"):
        try:
            different += [_different(logged, one) for one in again.differences(logged, record)]
        except NotTheRoutersError as error:
            beside.append(_missing(logged, error.why))
        except CannotReplayError as error:
            missing.append(_missing(logged, error.why))
    equal = len(pairs) + len(gone) - len(missing) - len(beside) - len({one["place"] for one in different})
    if output is not Output.TABLE:
        told = {"equal": equal, "different": different, "not_made_again": missing, "not_the_routers": beside}
        print_data(told, output)
    else:
        told_of = f"{len(missing)} not made again, {len(beside)} not the router's alone"
        typer.echo(f"{equal} decisions came out the same, {len(different)} differences, {told_of}")
        _rows(different, ("place", "workflow", "field", "logged", "now"))
        _rows(missing + beside, ("place", "workflow", "why"))
    if different or missing:
        raise typer.Exit(EXIT_DIFFERENT)


def _compare(
    change: dict[str, str], loaded: tuple[Pairs, list[LoggedDecision]], output: Output, *, dry_run: bool
) -> None:
    pairs, gone = loaded
    folder = change.get("catalog")
    catalog = Catalog.of(load_folder_or_raise(_folder(folder)).definitions) if folder else None
    model = routing_model()
    question = WhatIf(Replay(catalogs()), model, model_name=change.get("model"), catalog=catalog)
    if dry_run:
        typer.echo(f"{len(pairs)} decisions would be made again, with {question.calls(pairs)} model calls")
        return
    verdicts = asyncio.run(_asked(question, model, pairs))
    changed = [_changed(verdict) for verdict in verdicts if verdict.is_changed]
    counts = [{"before": before, "after": after, "count": count} for before, after, count in summary(verdicts)]
    skipped = [_missing(one.logged, one.skipped) for one in verdicts if one.skipped]
    skipped += [_missing(one, _GONE) for one in gone]
    told = {"summary": counts, "changed": changed, "asked": sum(one.asked for one in verdicts), "skipped": skipped}
    if output is not Output.TABLE:
        print_data(told, output)
        return
    typer.echo(f"{len(changed)} of {len(verdicts)} decisions would change; a model was asked {told['asked']} times")
    print_rows(counts, ("before", "after", "count"), output, right=("count",))
    _rows(changed, ("workflow", "event_type", "before", "after", "reason"))
    _rows(skipped, ("place", "workflow", "why"))


async def _asked(question: WhatIf, model: ChatModel, pairs: Pairs) -> list[Verdict]:
    try:
        with advancing(len(pairs), "deciding anew") as on_done:
            return await question.run(pairs, on_done)
    finally:
        await model.close()


def _rows(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if rows:
        typer.echo("")
        print_rows(rows, columns, Output.TABLE)


def _folder(text: str) -> Path:
    folder = Path(text)
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder", "name the folder of the YAML files")
    return folder


def _about(logged: LoggedDecision) -> dict[str, Any]:
    return {"place": str(logged.place), "workflow": masked_line(logged.workflow_id or "-")}


def _missing(logged: LoggedDecision, why: str) -> dict[str, Any]:
    return {**_about(logged), "why": why}


def _different(logged: LoggedDecision, difference: Difference) -> dict[str, Any]:
    told = {"logged": masked_line(str(difference.logged)), "now": masked_line(str(difference.now))}
    return {**_about(logged), "field": difference.field, **told}


def _changed(verdict: Verdict) -> dict[str, Any]:
    return {
        **_about(verdict.logged),
        "event_type": masked_line(verdict.logged.event_type),
        "before": verdict.before,
        "after": verdict.after,
        "reason": masked_line(verdict.reason),
    }
