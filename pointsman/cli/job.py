"""`pointsman job`: the router job on the Flink cluster."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pointsman import job, job_state
from pointsman.cli.options import DeliveryOption, DryRun, StateBackendOption, Yes, confirm, duration
from pointsman.cli.output import Output, OutputOption, print_lines
from pointsman.errors import ConfigurationError, RefusedError
from pointsman.flink_client import SubmitOptions
from pointsman.flink_rest import FlinkRest
from pointsman.job_options import MOST_PARALLEL, PYTHON_MODES, JobOptions
from pointsman.kafka import load_catalog
from pointsman.local.java import java_or_raise
from pointsman.routing.confidence import checked
from pointsman.settings import Settings, settings
from pointsman.shredding.process import must_encrypt
from pointsman.workflow_limits import LimitsByType

app = typer.Typer(no_args_is_help=True)

_DEFAULTS = JobOptions(kafka_bootstrap="")
Name = Annotated[str, typer.Option(help="The job's name.")]
Directory = Annotated[
    str | None, typer.Option("--directory", help="Where savepoints go; the cluster's default when left out.")
]
Parallelism = Annotated[
    int, typer.Option(min=1, max=MOST_PARALLEL, help="Parallel instances of the operator that decides.")
]
PythonMode = Annotated[str, typer.Option(help=f"How Flink runs Python: {' or '.join(PYTHON_MODES)}.")]
Interval = Annotated[int, typer.Option(min=10, help="Milliseconds between checkpoints.")]
AlwaysAsk = Annotated[bool, typer.Option("--always-ask-model", help="Ask the model also when one candidate is left.")]
MaxShown = Annotated[
    int | None, typer.Option("--max-shown", min=0, help="Of more candidates the model is shown the nearest; 0: all.")
]
Limits = Annotated[
    Path | None, typer.Option("--limits", help="File with the limits of workflows; the setting when left out.")
]
LocalModel = Annotated[
    Path | None,
    typer.Option("--local-model", help="A file of `local-model train`: decides where it is sure and no model answers."),
]
NewGuard = Annotated[
    bool,
    typer.Option(
        "--new-guard",
        help="Forget message ids and counts, which another release kept otherwise; what waits goes on.",
    ),
]
Confidence = Annotated[
    str | None,
    typer.Option(
        help="How sure the model must be: 0.7, or 0.7,lead_scoring=0.85; empty does not ask. Costs a second call where "
        "the server gives no log-probabilities (see --samples).",
        parser=checked,
    ),
]
SecondModel = Annotated[
    str | None, typer.Option(help="Model that is asked where the first is not sure; empty: nobody.")
]
Samples = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=2,
        help="Where the server gives no log-probabilities for --confidence, 2 (the default) asks twice; with 1 the "
        "choice counts, however unsure.",
    ),
]
StateTtl = Annotated[
    str | None,
    typer.Option(help="How long message ids and counts are remembered after a workflow's last message, e.g. 7d."),
]
Lib = Annotated[Path | None, typer.Option(help="Folder with the jars of Flink's client.")]


@app.command()
def submit(
    name: Name = _DEFAULTS.name,
    parallelism: Parallelism = _DEFAULTS.parallelism,
    python_mode: PythonMode = _DEFAULTS.python_mode,
    checkpoint_interval_ms: Interval = _DEFAULTS.checkpoint_interval_ms,
    delivery: DeliveryOption = None,
    state_backend: StateBackendOption = None,
    state_ttl: StateTtl = None,
    limits: Limits = None,
    always_ask_model: AlwaysAsk = False,
    max_shown: MaxShown = None,
    local_model: LocalModel = None,
    local_first: Annotated[
        bool, typer.Option("--local-first", help="Where the local model is sure, ask no other model.")
    ] = False,
    confidence: Confidence = None,
    second_model: SecondModel = None,
    samples: Samples = None,
    restore: Annotated[str | None, typer.Option(help="Savepoint or checkpoint to start from.")] = None,
    restore_newest: Annotated[
        Path | None, typer.Option(help="Where the cluster remembers no state: start from the newest in this folder.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start with empty state.")] = False,
    new_guard: NewGuard = False,
    flink_lib: Lib = None,
    *,
    dry_run: DryRun = False,
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
        encrypted=must_encrypt(told),
        parallelism=parallelism,
        python_mode=python_mode,
        checkpoint_interval_ms=checkpoint_interval_ms,
        delivery=delivery.value if delivery else _DEFAULTS.delivery,
        transactional_id_prefix=name,
        state_backend=state_backend.value if state_backend else _DEFAULTS.state_backend,
        state_ttl_s=_seconds(state_ttl) if state_ttl else _DEFAULTS.state_ttl_s,
        min_catalog=load_catalog(told.kafka_bootstrap).sequence,
        limits=_limits(limits or told.workflow_limits),
        always_ask_model=always_ask_model,
        max_shown=max_shown if max_shown is not None else _DEFAULTS.max_shown,
        local_model=str(local_model.absolute()) if local_model else "",
        local_first=local_first,
        confidence=confidence or "",
        second_model=second_model or "",
        samples=samples or _DEFAULTS.samples,
        openai_base_url=told.openai_base_url or "",
        model=told.model,
    )
    place = restore or (None if fresh else _last_state(told.flink_url, name, restore_newest))
    if place:
        job_state.check_state_backend(told.flink_url, name, place, options.state_backend)
    would = "would be submitted" if dry_run else "submitting"
    typer.echo(f"{name}: {would}{f', from {place}' if place else ', with empty state'}", err=True)
    if dry_run:
        return
    typer.echo(job.submit(replace(_submission(told, options, place, flink_lib), new_guard=new_guard)))


@app.command()
def status(name: Name = _DEFAULTS.name, output: OutputOption = Output.TABLE) -> None:
    """Say whether the job runs."""
    found = job.status(settings().flink_url, name)
    if found is None:
        typer.echo(f"{name}: Flink knows no such job; `pointsman job submit` starts it")
        raise typer.Exit(1)
    since = datetime.fromtimestamp(found.started_ms / 1000, UTC).isoformat(timespec="seconds")
    print_lines([f"{name}  {found.state}  since {since}  {found.id}"], {**asdict(found), "since": since}, output)


@app.command()
def savepoint(name: Name = _DEFAULTS.name, directory: Directory = None, *, dry_run: DryRun = False) -> None:
    """Write a savepoint; the job runs on."""
    if dry_run:
        _would(name, "write a savepoint")
        return
    typer.echo(job.savepoint(settings().flink_url, name, directory))


@app.command()
def stop(name: Name = _DEFAULTS.name, directory: Directory = None, *, dry_run: DryRun = False) -> None:
    """Stop the job with a savepoint; `submit` goes on from it."""
    if dry_run:
        _would(name, "stop with a savepoint")
        return
    typer.echo(job.stop(settings().flink_url, name, directory))


@app.command()
def cancel(name: Name = _DEFAULTS.name, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Stop the job at once, without a savepoint; `submit` goes on from its last checkpoint."""
    if dry_run:
        _would(name, "be cancelled")
        return
    confirm(f"Stop {name} at once, without a savepoint?", yes=yes)
    job.cancel(settings().flink_url, name)
    typer.echo(f"{name}: cancelled")


