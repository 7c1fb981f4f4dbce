"""Flink's own command-line client, which submits a job.

It is `org.apache.flink.client.cli.CliFrontend`, run by `java` directly: the scripts around it cannot live in a folder
whose name has a space.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pointsman.errors import ConfigurationError, PointsmanError
from pointsman.flink_rest import FlinkRest
from pointsman.job_health import refuse_foreign_state

ENTRY_MODULE: Final = "flink_jobs.route_messages"
SUBMIT_TIMEOUT_S: Final = 120.0
_OWN_JAR: Final = "pointsman-flink"
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
        flink_lib_dir: folder with the client's jars: those of the cluster's `lib`, flink-python, the Kafka connector,
            and pointsman-flink, whose classes travel with the job.
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


def run_client(options: SubmitOptions, archive: Path, folder: Path) -> str:
    """Have Flink's client submit the job; Flink's id of it.

    Args:
        options: what to submit, and where.
        archive: the code that travels with it.
        folder: an empty one for what the client needs on disk, but for `archive`.

    Raises:
        ConfigurationError: the jars or the java are not there; or there is state in the way that is not the job's.
        JobSubmissionError: the client failed; the text ends with what it said.
    """
    _check_jars(options.flink_lib_dir)
    configuration = _write_configuration(folder / "conf", options)
    command = _command(options, archive, configuration)
    environment = {
        **os.environ,
        "FLINK_CONF_DIR": str(configuration),
        "FLINK_OPT_DIR": str(_own_jar(folder / "opt", options.flink_lib_dir)),
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


def _command(options: SubmitOptions, archive: Path, configuration: Path) -> list[str]:
    host, port = FlinkRest(options.flink_url).host_and_port
    command = [
        options.java,
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        # The client deletes none of what it unpacks there, and to its folder in the common one, once it is another
        # user's, it could not write.
        f"-Djava.io.tmpdir={configuration}",
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


def _own_jar(folder: Path, lib: Path) -> Path:
    """The jar that Flink's client looks for and sends along with a job in Python: our own in place of flink-python.

    Every cluster has flink-python in `lib`, where thread mode needs it. The 42 MB would be written, read and hashed by
    the client, the JobManager and each TaskManager, and kept by these for every job there was.
    """
    folder.mkdir()
    shutil.copyfile(next(lib.glob(f"{_OWN_JAR}-*.jar")), folder / "flink-python-stand-in.jar")
    return folder


def _check_jars(folder: Path) -> None:
    for name in ("flink-dist", "flink-python", "flink-sql-connector-kafka", _OWN_JAR):
        if not any(folder.glob(f"{name}-*.jar")):
            remedy = "`pointsman up` makes that folder; see docs/operations.md for another cluster"
            raise ConfigurationError(f"there is no {name} jar in {folder}", remedy)


def _end(done: subprocess.CompletedProcess[str]) -> str:
    """What a person needs of a long Java trace: its causes; without any, its last lines."""
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    causes = [line for line in said if line.startswith("Caused by:") or _ERROR_LINE.match(line)]
    return "\n".join(dict.fromkeys(causes[-12:])) or "\n".join(said[-12:])
