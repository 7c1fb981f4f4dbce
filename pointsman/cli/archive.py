"""`pointsman archive`: the job that keeps records as files, and what is kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pointsman import job, job_state
from pointsman.archive.files import Archive, Day, files_of
from pointsman.archive.options import ARCHIVE_JOB, ENTRY_MODULE, STATE, ArchiveOptions
from pointsman.cli.options import DryRun
from pointsman.cli.output import Output, OutputOption, print_lines, print_rows
from pointsman.errors import ConfigurationError
from pointsman.flink_client import SubmitOptions
from pointsman.flink_rest import FlinkRest
from pointsman.local.java import java_or_raise
from pointsman.settings import Settings, settings

app = typer.Typer(no_args_is_help=True)

_DEFAULTS = ArchiveOptions(kafka_bootstrap="", directory="")
_COLUMNS = ("topic", "day", "files", "bytes")
Name = Annotated[str, typer.Option(help="The job's name.")]


@app.command()
def start(
    to: Annotated[
        str | None,
        typer.Option(help="Folder or URI (s3a://bucket/path) as the TaskManagers see it; else POINTSMAN_ARCHIVE_DIR."),
    ] = None,
    name: Name = ARCHIVE_JOB,
    parallelism: Annotated[int, typer.Option(min=1, help="Parallel writers, one slot each.")] = _DEFAULTS.parallelism,
    checkpoint_interval_ms: Annotated[
        int, typer.Option(min=100, help="Milliseconds between checkpoints; each closes its files.")
    ] = _DEFAULTS.checkpoint_interval_ms,
    state: Annotated[
        str | None,
        typer.Option(help=f"Folder or URI for its checkpoints and savepoints; else the archive's own with {STATE}."),
    ] = None,
    restore: Annotated[str | None, typer.Option(help="Savepoint or checkpoint to start from.")] = None,
    login_dir: Annotated[
        str,
        typer.Option(help="Folder with a Kafka login of its own, as the TaskManagers see it; else the JVM's."),
    ] = "",
    flink_lib: Annotated[Path | None, typer.Option(help="Folder with the jars of Flink's client.")] = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Start the job, from the last state that the cluster remembers; without one it begins at the beginning."""
    told = settings()
    if (live := FlinkRest(told.flink_url).live_job(name)) is not None:
        typer.echo(f"{name} already runs: {live.id}")
        return
    options = job_options(
        told, to, state, name=name, parallelism=parallelism, checkpoint_interval_ms=checkpoint_interval_ms,
        kafka_login_dir=login_dir,
    )  # fmt: skip
    place = restore or job_state.last_snapshot(told.flink_url, name) or newest_state(options.state)
    would = "would be submitted" if dry_run else "submitting"
    typer.echo(f"{name}: {would}{f', from {place}' if place else ', with empty state'}", err=True)
    if dry_run:
        return
    _refuse_without_slots(FlinkRest(told.flink_url), parallelism)
    submission = SubmitOptions(
        job=options,
        module=ENTRY_MODULE,
        flink_url=told.flink_url,
        flink_lib_dir=(flink_lib or told.data_dir / "jars" / "flink-lib").absolute(),
        restore_from=place,
        java=java_or_raise(told.java_home),
    )
    typer.echo(job.submit(submission))


@app.command()
def status(name: Name = ARCHIVE_JOB, output: OutputOption = Output.TABLE) -> None:
    """Say whether the job runs."""
    found = job.status(settings().flink_url, name)
    if found is None:
        typer.echo(f"{name}: Flink knows no such job; `pointsman archive start` starts it")
        raise typer.Exit(1)
    since = datetime.fromtimestamp(found.started_ms / 1000, UTC).isoformat(timespec="seconds")
    told = {"name": name, "state": found.state, "since": since, "id": found.id}
    print_lines(["  ".join(told.values())], told, output)


@app.command()
def stop(
    name: Name = ARCHIVE_JOB,
    directory: Annotated[str | None, typer.Option(help="Where the savepoint goes; else the job's default.")] = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Stop the job with a savepoint, which closes its files; `start` goes on from it."""
    flink_url = settings().flink_url
    runs = ArchiveOptions.from_parameters(job.parameters(flink_url, name))
    if dry_run:
        typer.echo(f"{name} would stop with a savepoint")
        return
    typer.echo(job.stop(flink_url, name, directory or runs.savepoints or None))


@app.command("ls")
def list_days(
    archive: Annotated[Path | None, typer.Option(help="Its folder; else POINTSMAN_ARCHIVE_DIR.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List what is there, by topic and day."""
    print_rows(rows(Archive(archive_folder(archive)).days()), _COLUMNS, output, right=("files", "bytes"))


def newest_state(state: str) -> str | None:
    """The newest checkpoint or savepoint in the folder `state`; None where it is no folder of this machine."""
    newest = None if "://" in state else job_state.newest_snapshot_below(Path(state))
    return str(newest) if newest else None


def rows(days: Iterable[Day]) -> list[dict[str, Any]]:
    """A row for each topic and day."""
    found = []
    for one in days:
        sizes = [path.stat().st_size for path in files_of(one)]
        found.append({"topic": one.topic, "day": one.day.isoformat(), "files": len(sizes), "bytes": sum(sizes)})
    return found


def archive_folder(given: Path | None) -> Path:
    """The archive's folder: as given, or as the settings name it.

    Raises:
        ConfigurationError: neither names one.
    """
    folder = given or settings().archive_dir
    if folder is None:
        raise ConfigurationError("no archive is named", "give --archive, or set POINTSMAN_ARCHIVE_DIR")
    return folder


def job_options(told: Settings, to: str | None, state: str | None, **given: Any) -> ArchiveOptions:
    """What the job is told: as given, and as the settings have it.

    Raises:
        ConfigurationError: neither names a place for the files.
    """
    named = to or told.archive_dir
    if named is None:
        raise ConfigurationError("no archive is named", "give --to, or set POINTSMAN_ARCHIVE_DIR")
    directory = _place(str(named))
    return ArchiveOptions(
        kafka_bootstrap=told.kafka_bootstrap,
        directory=directory,
        state=_place(state) if state else f"{directory}{STATE}",
        kafka_security_protocol=told.kafka_security_protocol,
        kafka_sasl_mechanism=told.kafka_sasl_mechanism,
        **given,
    )


def _place(text: str) -> str:
    return text if "://" in text else str(Path(text).absolute())


def _refuse_without_slots(rest: FlinkRest, wanted: int) -> None:
    free = int(rest.get("/overview").get("slots-available", 0))
    if free < wanted:
        what = f"the job needs {wanted} free slots, and Flink at {rest.url} has {free}"
        raise ConfigurationError(what, "add a TaskManager; locally: `pointsman down`, then `pointsman up --archive`")
