"""`pointsman agents`: what the folder holds, what is in force on Kafka, and the way from one to the other.

Data goes to stdout, problems go to stderr.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pointsman.a2a_card import agent_card
from pointsman.avro.codec import process_registry
from pointsman.avro.subjects import problems as schema_problems
from pointsman.catalog_history import Author, named
from pointsman.cli.agent_history import catalogs, history
from pointsman.cli.catalog_changes import change_data, change_lines, summary
from pointsman.cli.options import By, DryRun, Yes, confirm, operator
from pointsman.cli.output import Output, OutputOption, print_data, print_rows
from pointsman.cli.watching import follow
from pointsman.definitions.checks import check
from pointsman.definitions.loader import LoadResult, load_folder
from pointsman.definitions.model import AgentDefinition
from pointsman.definitions.problems import Problem
from pointsman.definitions.schema import schema_text
from pointsman.definitions.words import did_you_mean
from pointsman.definitions.writing import to_yaml
from pointsman.deployment import helm_values
from pointsman.errors import ConfigurationError
from pointsman.local.admission import admit_to_local_stack
from pointsman.publish import CatalogTopic, KafkaCatalogTopic, Move, planned, planned_removal
from pointsman.publish import apply as publish_definitions
from pointsman.publish import remove as remove_definition
from pointsman.settings import settings
from pointsman.topics import inbox

EXIT_INVALID = 3

app = typer.Typer(no_args_is_help=True)
app.command("history")(history)

Folder = Annotated[
    Path | None,
    typer.Argument(metavar="[DIR]", help="Folder of the YAML files; POINTSMAN_DEFINITIONS_DIR if left out."),
]
Prune = Annotated[bool, typer.Option("--prune", help="Also remove agents that the folder does not hold.")]


@app.command()
def validate(folder: Folder = None) -> None:
    """Check every definition of a folder, and against the schema registry if there is one; exit 3 if one is wrong."""
    result = _loaded(_folder(folder))
    if not _can_follow(result):
        raise typer.Exit(EXIT_INVALID)
    warned = f", {len(result.warnings)} warnings" if result.warnings else ""
    typer.echo(f"{len(result.definitions)} agent definitions are valid{warned}")


@app.command("diff")
def show_diff(
    folder: Folder = None,
    *,
    prune: Prune = False,
    version: Annotated[
        str | None, typer.Option(help="Show what has changed since this catalog was in force, instead of a folder.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what an apply would change on Kafka, or what has changed since an earlier catalog."""
    before = catalog_topic().load()
    if version is not None:
        move = Move(before=named(catalogs(), version), after=before)
    else:
        result = _loaded(_folder(folder), beside=() if prune else before.definitions.values())
        move = planned(before, result.definitions, prune=prune)
    if output is Output.TABLE:
        _echo(change_lines(move))
    else:
        print_data(change_data(move), output)


@app.command()
def apply(
    folder: Folder = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and apply again whenever a file changes.")] = False,
    prune: Prune = False,
    by: By = None,
) -> None:
    """Put the folder's definitions in force; nothing is applied when anything is wrong."""
    path = _folder(folder)
    if dry_run:
        show_diff(path, prune=prune)
    elif watch:
        follow(path, lambda: _apply(path, prune=prune, by=by))
    elif not _apply(path, prune=prune, by=by):
        raise typer.Exit(EXIT_INVALID)


@app.command("helm-values")
def show_helm_values(folder: Folder = None) -> None:
    """Print the folder's agents, their topics and Kafka users as the Helm chart reads them."""
    result = _loaded(_folder(folder))
    typer.echo("# Written by `pointsman agents helm-values`.")
    typer.echo(to_yaml(helm_values(result.definitions)), nl=False)


@app.command("ls")
def list_agents(*, output: OutputOption = Output.TABLE) -> None:
    """List the agents in force."""
    catalog = catalog_topic().load()
    if not catalog.definitions:
        typer.echo("no agents are in force: `pointsman agents apply`", err=True)
    agents = [_in_short(definition) for definition in catalog.definitions.values()]
    if output is not Output.TABLE:
        print_data({"sequence": catalog.sequence, "version": catalog.version, "agents": agents}, output)
    elif agents:
        print_rows(agents, ("name", "version", "accepts", "emits"), output)


@app.command()
def show(name: str, *, output: OutputOption = Output.YAML) -> None:
    """Show the definition of one agent in force."""
    definition = _in_force(name)
    if output is Output.TABLE:
        _print_definition(definition)
    else:
        print_data(definition.model_dump(mode="json", exclude_none=True), output)


