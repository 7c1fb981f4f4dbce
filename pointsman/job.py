"""Our jobs on a Flink cluster: pack one, submit it, look at it, stop it, move it to a new version.

Submitting runs Flink's own command-line client (`org.apache.flink.client.cli.CliFrontend`) by `java` directly: the
scripts around it cannot live in a folder whose name has a space. Everything else goes over Flink's REST API.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from pointsman.errors import ConfigurationError, PointsmanError, RefusedError
from pointsman.flink_rest import FlinkJob, FlinkRefusedError, FlinkRest
from pointsman.job_health import refuse_foreign_state, wait_until_runs
from pointsman.job_options import JobOptions

ENTRY_MODULE: Final = "flink_jobs.route_messages"
ROOT: Final = Path(__file__).parents[1]
SUBMIT_TIMEOUT_S: Final = 120.0
OPERATION_TIMEOUT_S: Final = 120.0
_SUBMITTED: Final = re.compile(r"Job has been submitted with JobID ([0-9a-f]{32})")
_ERROR_LINE: Final = re.compile(r"[\w.]+(Error|Exception)\b")
# What Java 17 must be told for Flink's client; the same as in Flink's stock configuration.
_OPENED: Final = (
    "java.base/java.lang", "java.base/java.lang.reflect", "java.base/java.net", "java.base/java.io",
    "java.base/java.nio", "java.base/sun.nio.ch", "java.base/java.text", "java.base/java.time", "java.base/java.util",
    "java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic", "java.base/java.util.concurrent.locks",
)  # fmt: skip


class JobSubmissionError(PointsmanError):
    """Flink's client did not submit the job."""


class Job(Protocol):
    """What a job is told."""

    @property
    def name(self) -> str:
        """The job's name on the cluster."""
        ...

    def arguments(self) -> list[str]:
        """As command-line arguments of its module."""
        ...


@dataclass(frozen=True, kw_only=True)
class SubmitOptions:
    """How to submit the job.

    Attributes:
        job: what the job is told.
        module: the module that builds the job.
        flink_url: REST address of the JobManager.
        flink_lib_dir: folder with the client's jars: those of the cluster's `lib`, flink-python, the Kafka connector.
        restore_from: savepoint or retained checkpoint to start from; None starts with empty state.
        java: the java to run.
        python: the Python that runs the job module on this machine.
        new_guard: leave out what the state holds for another guard (`GUARD_STATE` in `flink_jobs/sql_files.py`).
        checkpoint_dir: where the job's checkpoints go, a URI; None leaves it to the cluster's configuration.
    """

    job: Job
    flink_url: str
    flink_lib_dir: Path
    module: str = ENTRY_MODULE
    restore_from: str | None = None
    java: str = "java"
    python: str = sys.executable
    new_guard: bool = False
    checkpoint_dir: str | None = None


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
        archive = pack(Path(folder) / "pointsman-job.zip")
        configuration = _write_configuration(Path(folder) / "conf", options)
        said = _run_client(_command(options, archive, configuration), options, configuration)
    return said


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


def _command(options: SubmitOptions, archive: Path, configuration: Path) -> list[str]:
    host, port = FlinkRest(options.flink_url).host_and_port
    command = [
        options.java,
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENED),
        f"-Dlog4j.configurationFile={(configuration / 'log4j.properties').as_uri()}",
        "-cp",
        str(options.flink_lib_dir / "*"),
        "org.apache.flink.client.cli.CliFrontend",
        "run",
        "--detached",
        "--jobmanager",
        f"{host}:{port}",
        "--pyModule",
        options.module,
        "--pyFiles",
        str(archive),
        "--pyClientExecutable",
        options.python,
    ]
    restore = ["--fromSavepoint", options.restore_from] if options.restore_from else []
    skip = ["--allowNonRestoredState"] if options.restore_from and options.new_guard else []
    return [*command, *restore, *skip, *options.job.arguments()]


def _write_configuration(folder: Path, options: SubmitOptions) -> Path:
    """The client's own configuration folder: it must not depend on one that happens to be on this machine."""
    host, port = FlinkRest(options.flink_url).host_and_port
    settings: dict[str, str | int] = {"rest.address": host, "rest.port": port}
    if options.checkpoint_dir:
        settings["execution.checkpointing.dir"] = options.checkpoint_dir
        settings["execution.checkpointing.savepoint-dir"] = options.checkpoint_dir
    folder.mkdir()
    lines = [f"{name}: {json.dumps(value)}\n" for name, value in settings.items()]
    (folder / "config.yaml").write_text("".join(lines), encoding="utf-8")
    (folder / "log4j.properties").write_text("rootLogger.level = ERROR\n", encoding="utf-8")
    return folder


def _run_client(command: list[str], options: SubmitOptions, configuration: Path) -> str:
    _check_jars(options.flink_lib_dir)
    environment = {
        **os.environ,
        "FLINK_CONF_DIR": str(configuration),
        "FLINK_OPT_DIR": str(options.flink_lib_dir),
        "FLINK_LIB_DIR": str(options.flink_lib_dir),
    }
    try:
        done = subprocess.run(  # noqa: S603 (our own command line, no shell)
            command,
            env=environment,
            cwd=configuration,
            capture_output=True,
            text=True,
            timeout=SUBMIT_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigurationError(f"there is no {options.java}", "install a JDK 17 or newer, or set JAVA_HOME") from None
    except subprocess.TimeoutExpired:
        raise JobSubmissionError(f"Flink's client did not finish within {SUBMIT_TIMEOUT_S:g} s") from None
    submitted = _SUBMITTED.search(done.stdout)
    if submitted is None:
        refuse_foreign_state(done.stderr + done.stdout)
        raise JobSubmissionError(f"Flink's client did not submit the job (exit code {done.returncode}):\n{_end(done)}")
    return submitted.group(1)


def _check_jars(folder: Path) -> None:
    for name in ("flink-dist", "flink-python", "flink-sql-connector-kafka"):
        if not any(folder.glob(f"{name}-*.jar")):
            remedy = "`pointsman up` makes that folder; see docs/operations.md for another cluster"
            raise ConfigurationError(f"there is no {name} jar in {folder}", remedy)


def _end(done: subprocess.CompletedProcess[str]) -> str:
    """What a person needs of a long Java trace: its causes; without any, its last lines."""
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    causes = [line for line in said if line.startswith("Caused by:") or _ERROR_LINE.match(line)]
    return "\n".join(dict.fromkeys(causes[-12:])) or "\n".join(said[-12:])
