"""Whether a job that was submitted does its work, and why it does not."""

from __future__ import annotations

import time
from typing import Any, Final

from pointsman.errors import ConfigurationError
from pointsman.flink_rest import ENDED, FlinkRest

_HOPELESS_FAILURES: Final = 3
_NOT_RESTORED: Final = "allowNonRestoredState"
"""What Flink's error names when there is state for an operator that the job does not have."""


def job_runs(flink_url: str, job_id: str) -> bool:
    """Whether every task of the job runs, and so whether messages are routed now.

    Raises:
        ConfigurationError: the job has ended.
        FlinkUnavailableError: Flink does not answer.
    """
    job = FlinkRest(flink_url).get(f"/jobs/{job_id}")
    if job["state"] in ENDED:
        entries = _failures(flink_url, job_id)
        why = f": {innermost_cause(entries[0]['stacktrace'])}" if entries else ""
        refuse_foreign_state(entries[0]["stacktrace"] if entries else "")
        see = f"see {flink_url}/#/job/completed/{job_id}"
        raise ConfigurationError(f"the router job is {job['state']}{why}", see)
    vertices = job["vertices"]
    return bool(vertices) and all(vertex["status"] == "RUNNING" for vertex in vertices)


def refuse_foreign_state(said: str) -> None:
    """Look whether state from before is in a job's way.

    Args:
        said: what Flink or its client says of its failure.

    Raises:
        ConfigurationError: it is.
    """
    if _NOT_RESTORED in said:
        what = "the job does not take over state that another release kept otherwise"
        raise ConfigurationError(what, "`--new-guard` goes on without it; docs/operations.md, Upgrade")


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
    recent = [entry for entry in _failures(flink_url, job_id) if entry["timestamp"] >= since_ms]
    if len(recent) >= _HOPELESS_FAILURES:
        cause = innermost_cause(recent[0]["stacktrace"])
        raise ConfigurationError(f"the router job fails again and again: {cause}", "run: pointsman logs taskmanager")


def wait_until_runs(flink_url: str, job_id: str, timeout_s: float) -> None:
    """Wait until every task of the job runs.

    Raises:
        ConfigurationError: the job has ended, or fails as often as it is restarted.
        FlinkUnavailableError: Flink does not answer, or it took longer than `timeout_s` seconds.
    """
    began_ms = int(time.time() * 1000)

    def has_come() -> bool:
        refuse_failing_job(flink_url, job_id, began_ms)
        return job_runs(flink_url, job_id)

    FlinkRest(flink_url).wait_for("starting the job", has_come, timeout_s)


def innermost_cause(stacktrace: str) -> str:
    """The line of a Java stack trace that says what went wrong first."""
    lines = stacktrace.splitlines()
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or lines or ["no reason given"])[-1 if causes else 0][:300]


def _failures(flink_url: str, job_id: str) -> list[dict[str, Any]]:
    """What made the job fail, the latest first."""
    entries: list[dict[str, Any]] = FlinkRest(flink_url).get(f"/jobs/{job_id}/exceptions")["exceptionHistory"][
        "entries"
    ]
    return entries
