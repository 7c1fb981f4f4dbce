"""Our jobs on a Flink cluster: pack one, submit it, look at it, stop it, move it to a new version."""

from __future__ import annotations

import shlex
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from pointsman.errors import ConfigurationError, PointsmanError, RefusedError
from pointsman.flink_client import JobSubmissionError, SubmitOptions, run_client
from pointsman.flink_rest import FlinkJob, FlinkRefusedError, FlinkRest
from pointsman.job_health import wait_until_runs
from pointsman.job_options import JobOptions

ROOT: Final = Path(__file__).parents[1]
OPERATION_TIMEOUT_S: Final = 120.0


def submit(options: SubmitOptions) -> str:
    """Submit the job and return Flink's id of it; when a job of that name lives, its id, and nothing is submitted.

    Raises:
        ConfigurationError: the jars or the java are not there.
        FlinkUnavailableError: Flink does not answer.
        JobSubmissionError: Flink's client failed; the text ends with what it said.
    """
    live = FlinkRest(options.flink_url).live_job(options.job.name)
    if live is not None:
        return live.id
    if isinstance(options.job, JobOptions):
        check_local_model(options.job)
    with tempfile.TemporaryDirectory(prefix="pointsman-submit-") as folder:
        return run_client(options, pack(Path(folder) / "pointsman-job.zip"), Path(folder))


def check_local_model(job: JobOptions) -> None:
    """Look at the local model before anything is stopped or started.

    Raises:
        ConfigurationError: its file is not there or of no use; or it shall be asked first, and there is none.
    """
    if job.local_model:
        try:
            from pointsman.local_model import read_file
        except ImportError:
            raise ConfigurationError("a local model needs numpy", "install pointsman[local-model]") from None
        read_file(Path(job.local_model))
    elif job.local_first:
        raise ConfigurationError("--local-first needs a local model", "name one with --local-model")


def pack(archive: Path, root: Path = ROOT) -> Path:
    """Write the archive that goes to the cluster: `pointsman/`, `flink_jobs/` and `sql/`, nothing else."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in _shipped(root):
            packed.write(path, path.relative_to(root))
    return archive


def status(flink_url: str, name: str) -> FlinkJob | None:
    """The job of that name, the live one before ended ones; None if the cluster remembers none."""
    rest = FlinkRest(flink_url)
    return rest.live_job(name) or next((job for job in rest.jobs() if job.name == name), None)


def savepoint(flink_url: str, name: str, directory: str | None = None) -> str:
    """Write a savepoint of the running job; its place.

    Raises:
        FlinkRefusedError: no such job runs, or the savepoint failed.
    """
    rest = FlinkRest(flink_url)
    return rest.savepoint(_live(rest, name).id, directory, OPERATION_TIMEOUT_S)


def stop(flink_url: str, name: str, directory: str | None = None, timeout_s: float = OPERATION_TIMEOUT_S) -> str:
    """Stop the running job with a savepoint, for which it has `timeout_s` seconds; its place.

    Raises:
        FlinkRefusedError: no such job runs, or the savepoint failed; then the job runs on.
    """
    rest = FlinkRest(flink_url)
    job = _live(rest, name)
    place = rest.stop(job.id, directory, timeout_s)
    rest.wait_for(f"stopping {name}", lambda: rest.live_job(name) is None, timeout_s)
    return place


def cancel(flink_url: str, name: str) -> None:
    """Stop the running job at once; its last checkpoint stays and can be restored from.

    Raises:
        FlinkRefusedError: no such job runs.
    """
    rest = FlinkRest(flink_url)
    rest.cancel(_live(rest, name).id)
    rest.wait_for(f"cancelling {name}", lambda: rest.live_job(name) is None, OPERATION_TIMEOUT_S)


def upgrade(options: SubmitOptions, directory: str | None = None) -> str:
    """Stop the running job with a savepoint and start the code of this checkout from it; the new job, when it runs.

    Raises:
        ConfigurationError: the job runs in another Python mode.
        FlinkRefusedError: no such job runs, or the savepoint failed; then the job runs on.
        JobSubmissionError: the new job does not run; the text names the savepoint to submit it from.
    """
    if isinstance(options.job, JobOptions):
        check_local_model(options.job)
        _check_python_mode(running_options(options.flink_url, options.job.name), options.job.python_mode)
    place = stop(options.flink_url, options.job.name, directory)
    try:
        job_id = submit(replace(options, restore_from=place))
        wait_until_runs(options.flink_url, job_id, OPERATION_TIMEOUT_S)
    except PointsmanError as error:
        _give_up(options.flink_url, options.job.name)
        remedy = f"the old job is stopped; mend it and run `pointsman job submit --restore {shlex.quote(place)}`"
        raise JobSubmissionError(f"{error}\n{remedy}") from error
    return job_id


def check_slots(flink_url: str, wanted: int) -> None:
    """See whether the cluster could run the job with another parallelism, before it is stopped.

    Raises:
        RefusedError: it has fewer slots than that.
    """
    rest = FlinkRest(flink_url)
    there = rest.slots()
    if there < wanted:
        remedy = "start TaskManagers first, each with one slot; on the local stack: `pointsman up --parallelism N`"
        raise RefusedError(f"Flink at {rest.url} has {there} slots, and {wanted} are needed", remedy)


def running_options(flink_url: str, name: str) -> JobOptions:
    """What the running job was told.

    Raises:
        FlinkRefusedError: no such job runs.
    """
    return JobOptions.from_parameters(parameters(flink_url, name))


def parameters(flink_url: str, name: str) -> Mapping[str, str]:
    """What the running job says that it was told, of whatever kind it is.

    Raises:
        FlinkRefusedError: no such job runs.
    """
    rest = FlinkRest(flink_url)
    return rest.parameters(_live(rest, name).id)


def _give_up(flink_url: str, name: str) -> None:
    """Cancel a job that did not come up: while it tries again and again, nothing else can take its place."""
    rest = FlinkRest(flink_url)
    with suppress(PointsmanError):
        live = rest.live_job(name)
        if live is not None:
            rest.cancel(live.id)


def _check_python_mode(runs: JobOptions, wanted: str) -> None:
    if runs.python_mode != wanted:
        what = f"{runs.name} runs in Python mode {runs.python_mode}, and its state cannot be read in mode {wanted}"
        remedy = f"upgrade it in mode {runs.python_mode}, or stop it and submit it with empty state"
        raise ConfigurationError(what, remedy)


def _live(rest: FlinkRest, name: str) -> FlinkJob:
    job = rest.live_job(name)
    if job is None:
        raise FlinkRefusedError(f"no job called {name} runs on Flink at {rest.url}; `pointsman job submit` starts it")
    return job


def _shipped(root: Path) -> Iterable[Path]:
    modules = [path for room in ("pointsman", "flink_jobs") for path in (root / room).rglob("*.py")]
    return sorted([*modules, *(root / "sql").glob("*.sql")])