@app.command()
def card(name: str, *, output: OutputOption = Output.JSON) -> None:
    """Print the A2A agent card of one agent in force."""
    print_data(agent_card(_in_force(name), settings().kafka_bootstrap), output)


@app.command()
def remove(name: str, *, by: By = None, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Take one agent out of the catalog; what is queued in its inbox is still worked off."""
    topic = catalog_topic()
    move = planned_removal(topic.load(), name)
    if not dry_run:
        confirm(f"Take {name[:80]} out of the catalog?", yes=yes)
        move = remove_definition(topic, name, author(by))
    _complain(check([*move.after.definitions.values()]))
    _echo(change_lines(move))
    if dry_run:
        return
    typer.echo(summary(move))
    typer.echo(f"{inbox(name)} stays: its processes work off what is queued, stop them when it is empty", err=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the definition format, for editors."""
    typer.echo(schema_text(), nl=False)


def catalog_topic() -> CatalogTopic:
    """The catalog of the cluster that the settings name."""
    return KafkaCatalogTopic(settings().kafka_bootstrap)


def author(by: str | None) -> Author:
    """Who changes definitions now."""
    return Author(by=operator(by), at=datetime.now(UTC))


def _apply(folder: Path, *, prune: bool, by: str | None) -> bool:
    """Apply once; False when something in the folder is wrong, which is then said and not applied."""
    # Before Kafka is asked: a wrong file is told also when no broker runs.
    if not _valid(load_folder(folder), with_warnings=False):
        return False
    topic = catalog_topic()
    others = () if prune else topic.load().definitions.values()
    result = load_folder(folder, beside=others)
    if not (_valid(result) and _can_follow(result, others)):
        return False
    move = publish_definitions(topic, result.definitions, prune=prune, author=author(by))
    _echo(change_lines(move))
    typer.echo(summary(move))
    if admit_to_local_stack(settings().kafka_bootstrap, move.after.definitions) and move.changes.added:
        typer.echo("new agents have logins and rights; `pointsman up` starts them", err=True)
    return True


def _folder(given: Path | None) -> Path:
    return given or settings().definitions_dir


def _loaded(folder: Path, beside: Iterable[AgentDefinition] = ()) -> LoadResult:
    result = load_folder(folder, beside=beside)
    if not _valid(result):
        raise typer.Exit(EXIT_INVALID)
    return result


def _valid(result: LoadResult, *, with_warnings: bool = True) -> bool:
    _complain(result.problems if with_warnings or result.errors else ())
    if result.errors:
        typer.echo(f"{len(result.errors)} errors: nothing is applied", err=True)
    return not result.errors


def _can_follow(result: LoadResult, beside: Iterable[AgentDefinition] = ()) -> bool:
    """Whether the schemas can follow those in the registry; where none is configured there is nothing to follow."""
    registry = process_registry()
    if registry is None:
        return True
    named = {definition.name for definition in result.definitions}
    others = [definition for definition in beside if definition.name not in named]
    errors = schema_problems(registry, [*result.definitions, *others], result.sources)
    _complain(errors)
    if errors:
        typer.echo(f"{len(errors)} errors: nothing is applied", err=True)
    return not errors


def _complain(problems: Sequence[Problem]) -> None:
    for problem in problems:
        typer.secho(str(problem), fg="red" if problem.severity == "error" else "yellow", err=True)


def _echo(lines: Iterable[str]) -> None:
    colours = {"+": "green", "-": "red", "~": "yellow"}
    for line in lines:
        typer.secho(line, fg=colours.get(line[:1]))


def _in_force(name: str) -> AgentDefinition:
    agents = catalog_topic().load().definitions
    if name not in agents:
        hint = did_you_mean(name, agents) or ": `pointsman agents ls` names them"
        raise ConfigurationError(f"the catalog has no agent {name[:80]}{hint}")
    return agents[name]


def _in_short(definition: AgentDefinition) -> dict[str, Any]:
    return {
        "name": definition.name,
        "version": definition.version,
        "accepts": [entry.type for entry in definition.accepts],
        "emits": [entry.type for entry in definition.emits],
        "description": definition.description,
    }


def _print_definition(definition: AgentDefinition) -> None:
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for field, value in definition.model_dump(mode="json", exclude_none=True).items():
        # Text, not markup: a description may hold square brackets.
        table.add_row(field, Text(value if isinstance(value, str) else to_yaml(value).rstrip("\n")))
    Console().print(table)
