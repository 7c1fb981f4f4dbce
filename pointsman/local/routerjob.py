"""Submits the router job to the stack's cluster, from its last state when there is one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from pointsman.flink_client import JobSubmissionError, SubmitOptions
from pointsman.flink_rest import FlinkRest
from pointsman.job import OPERATION_TIMEOUT_S, running_options, stop, submit
from pointsman.job_options import JOB_NAME, JobOptions
from pointsman.job_state import newest_snapshot_below
from pointsman.kafka import load_catalog
from pointsman.local.addresses import Addresses
from pointsman.local.layout import Layout
from pointsman.local.options import StackOptions
from pointsman.settings import settings
from pointsman.shredding.process import must_encrypt
from pointsman.workflow_limits import LimitsByType


def submit_router_job(
    layout: Layout, java: Path, addresses: Addresses, options: StackOptions, told: JobOptions | None = None
) -> str:
    """Submit the job unless it runs; its id.

    Args:
        layout: the data folder.
        java: path of `java`.
        addresses: where the parts listen.
        options: what the caller chose.
        told: what the job was told before it was stopped to be rescaled; None: what the stack tells it.

    Raises:
        JobSubmissionError: Flink's client failed; where there was state, the text says how to start without it.
    """
    snapshot = newest_snapshot(layout)
    job = replace(
        told or _job_options(addresses, options),
        parallelism=options.parallelism,
        min_catalog=load_catalog(*addresses.kafka_admin).sequence,
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


def _job_options(addresses: Addresses, options: StackOptions) -> JobOptions:
    return JobOptions(
        kafka_bootstrap=addresses.kafka_bootstrap,
        kafka_security_protocol="SASL_SSL" if addresses.logins else "PLAINTEXT",
        python_mode=options.python_mode,
        encrypted=must_encrypt(settings()),
        checkpoint_interval_ms=options.checkpoint_interval_ms,
        delivery=options.delivery,
        always_ask_model=options.always_ask_model,
        limits=LimitsByType.read(options.limits_file).to_json() if options.limits_file else "",
        openai_base_url="" if options.own_model else addresses.model_url,
    )


def stop_router_job(flink_url: str, timeout_s: float = OPERATION_TIMEOUT_S) -> JobOptions | None:
    """Stop the job with a savepoint, if it runs; what it was told, so that it can go on from there told the same.

    The savepoint has `timeout_s` seconds.

    Raises:
        FlinkRefusedError: the savepoint failed; the job runs on.
        FlinkUnavailableError: Flink does not answer.
    """
    if FlinkRest(flink_url).live_job(JOB_NAME) is None:
        return None
    told = running_options(flink_url, JOB_NAME)
    stop(flink_url, JOB_NAME, timeout_s=timeout_s)
    return told


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
