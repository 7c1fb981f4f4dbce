"""`pointsman eval`: how well messages are routed, and labelled messages to measure it with."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress

from pointsman.audit import read_entry
from pointsman.cli.decisions import records_between
from pointsman.cli.leads import with_store
from pointsman.cli.local_model import CatalogFolder, labelled_choices, load_definitions, warn_of_seen
from pointsman.cli.options import FromArchive
from pointsman.cli.output import Output, OutputOption, print_lines, print_rows
from pointsman.decision_log import read_decisions
from pointsman.errors import ConfigurationError
from pointsman.evaluation.dataset import Example, read_dataset, write_dataset
from pointsman.evaluation.feedback import Feedback, feedback
from pointsman.evaluation.harvesting import harvested
from pointsman.evaluation.importing import CsvColumns, from_csv
from pointsman.evaluation.measures import figures
from pointsman.evaluation.report import html_page, run_data, terminal_lines
from pointsman.evaluation.running import Result, run
from pointsman.evaluation.runs import Run, compare, load_baseline, load_run, save_run
from pointsman.evaluation.thresholds import as_option, proposals
from pointsman.kafka import read_all
from pointsman.models.factory import chat_model
from pointsman.models.opinions import OpinionsModel
from pointsman.models.port import ChatModel
from pointsman.routing.confidence import checked
from pointsman.routing.router import Router, RoutingOptions
from pointsman.runtime.ledger import EFFECTS
from pointsman.settings import Settings, settings
from pointsman.store import Document, DocumentStore
from pointsman.suppressions import SUPPRESSIONS
from pointsman.topics import AUDIT, DECISIONS, MESSAGES

if TYPE_CHECKING:
    from pointsman.local_model.model import LocalModel

EXIT_BELOW: Final = 1
_MOST_MAILS: Final = 1_000_000

app = typer.Typer(no_args_is_help=True)


@app.command("run")
def evaluate(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Labelled messages, JSON Lines.")],
    catalog: CatalogFolder = None,
    model: Annotated[str | None, typer.Option(help="Chat model to ask; POINTSMAN_MODEL if left out.")] = None,
    local_model: Annotated[Path | None, typer.Option("--local-model", help="A local model.")] = None,
    local_only: Annotated[
        bool, typer.Option("--local-only", help="Ask no chat model, as in an outage: the local model, else nobody.")
    ] = False,
    confidence: Annotated[
        str, typer.Option(help="How sure the model must be, as for `job submit`; 0 only notes it.", parser=checked)
    ] = "",
    second_model: Annotated[str, typer.Option(help="Model that is asked where the first is not sure.")] = "",
    samples: Annotated[int, typer.Option(min=1, max=2, help="As for `job submit`.")] = 2,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Questions under way at the same time.")] = 8,
    save: Annotated[Path | None, typer.Option(help="Keep the run in this file, for --baseline.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one page.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="A kept run of the same messages, to compare with.")] = None,
    fail_under: Annotated[
        float | None, typer.Option(min=0, max=1, help="Exit 1 when less than this share is right.")
    ] = None,
    output: OutputOption = Output.TABLE,
    *,
    fail_on_broken: Annotated[
        bool, typer.Option("--fail-on-broken", help="Exit 1 when something is wrong that the baseline had right.")
    ] = False,
) -> None:
    """Decide on every message of a data set and compare with its answers; a local model is asked first."""
    if fail_on_broken and baseline is None:
        raise typer.BadParameter("--fail-on-broken needs --baseline")
    examples, definitions = read_dataset(dataset), load_definitions(catalog)
    before = load_baseline(baseline, examples) if baseline else None
    local = _local_model(local_model)
    if local is not None:
        from pointsman.local_model.judging import seen_among

        warn_of_seen(seen_among(local, labelled_choices(examples, definitions)))
    options = RoutingOptions(
        local_first=local is not None, confidence=confidence, second_model=second_model, samples=samples
    )
    router = Router(definitions, options, local)
    told = settings() if model is None else settings().model_copy(update={"model": model})
    results = asyncio.run(_run(examples, router, None if local_only else told, concurrency))
    done = Run(
        dataset=dataset.name,
        decider=_decider(local, None if local_only else told),
        catalog=definitions.version,
        results=results,
    )
    comparison = compare(before, done) if before else None
    print_lines(terminal_lines(done, comparison), run_data(done, comparison), output)
    if save:
        save_run(done, save)
    if html:
        _write(html, html_page(done, comparison))
    if (fail_under is not None and (figures(results).accuracy.value or 0.0) < fail_under) or (
        fail_on_broken and comparison and comparison.broken
    ):
        raise typer.Exit(EXIT_BELOW)


@app.command()
def threshold(
    run_file: Annotated[Path, typer.Argument(metavar="RUN", help="A run that `eval run --confidence 0 --save` kept.")],
    accuracy: Annotated[
        float, typer.Option(min=0.5, max=1, help="Share of right choices among those that are acted on.")
    ] = 0.95,
    output: OutputOption = Output.TABLE,
) -> None:
    """Propose how sure the model must be, from labelled messages; nothing is adopted."""
    found = proposals(load_run(run_file).results, accuracy)
    if not found[0].before.total:
        raise ConfigurationError(
            f"no choice in {run_file} says how sure it is",
            "run `pointsman eval run DATASET --confidence 0 --save FILE`",
        )
    rows = [
        {"agent": each.agent or "(all others)", "threshold": each.threshold, "right": str(each.before),
         "acted on": str(each.acted_on), "right of those": str(each.right)}
        for each in found
    ]  # fmt: skip
    print_rows(rows, ("agent", "threshold", "right", "acted on", "right of those"), output)
    if output is Output.TABLE:
        typer.echo(f"pointsman job upgrade --confidence {as_option(found)}")


@app.command("import")
def import_csv(
    csv: Annotated[Path, typer.Option(help="A CSV file in UTF-8 with a heading.")],
    text: Annotated[str, typer.Option(help="Column of the text.")],
    label: Annotated[str, typer.Option(help="Column of the agent's name; empty means nobody.")],
    event_type: Annotated[str, typer.Option(help="Type of the messages to be made.")],
    output: Annotated[Path, typer.Option(help="The data set to make.")],
    field: Annotated[str, typer.Option(help="Name under which the payload holds the text.")] = "text",
    nobody: Annotated[list[str] | None, typer.Option(help="A label that means nobody; may be given again.")] = None,
) -> None:
    """Make a data set of labelled text."""
    columns = CsvColumns(text=text, label=label, nobody=nobody or ())
    count = write_dataset(output, from_csv(csv, columns, event_type, field))
    typer.echo(f"{count} examples in {output}")


@app.command()
def examples(
    output: Annotated[Path, typer.Option(help="The data set to make; it will hold personal data.")],
    source: Annotated[
        list[str] | None,
        typer.Option(help="Only labels from there, e.g. correction, person, outcome, decision; may be given again."),
    ] = None,
    archive: FromArchive = None,
) -> None:
    """Collect labelled messages: people's corrections and answers, what became of mails, and what models chose."""
    messages, decisions = (records_between(topic, None, None, archive) for topic in (MESSAGES, DECISIONS))
    found = harvested(messages, read_decisions(decisions), what_came_of_it())
    # `outcome` means every `outcome:…`.
    chosen = [each for each in found if not source or each.source.partition(":")[0] in source or each.source in source]
    typer.echo(f"{write_dataset(output, chosen)} examples in {output}")
    for name, count in sorted(Counter(each.source for each in chosen).items()):
        typer.echo(f"  {count:>6}  {name}")


