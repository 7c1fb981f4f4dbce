"""`pointsman local-model propose`: what a nightly run trains, and what it would change. It adopts nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pointsman.cli.decisions import load as load_decisions
from pointsman.cli.decisions import records_between
from pointsman.cli.evaluation import what_came_of_it
from pointsman.cli.local_model import (
    Accuracy,
    CatalogFolder,
    Keep,
    Output,
    app,
    labelled_choices,
    load_definitions,
    trained,
)
from pointsman.cli.options import FromArchive, Since, span
from pointsman.cli.output import counted
from pointsman.decision_log import LoggedDecision, Place
from pointsman.errors import ConfigurationError
from pointsman.evaluation.dataset import Example, once, read_dataset, write_dataset
from pointsman.evaluation.harvesting import harvested
from pointsman.evaluation.logged_threshold import logged_threshold
from pointsman.topics import MESSAGES

if TYPE_CHECKING:
    from pointsman.local_model.proposing import Decided

EXIT_NOT_BETTER: Final = 1
_MOST_FEATURES: Final = 40_000


@app.command()
def propose(
    output: Output,
    datasets: Annotated[
        list[Path] | None, typer.Argument(metavar="[DATASET]...", help="Labelled messages, JSON Lines.")
    ] = None,
    current: Annotated[
        Path | None, typer.Option("--current", help="The local model in force, if there is one.")
    ] = None,
    since: Since = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of labels: all in it count, and what --since finds is kept there."),
    ] = None,
    catalog: CatalogFolder = None,
    accuracy: Accuracy = 0.95,
    keep: Keep = None,
    archive: FromArchive = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one page.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report for programs.")] = None,
    *,
    fail_unless_better: Annotated[
        bool, typer.Option("--fail-unless-better", help="Exit 1 when what is proposed is not better.")
    ] = False,
) -> None:
    """Train a new local model and say what would change; nothing is adopted: that is `job upgrade --local-model`.

    With --since it reads what happened: the decision log, people's corrections, what became of mails.
    """
    from pointsman.local_model import load, save
    from pointsman.local_model.proposal_report import proposal_data, proposal_lines, proposal_page
    from pointsman.local_model.proposing import proposed

    if current is not None and output.resolve() == current.resolve():
        raise ConfigurationError("--output is the model in force", "choose another file: nothing is adopted unseen")
    in_force = load(current) if current else None
    happened = _happened(since, archive) if since else None
    examples = _examples(datasets or [], labels, happened.labels if happened else [])
    labelled = labelled_choices(examples, load_definitions(catalog))
    proposal = proposed(
        labelled,
        in_force,
        lambda some: trained(some, accuracy, keep, _MOST_FEATURES),
        accuracy=accuracy,
        log=happened.log if happened else None,
    )
    proposal = replace(proposal, after=replace(proposal.after, model=save(proposal.after.model, output)))
    chat = logged_threshold(happened.decisions, happened.labels, accuracy) if happened else None
    sources = Counter(example.source for example in examples)
    for line in proposal_lines(proposal, sources, chat):
        typer.echo(line)
    typer.echo(f"nothing was adopted; to do so: pointsman job upgrade --local-model {output}")
    if html:
        _write(html, proposal_page(proposal, sources, chat), "--html")
    if json_file:
        _write(json_file, json.dumps(proposal_data(proposal, sources, chat), indent=2) + "\n", "--json")
    if fail_unless_better and not proposal.is_better:
        raise typer.Exit(EXIT_NOT_BETTER)


@dataclass(frozen=True, kw_only=True)
class Happened:
    """What was read.

    Attributes:
        labels: labels from what happened.
        decisions: the decision log.
        log: the decisions of it that a model can make again.
    """

    labels: list[Example]
    decisions: list[LoggedDecision]
    log: list[Decided]


def _happened(since: str, archive: Path | None) -> Happened:
    from pointsman.local_model.proposing import decided

    first, _ = span(since, None)
    messages = [*counted(records_between(MESSAGES, first, None, archive), f"reading {MESSAGES}")]
    decisions = load_decisions(since, None, None, archive)
    at = {Place.of(record): record for record in messages}
    pairs = [(one, at[one.message_place]) for one in decisions if one.message_place in at]
    log = [found for one, record in pairs if (found := decided(one, record)) is not None]
    return Happened(labels=harvested(messages, decisions, what_came_of_it()), decisions=decisions, log=log)


def _examples(datasets: Sequence[Path], labels: Path | None, found: list[Example]) -> list[Example]:
    """All labelled messages, each once with its last label; `found` is kept in the folder `labels`, if there is one."""
    if labels is not None:
        _keep(labels, found)
    collected = _read_all(sorted(labels.glob("*.jsonl"))) if labels else found
    examples = once([*_read_all(datasets), *collected])
    if not examples:
        remedy = "name a DATASET, --labels, or --since with which something was decided"
        raise ConfigurationError("there are no labelled messages to train on", remedy)
    return examples


def _keep(labels: Path, found: list[Example]) -> None:
    """Write what is new in `found` to a file of its own: nights overlap, and labels are personal data."""
    if not labels.is_dir():
        raise ConfigurationError(f"{labels} is no folder", "make it, readable by you alone: labels are personal data")
    known = {one.id: (one.answer, one.source) for one in _read_all(sorted(labels.glob("*.jsonl")))}
    new = [one for one in found if known.get(one.id) != (one.answer, one.source)]
    if new:
        write_dataset(labels / f"labels-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.jsonl", new)


def _read_all(files: Iterable[Path]) -> list[Example]:
    return [example for path in files for example in read_dataset(path)]


def _write(path: Path, text: str, option: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", f"choose another {option}") from None
