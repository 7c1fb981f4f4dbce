"""`pointsman job`: the router job on the Flink cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pointsman import job
from pointsman.errors import ConfigurationError
from pointsman.flink_rest import FlinkRest
from pointsman.job import SubmitOptions
from pointsman.job_options import PYTHON_MODES, JobOptions
from pointsman.kafka import load_catalog
from pointsman.local.java import find_java
from pointsman.settings import Settings, settings

app = typer.Typer(no_args_is_help=True)

_DEFAULTS = JobOptions(kafka_bootstrap="")
Name = Annotated[str, typer.Option(help="The job's name.")]
Directory = Annotated[
    str | None, typer.Option("--directory", help="Where savepoints go; the cluster's default when left out.")
]
Parallelism = Annotated[int, typer.Option(min=1, help="Parallel instances of the operator that decides.")]
PythonMode = Annotated[str, typer.Option(help=f"How Flink runs Python: {' or '.join(PYTHON_MODES)}.")]
Interval = Annotated[int, typer.Option(min=10, help="Milliseconds between checkpoints.")]
AlwaysAsk = Annotated[bool, typer.Option("--always-ask-model", help="Ask the model also when one candidate is left.")]
MaxSteps = Annotated[int, typer.Option(min=1, help="Messages that one workflow may have routed.")]
MaxVisits = Annotated[int, typer.Option(min=1, help="How often one agent may say the same in one workflow.")]
Lib = Annotated[Path | None, typer.Option(help="Folder with the jars of Flink's client.")]


@app.command()
def submit(
    name: Name = _DEFAULTS.name,
    parallelism: Parallelism = _DEFAULTS.parallelism,
    python_mode: PythonMode = _DEFAULTS.python_mode,
    checkpoint_interval_ms: Interval = _DEFAULTS.checkpoint_interval_ms,
    max_steps: MaxSteps = _DEFAULTS.max_steps,
    max_visits: MaxVisits = _DEFAULTS.max_visits,
    always_ask_model: AlwaysAsk = False,
    restore: Annotated[str | None, typer.Option(help="Savepoint or checkpoint to start from.")] = None,
    restore_newest: Annotated[
        Path | None, typer.Option(help="Where the cluster remembers no state: start from the newest in this folder.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start with empty state.")] = False,
    flink_lib: Lib = None,
) -> None:
    """Start the job, from the last state of its predecessor that the cluster remembers."""
    told = settings()
    live = FlinkRest(told.flink_url).live_job(name)
    if live is not None:
        typer.echo(f"{name} already runs: {live.id}")
        return
    options = JobOptions(
        kafka_bootstrap=told.kafka_bootstrap,
        kafka_security_protocol=told.kafka_security_protocol,
        kafka_sasl_mechanism=told.kafka_sasl_mechanism,
        name=name,
        parallelism=parallelism,
        python_mode=python_mode,
        checkpoint_interval_ms=checkpoint_interval_ms,
        transactional_id_prefix=name,
        min_catalog=load_catalog(told.kafka_bootstrap).sequence,
        max_steps=max_steps,
        max_visits=max_visits,
        always_ask_model=always_ask_model,
        openai_base_url=told.openai_base_url or "",
        model=told.model,
    )
    place = restore or (None if fresh else _last_state(told.flink_url, name, restore_newest))
    typer.echo(f"{name}: submitting{f', from {place}' if place else ', with empty state'}", err=True)
    typer.echo(job.submit(_submission(told, options, place, flink_lib)))


@app.command()
def status(name: Name = _DEFAULTS.name) -> None:
    """Say whether the job runs."""
    found = job.status(settings().flink_url, name)
    if found is None:
        typer.echo(f"{name}: Flink knows no such job; `pointsman job submit` starts it")
        raise typer.Exit(1)
    since = datetime.fromtimestamp(found.started_ms / 1000, UTC).isoformat(timespec="seconds")
    typer.echo(f"{name}  {found.state}  since {since}  {found.id}")


@app.command()
def savepoint(name: Name = _DEFAULTS.name, directory: Directory = None) -> None:
    """Write a savepoint; the job runs on."""
    typer.echo(job.savepoint(settings().flink_url, name, directory))


@app.command()
def stop(name: Name = _DEFAULTS.name, directory: Directory = None) -> None:
    """Stop the job with a savepoint; `submit` goes on from it."""
    typer.echo(job.stop(settings().flink_url, name, directory))


@app.command()
def cancel(name: Name = _DEFAULTS.name) -> None:
    """Stop the job at once, without a savepoint; `submit` goes on from its last checkpoint."""
    job.cancel(settings().flink_url, name)
    typer.echo(f"{name}: cancelled")


@app.command()
def upgrade(
    name: Name = _DEFAULTS.name,
    parallelism: Annotated[int | None, typer.Option(min=1, help="Another parallelism.")] = None,
    checkpoint_interval_ms: Annotated[int | None, typer.Option(min=10, help="Another interval.")] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Another limit.")] = None,
    max_visits: Annotated[int | None, typer.Option(min=1, help="Another limit.")] = None,
    directory: Directory = None,
    flink_lib: Lib = None,
) -> None:
    """Stop the job with a savepoint and start this version of the code from it; what is not given stays as it is."""
    told = settings()
    changes = {
        "parallelism": parallelism,
        "checkpoint_interval_ms": checkpoint_interval_ms,
        "max_steps": max_steps,
        "max_visits": max_visits,
        "min_catalog": load_catalog(told.kafka_bootstrap).sequence,
    }
    given: dict[str, Any] = {option: value for option, value in changes.items() if value is not None}
    options = replace(job.running_options(told.flink_url, name), **given)
    typer.echo(job.upgrade(_submission(told, options, None, flink_lib), directory))


def _last_state(flink_url: str, name: str, folder: Path | None) -> str | None:
    remembered = job.last_snapshot(flink_url, name)
    newest = job.newest_snapshot_below(folder) if folder and not remembered else None
    return str(newest) if newest else remembered


def _submission(told: Settings, options: JobOptions, place: str | None, flink_lib: Path | None) -> SubmitOptions:
    return SubmitOptions(
        job=options,
        flink_url=told.flink_url,
        flink_lib_dir=(flink_lib or told.data_dir / "jars" / "flink-lib").absolute(),
        restore_from=place,
        java=_java(told),
    )


def _java(told: Settings) -> str:
    found = find_java(told.java_home)
    if found is None:
        raise ConfigurationError("there is no java", "install a JDK 17 or newer, or set JAVA_HOME")
    return str(found.executable)
