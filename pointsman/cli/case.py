"""`pointsman case`: keep a workflow as a regression test, and run it without Kafka."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from pointsman.cases import Case, Result, make_case, parse_case, run_case
from pointsman.catalog import Catalog
from pointsman.cli.agent_history import catalogs
from pointsman.cli.new_file import new_file
from pointsman.cli.output import Output, OutputOption, print_rows
from pointsman.cli.replay import load_pairs
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.errors import ConfigurationError
from pointsman.masking import masked_line

app = typer.Typer(no_args_is_help=True)


@app.command()
def save(
    workflow: Annotated[str, typer.Argument(help="The workflow's id: the lead's, where a lead began it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to make, or a folder to make it in.")],
    *,
    unmask: Annotated[bool, typer.Option("--unmask", help="Keep what people wrote and who they are.")] = False,
) -> None:
    """Save a workflow as a case: messages, decisions, definitions and the model's answers."""
    pairs, gone = load_pairs(None, None, workflow)
    if not pairs or gone:
        what = f"{len(gone)} messages of workflow {masked_line(workflow)} are no longer on Kafka"
        nothing = f"nothing was decided on a workflow {masked_line(workflow)}"
        raise ConfigurationError(what if gone else nothing, "`pointsman workflows ls` lists those that there are")
    in_order = sorted(pairs, key=lambda pair: pair[0].step)
    case = make_case(workflow, in_order, catalogs(), mask=not unmask)
    path = output / f"{_file_name(workflow)}.case.json" if output.is_dir() else output
    with new_file(path) as file:
        file.write((json.dumps(case.to_json(), ensure_ascii=False, indent=1) + "\n").encode())
    typer.echo(f"{len(case.steps)} decisions in {path}")


@app.command()
def run(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Cases, or folders of *.case.json.")],
    catalog: Annotated[
        Path | None, typer.Option(help="Decide by the definitions of this folder instead of those of then.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Decide on every message of the cases again, without Kafka or a model; exit 1 when a decision has changed."""
    definitions = Catalog.of(load_folder_or_raise(catalog).definitions) if catalog else None
    rows = [row for path in paths(files) for row in _rows(path, definitions)]
    print_rows(rows, ("case", "message", "event_type", "result"), output, right=("message",))
    changed = sum(row["result"] != "same" for row in rows)
    typer.echo(f"{len(rows)} decisions, {changed} changed", err=True)
    if changed:
        raise typer.Exit(1)


def paths(given: list[Path]) -> list[Path]:
    """The files that `given` names, those in folders among them.

    Raises:
        ConfigurationError: a folder holds no case.
    """
    found: list[Path] = []
    for path in given:
        inside = sorted(path.glob("*.case.json")) if path.is_dir() else [path]
        if not inside:
            raise ConfigurationError(f"{path} holds no *.case.json", "name files, or save cases there")
        found += inside
    return found


def read_case(path: Path) -> Case:
    """The case in a file.

    Raises:
        ConfigurationError: it cannot be read, or holds none.
    """
    try:
        return parse_case(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({type(error).__name__})", "check the path") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.what}", error.remedy) from None


def _rows(path: Path, catalog: Catalog | None) -> list[dict[str, Any]]:
    return [_row(path, result) for result in run_case(read_case(path), catalog)]


def _row(path: Path, result: Result) -> dict[str, Any]:
    changes = [f"{one.field}: {one.logged or '-'} → {one.now or '-'}" for one in result.differences]
    told = result.problem or "; ".join(changes) or "same"
    return {"case": path.name, "message": result.number, "event_type": result.event_type, "result": masked_line(told)}


def _file_name(workflow: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", workflow)[:100]