def what_came_of_it() -> Feedback:
    """Corrections and mails' outcomes, from Kafka and the store that the settings name."""
    entries = filter(None, map(read_entry, read_all(settings().kafka_bootstrap, AUDIT)))

    async def read(store: DocumentStore) -> tuple[list[Document], list[Document]]:
        return await store.find(EFFECTS, {}, limit=_MOST_MAILS), await store.find(SUPPRESSIONS, {}, limit=_MOST_MAILS)

    effects, suppressions = with_store(read)
    return feedback(entries, effects, suppressions)


async def _run(examples: Sequence[Example], router: Router, told: Settings | None, concurrency: int) -> list[Result]:
    model: ChatModel | None = OpinionsModel(chat_model(told)) if told else None
    try:
        with Progress(console=Console(stderr=True), disable=not Console(stderr=True).is_terminal) as bars:
            task = bars.add_task("deciding", total=len(examples))
            return await run(
                examples, router, model, concurrency=concurrency, on_done=lambda: bars.update(task, advance=1)
            )
    finally:
        if model is not None:
            await model.close()


def _decider(local: LocalModel | None, told: Settings | None) -> str:
    first = f"local model {local.version}, " if local else ""
    return f"{first}{f'then {told.model}' if local and told else told.model if told else 'no chat model'}"


def _local_model(path: Path | None) -> LocalModel | None:
    if path is None:
        return None
    try:
        from pointsman.local_model import load
    except ImportError:
        raise ConfigurationError("a local model needs numpy", "install pointsman[local-model]") from None
    return load(path)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", "choose another --html") from None
