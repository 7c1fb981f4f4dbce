"""`pointsman local-model`: train a small classifier on labelled messages, judge it, and propose a better one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pointsman.catalog import Catalog
from pointsman.cli.output import Output as HowToPrint
from pointsman.cli.output import OutputOption, print_lines
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.errors import ConfigurationError
from pointsman.evaluation.dataset import Example, once, read_dataset
from pointsman.settings import settings

if TYPE_CHECKING:
    from pointsman.local_model.labelled import Labelled
    from pointsman.local_model.model import LocalModel

app = typer.Typer(no_args_is_help=True)

Datasets = Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Labelled messages, JSON Lines.")]
ModelFile = Annotated[Path, typer.Argument(metavar="FILE", help="A local model.")]
CatalogFolder = Annotated[
    Path | None, typer.Option("--catalog", help="Folder of the definitions; POINTSMAN_DEFINITIONS_DIR if left out.")
]
Output = Annotated[Path, typer.Option("--output", help="Where the local model goes; what is there is replaced.")]
Accuracy = Annotated[
    float, typer.Option(min=0.5, max=1, help="It acts where this share of its choices on unseen messages is right.")
]
Keep = Annotated[
    float | None,
    typer.Option(min=0.01, max=1, help="Instead: it acts on this share of the messages that belong to an agent."),
]


@app.command()
def train(
    datasets: Datasets,
    output: Output,
    catalog: CatalogFolder = None,
    accuracy: Accuracy = 0.95,
    keep: Keep = None,
    most_features: Annotated[int, typer.Option(min=100, help="Upper bound of the vocabulary.")] = 40_000,
) -> None:
    """Train a local model; calibration, thresholds and figures come from messages that it has not seen."""
    from pointsman.local_model.files import save

    labelled = labelled_choices(read_all(datasets), load_definitions(catalog))
    model = save(trained(labelled, accuracy, keep, most_features), output)
    for line in described(model):
        typer.echo(line)


@app.command("eval")
def evaluate(
    file: ModelFile, datasets: Datasets, catalog: CatalogFolder = None, output: OutputOption = HowToPrint.TABLE
) -> None:
    """Judge a local model on labelled messages; those that it was trained on flatter it."""
    from pointsman.local_model.files import load
    from pointsman.local_model.judging import judged

    found = judged(load(file), labelled_choices(read_all(datasets), load_definitions(catalog)))
    took = f"{found.mean_us / 1000:.2f} ms per message"
    print_lines([*figure_lines("messages that leave a choice", found.figures), took], asdict(found), output)
    warn_of_seen(found.seen)


@app.command()
def show(file: ModelFile, output: OutputOption = HowToPrint.TABLE) -> None:
    """Say what a local model was trained on, how good it is and when it acts."""
    from pointsman.local_model.files import load

    model = load(file)
    data = {"version": model.version, "thresholds": dict(model.thresholds), "facts": dict(model.facts)}
    print_lines(described(model), data, output)


def warn_of_seen(count: int) -> None:
    """Say that figures flatter a local model, if they do."""
    if count:
        typer.secho(f"it was trained on {count} of these messages: the figures flatter it", fg="yellow", err=True)


def load_definitions(folder: Path | None) -> Catalog:
    """The catalog that a folder of definitions makes.

    Raises:
        InvalidDefinitionsError: a definition is wrong.
    """
    return Catalog.of(load_folder_or_raise(folder or settings().definitions_dir).definitions)


def read_all(datasets: Sequence[Path]) -> list[Example]:
    """The examples of all files; a message that stands in several of them once, with its last label.

    Raises:
        ConfigurationError: one cannot be read or holds something else.
    """
    return once(example for path in datasets for example in read_dataset(path))


def labelled_choices(examples: Sequence[Example], catalog: Catalog) -> list[Labelled]:
    """The examples that leave a choice.

    Raises:
        ConfigurationError: what a local model needs is not installed.
    """
    try:
        from pointsman.local_model.labelled import choices
    except ImportError:
        raise _missing("numpy") from None
    return choices(examples, catalog)


def trained(labelled: Sequence[Labelled], accuracy: float, keep: float | None, most_features: int) -> LocalModel:
    """A local model trained on `labelled`.

    Raises:
        ConfigurationError: scikit-learn is not installed, or there is too little to train on.
    """
    try:
        from pointsman.local_model.training import Target, train
    except ImportError:
        raise _missing("scikit-learn") from None
    target = Target(keep=keep, accuracy=None) if keep is not None else Target(accuracy=accuracy)
    return train(labelled, target, most_features=most_features)


def described(model: LocalModel) -> list[str]:
    """A local model in a few lines."""
    facts = model.facts
    lines = [
        f"local model {model.version}: {facts['examples']} messages, {len(model.linear.vocabulary)} features",
        f"chosen for: {facts['target']}",
    ]
    held_out = facts["held_out"]
    lines += figure_lines("held out", held_out["all"])
    for event_type, figures in held_out["by_type"].items():
        threshold = model.thresholds.get(event_type, 2.0)
        when = f"acts from {threshold:.2f}" if threshold <= 1 else "never acts: too few examples, or too many wrong"
        lines += figure_lines(f"{event_type} ({when})", figures)
    return lines


def figure_lines(title: str, figures: Mapping[str, Any]) -> list[str]:
    """Figures of a local model, one per line."""
    names = {
        "right_agent": "right agent, of messages that belong to one",
        "acted_on": "acted on, of all",
        "acted_on_right": "right, of those acted on",
        "in_scope_kept": "acted on, of messages that belong to an agent",
        "nobody_caught": "left alone, of messages for nobody",
    }
    shown = {name: "none" if figures[name] is None else f"{figures[name]:.1%}" for name in names}
    told = [f"  {shown[name]:>7}  {text}" for name, text in names.items()]
    return [f"{title}: {figures['messages']} messages", *told]


def _missing(package: str) -> ConfigurationError:
    return ConfigurationError(f"{package} is not installed", "install pointsman[local-model]")