@app.command()
def upgrade(
    name: Name = _DEFAULTS.name,
    parallelism: Annotated[int | None, typer.Option(min=1, max=MOST_PARALLEL, help="Another parallelism.")] = None,
    checkpoint_interval_ms: Annotated[int | None, typer.Option(min=10, help="Another interval.")] = None,
    delivery: DeliveryOption = None,
    state_backend: StateBackendOption = None,
    state_ttl: StateTtl = None,
    limits: Limits = None,
    max_shown: MaxShown = None,
    local_model: LocalModel = None,
    no_local_model: Annotated[bool, typer.Option("--no-local-model", help="Go on without the local model.")] = False,
    local_first: Annotated[
        bool | None, typer.Option("--local-first/--no-local-first", help="Whether the local model is asked first.")
    ] = None,
    confidence: Confidence = None,
    second_model: SecondModel = None,
    samples: Samples = None,
    new_guard: NewGuard = False,
    directory: Directory = None,
    flink_lib: Lib = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Stop the job with a savepoint and start this version of the code from it; what is not given stays as it is."""
    told = settings()
    before = job.running_options(told.flink_url, name)
    changes = {
        "parallelism": parallelism,
        "checkpoint_interval_ms": checkpoint_interval_ms,
        "delivery": delivery.value if delivery else None,
        "state_backend": state_backend.value if state_backend else None,
        "state_ttl_s": _seconds(state_ttl) if state_ttl else None,
        "limits": _limits(limits) if limits else None,
        "max_shown": max_shown,
        "local_model": str(local_model.absolute()) if local_model else "" if no_local_model else None,
        "local_first": False if no_local_model and local_first is None else local_first,
        "confidence": confidence,
        "second_model": second_model,
        # Of a job that nobody asked how sure it was, what it has is no wish of anybody's.
        "samples": samples or (_DEFAULTS.samples if confidence and not before.confidence else None),
        "min_catalog": load_catalog(told.kafka_bootstrap).sequence,
        "encrypted": must_encrypt(told),
    }
    given: dict[str, Any] = {option: value for option, value in changes.items() if value is not None}
    options = replace(before, **given)
    if dry_run:
        changed = [f"{option} {getattr(before, option)} → {value}" for option, value in given.items()]
        _would(name, f"be upgraded with {', '.join(changed)}")
        return
    submission = replace(_submission(told, options, None, flink_lib), new_guard=new_guard)
    typer.echo(job.upgrade(submission, directory))


@app.command()
def rescale(
    parallelism: Annotated[int, typer.Argument(min=1, max=MOST_PARALLEL, help="Parallel instances from now on.")],
    name: Name = _DEFAULTS.name,
    directory: Directory = None,
    flink_lib: Lib = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Stop the job with a savepoint and go on from it with another parallelism; needs as many slots."""
    told = settings()
    before = job.running_options(told.flink_url, name)
    if before.parallelism == parallelism:
        typer.echo(f"{name} runs with parallelism {parallelism} already")
        return
    job.check_slots(told.flink_url, parallelism)
    if dry_run:
        _would(name, f"be rescaled from {before.parallelism} to {parallelism}")
        return
    options = replace(before, parallelism=parallelism, min_catalog=load_catalog(told.kafka_bootstrap).sequence)
    typer.echo(job.upgrade(_submission(told, options, None, flink_lib), directory))


def _would(name: str, what: str) -> None:
    found = job.status(settings().flink_url, name)
    if found is None or found.has_ended:
        raise RefusedError(f"{name} does not run, so it cannot {what}", "`pointsman job submit` starts it")
    typer.echo(f"{name} ({found.id}) would {what}")


def _last_state(flink_url: str, name: str, folder: Path | None) -> str | None:
    remembered = job_state.last_snapshot(flink_url, name)
    newest = job_state.newest_snapshot_below(folder) if folder and not remembered else None
    return str(newest) if newest else remembered


def _seconds(state_ttl: str) -> int:
    """A duration in seconds; not 0, which Flink would read as for ever."""
    if (seconds := int(duration(state_ttl, "--state-ttl").total_seconds())) < 1:
        raise ConfigurationError("--state-ttl: 0 would keep everything for ever", "write a time, e.g. 7d")
    return seconds


def _limits(file: Path) -> str:
    return LimitsByType.read(file).to_json()


def _submission(told: Settings, options: JobOptions, place: str | None, flink_lib: Path | None) -> SubmitOptions:
    return SubmitOptions(
        job=options,
        flink_url=told.flink_url,
        flink_lib_dir=(flink_lib or told.data_dir / "jars" / "flink-lib").absolute(),
        restore_from=place,
        java=java_or_raise(told.java_home),
    )
