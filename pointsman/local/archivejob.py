"""Submits the archive job to the stack's cluster, from its last state when there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pointsman.archive.options import ENTRY_MODULE, ArchiveOptions
from pointsman.deployment import ARCHIVER
from pointsman.flink_client import SubmitOptions
from pointsman.job import submit
from pointsman.job_state import newest_snapshot_below
from pointsman.local.addresses import Addresses
from pointsman.local.layout import Layout
from pointsman.local.routerjob import forget_checkpoints

_INTERVAL_MS: Final = 5_000


def submit_archive_job(layout: Layout, java: Path, addresses: Addresses) -> None:
    """Submit the job unless it runs.

    Raises:
        JobSubmissionError: Flink's client failed.
    """
    snapshot = newest_snapshot_below(layout.archive_state)
    job = ArchiveOptions(
        kafka_bootstrap=addresses.kafka_bootstrap,
        directory=str(layout.archive),
        state=str(layout.archive_state),
        checkpoint_interval_ms=_INTERVAL_MS,
        # The router's job runs in the same JVMs, whose login is the router's.
        kafka_security_protocol="SASL_SSL" if addresses.logins else "PLAINTEXT",
        kafka_login_dir=str(addresses.logins.folder_of(ARCHIVER)) if addresses.logins else "",
    )
    job_id = submit(
        SubmitOptions(
            job=job,
            module=ENTRY_MODULE,
            flink_url=addresses.flink_url,
            flink_lib_dir=layout.flink_lib,
            restore_from=str(snapshot) if snapshot else None,
            java=str(java),
        )
    )
    if (checkpoints := layout.archive_state / "checkpoints").is_dir():
        forget_checkpoints(checkpoints, keep={job_id, *((snapshot.parent.name,) if snapshot else ())})
