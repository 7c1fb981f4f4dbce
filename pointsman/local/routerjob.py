"""Submits the router job to the stack's cluster, from its last state when there is one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from pointsman.errors import ConfigurationError
from pointsman.flink_rest import ENDED, FlinkRest
from pointsman.job import JobSubmissionError, SubmitOptions, newest_snapshot_below, submit
from pointsman.job_options import JobOptions
from pointsman.kafka import load_catalog
from pointsman.local.addresses import Addresses
from pointsman.local.layout import Layout
from pointsman.local.options import StackOptions
from pointsman.workflow_limits import LimitsByType

_HOPELESS_FAILURES: Final = 3


def submit_router_job(layout: Layout, java: Path, addresses: Addresses, options: StackOptions) -> str:
    """Submit the job unless it runs; its id.

    Raises:
        JobSubmissionError: Flink's client failed; where there was state, the text says how to start without it.
    """
    snapshot = newest_snapshot(layout)
    job = JobOptions(
        kafka_bootstrap=addresses.kafka_bootstrap,
        kafka_security_protocol="SASL_SSL" if addresses.logins else "PLAINTEXT",
        parallelism=options.parallelism,
        python_mode=options.python_mode,
        checkpoint_interval_ms=options.checkpoint_interval_ms,
        delivery=options.delivery,
        min_catalog=load_catalog(*addresses.kafka_admin).sequence,
        always_ask_model=options.always_ask_model,
        limits=LimitsByType.read(options.limits_file).to_json() if options.limits_file else "",
        openai_base_url="" if options.own_model else addresses.model_url,
    )
    try:
        job_id = submit(
            SubmitOptions(
                job=job,
                flink_url=addresses.flink_url,
                flink_lib_dir=layout.flink_lib,
                # A plain path: Flink would take the percent signs of a URI for part of the name.
                restore_from=str(snapshot) if snapshot else None,
                java=str(java),
            )
        )
    except JobSubmissionError as error:
        if snapshot is None:
            raise
        remedy = f"to start the job without its last state, delete {layout.checkpoints} and {layout.savepoints}"
        raise JobSubmissionError(f"{error}\n{remedy}") from error
    forget_checkpoints(layout.checkpoints, keep={job_id, *((snapshot.parent.name,) if snapshot else ())})
    return job_id


def job_runs(flink_url: str, job_id: str) -> bool:
    """Whether every task of the job runs, and so whether messages are routed now.

    Raises:
        ConfigurationError: the job has ended.
        FlinkUnavailableError: Flink does not answer.
    """
    job = FlinkRest(flink_url).get(f"/jobs/{job_id}")
    if job["state"] in ENDED:
        raise ConfigurationError(f"the router job is {job['state']}", f"see {flink_url}/#/job/completed/{job_id}")
    vertices = job["vertices"]
    return bool(vertices) and all(vertex["status"] == "RUNNING" for vertex in vertices)


def refuse_failing_job(flink_url: str, job_id: str, since_ms: int) -> None:
    """Find a job that fails as often as it is restarted.

    Args:
        flink_url: REST address of the JobManager.
        job_id: Flink's id of the job.
        since_ms: failures before this moment, in milliseconds since 1970, do not count.

    Raises:
        ConfigurationError: the job is such a one; the text has the innermost cause.
        FlinkUnavailableError: Flink does not answer.
    """
    entries = FlinkRest(flink_url).get(f"/jobs/{job_id}/exceptions")["exceptionHistory"]["entries"]
    recent = [entry for entry in entries if entry["timestamp"] >= since_ms]
    if len(recent) >= _HOPELESS_FAILURES:
        cause = innermost_cause(recent[0]["stacktrace"])
        raise ConfigurationError(f"the router job fails again and again: {cause}", "run: pointsman logs taskmanager")


def innermost_cause(stacktrace: str) -> str:
    """The line of a Java stack trace that says what went wrong first."""
    lines = stacktrace.splitlines()
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or lines or ["no reason given"])[-1 if causes else 0][:300]


def newest_snapshot(layout: Layout) -> Path | None:
    """The last complete checkpoint or savepoint of the job; None when there is none.

    A savepoint that stopped the job is later than its last checkpoint, and what was written between the two must not
    be written again.
    """
    return newest_snapshot_below(layout.flink)


def forget_checkpoints(checkpoints: Path, keep: set[str]) -> None:
    """Delete the checkpoints of all jobs but those whose ids are to `keep`."""
    for folder in checkpoints.iterdir():
        if folder.name not in keep:
            shutil.rmtree(folder, ignore_errors=True)
