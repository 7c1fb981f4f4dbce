"""`pointsman rollout`: try another catalog, model or prompt beside what is in force; put it in force or give it up."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pointsman.catalog import diff
from pointsman.catalog_history import Author
from pointsman.cli.options import By, DryRun, Yes, confirm, operator
from pointsman.cli.output import Output, OutputOption, counted, print_data, print_rows
from pointsman.errors import RefusedError
from pointsman.kafka import KafkaAdmin, read_all, tail
from pointsman.masking import masked_line
from pointsman.plaintext import one_line
from pointsman.rollouts import acts
from pointsman.rollouts.counting import FED_BY, Counts, RolloutCounts
from pointsman.rollouts.file import RolloutSpec, candidate_of, read_spec
from pointsman.rollouts.model import Rollout, Stage, Version
from pointsman.rollouts.report import report, share_of
from pointsman.rollouts.topic import KafkaRolloutTopic
from pointsman.rollouts.versions import versions_of
from pointsman.rollouts.watching import watch as watch_records
from pointsman.settings import settings
from pointsman.topics import DEFINITIONS

app = typer.Typer(no_args_is_help=True)

_LONGEST: Final = 200
_TOP_PAIRS: Final = 20


@app.command()
def start(
    file: Annotated[Path, typer.Argument(help="YAML: what to try, how, and when to give it up.")],
    *,
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Begin to try a candidate, on a copy of the traffic (shadow) or on a share of it (canary)."""
    spec = read_spec(file)
    candidate, catalog = candidate_of(spec, file.parent)
    topic, author = _topic(), _author(by)
    plan = _plan(spec, candidate)
    if dry_run:
        rollout = acts.started(plan, topic.load(), topic.rollout(), author)
        changes = diff(topic.load(), catalog) if catalog else None
        for kind in ("added", "changed", "removed") if changes else ():
            for name in getattr(changes, kind):
                typer.echo(f"{kind:8} {name}")
        typer.echo(f"would begin: {line(rollout)}")
        return
    _tell(acts.start(topic, plan, author))


@app.command()
def status(output: OutputOption = Output.TABLE) -> None:
    """Show the latest rollout: how far it is, what each side has decided, and where the candidate differs."""
    rollout = _topic().rollout()
    if rollout is None:
        raise RefusedError("there was never a rollout", "`pointsman rollout start` begins one")
    counts = count(rollout)
    told = report(rollout, counts)
    differences = told["counts"]["shadow"]["differences"]
    for one in differences:
        # Strangers choose ids and types: they may name people.
        one.update({name: masked_line(one[name]) for name in ("message_id", "workflow_id", "event_type")})
    if output is not Output.TABLE:
        print_data(told, output)
        return
    typer.echo(line(rollout))
    rows = [{"side": arm.value, **_row(tally)} for arm, tally in counts.arms.items() if tally.decisions]
    if counts.shadow.decisions:
        rows.append({"side": "shadow", **_row(counts.shadow), "differ": counts.disagreed, "skipped": counts.skipped})
    columns = ("side", "decisions", "abstained", "errors", "differ", "skipped")
    print_rows(rows, columns, output, right=columns[1:])
    pairs = counts.pairs.most_common(_TOP_PAIRS)
    differing = [{"live": live, "candidate": shadow, "messages": n} for (live, shadow), n in pairs if live != shadow]
    if differing:
        print_rows(differing, ("live", "candidate", "messages"), output, right=("messages",))
        print_rows(differences[:_TOP_PAIRS], ("message_id", "event_type", "live", "shadow"), output)


@app.command()
def ramp(
    percent: Annotated[int, typer.Argument(min=0, max=100, help="Share of the workflows that begin from now on.")],
    *,
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Have the candidate decide for a share of the workflows; those that have begun stay with what they began with."""
    if dry_run:
        typer.echo(f"would have the candidate decide for {percent} % of the workflows that begin from now on")
        return
    _tell(acts.ramp(_topic(), percent, _author(by)))


@app.command()
def promote(*, by: By = None, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Put the candidate in force for every workflow that begins from now on."""
    topic = _topic()
    if dry_run:
        typer.echo(f"would put in force: {line(_active(topic))}")
        return
    confirm("Put the candidate in force?", yes=yes)
    _tell(acts.promote(topic, _author(by)))


@app.command()
def abort(
    reason: Annotated[str, typer.Option(help="Why; kept with it.")] = "",
    *,
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Give the candidate up: what was in force before decides again, for its workflows as well."""
    topic = _topic()
    if dry_run:
        typer.echo(f"would give up: {line(_active(topic))}")
        return
    _tell(acts.end(topic, None, _author(by), one_line(reason, _LONGEST)))


@app.command()
def watch() -> None:
    """Give a candidate up as soon as its own rule says so, until the process is interrupted; run one of these."""
    bootstrap = settings().kafka_bootstrap
    records = tail(bootstrap, [DEFINITIONS, *FED_BY], from_beginning=True)
    for rollout in watch_records(KafkaRolloutTopic(bootstrap), records, lambda: datetime.now(UTC)):
        typer.echo(line(rollout), err=True)


def count(rollout: Rollout) -> Counts:
    """Everything that both sides have decided since `rollout` was started."""
    bootstrap = settings().kafka_bootstrap
    counts, existing = RolloutCounts(), KafkaAdmin(bootstrap).topics()
    since_ms = int(rollout.started_at.timestamp() * 1000)
    for name in FED_BY:
        if name in existing:
            for record in counted(read_all(bootstrap, name, since_ms=since_ms), f"reading {name}"):
                counts.feed(record)
    return counts.of(rollout.id)


def line(rollout: Rollout) -> str:
    """One rollout in one line."""
    tried = ", ".join(_tried(rollout.candidate)) or "what is in force"
    by = one_line(rollout.by, _LONGEST)
    why = f": {one_line(rollout.reason, _LONGEST)}" if rollout.reason else ""
    return f"{rollout.id}  {rollout.stage.value}, {share_of(rollout)} %, {tried}, by {by}{why}"


def _tried(version: Version) -> list[str]:
    found = [f"model {version.model}"] if version.model else []
    found += ["a prompt of its own"] if version.prompt else []
    return [*found, f"a catalog of {len(version.agents)} agents"] if version.agents else found


def _plan(spec: RolloutSpec, candidate: Version) -> acts.Plan:
    return acts.Plan(name=spec.name, candidate=candidate, stage=Stage(spec.mode), percent=spec.share, rule=spec.rule)


def _tell(rollout: Rollout) -> None:
    typer.echo(line(rollout))
    if not rollout.stage.has_two_arms:
        return
    for name, version in versions_of(rollout):
        typer.echo(f"run beside the others: python -m agents {name} --version {version}", err=True)


def _active(topic: KafkaRolloutTopic) -> Rollout:
    rollout = topic.rollout()
    if rollout is None or not rollout.stage.is_active:
        raise RefusedError("no rollout is under way", "`pointsman rollout start` begins one")
    return rollout


def _row(tally: Any) -> dict[str, Any]:
    return {"decisions": tally.decisions, "abstained": tally.abstained, "errors": tally.errors}


def _topic() -> KafkaRolloutTopic:
    return KafkaRolloutTopic(settings().kafka_bootstrap)


def _author(by: str | None) -> Author:
    return Author(by=operator(by), at=datetime.now(UTC))
