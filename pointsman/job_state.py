"""Which state a job starts from: what its predecessor left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pointsman.errors import ConfigurationError
from pointsman.flink_rest import FlinkJob, FlinkRest
from pointsman.job_options import STATE_BACKENDS

_BEFORE_IT_WAS_TOLD = STATE_BACKENDS[1]
"""What Flink took for jobs of releases that did not say."""


def last_snapshot(flink_url: str, name: str) -> str | None:
    """The latest savepoint or retained checkpoint of ended jobs of that name, as far as the cluster remembers them.

    A job that starts without it starts with empty state: what waited for a model then is lost.
    """
    rest = FlinkRest(flink_url)
    # One that failed before its first checkpoint has none; the one before it does.
    return next((place for job in _ended(rest, name) if (place := rest.last_snapshot(job.id))), None)


def newest_snapshot_below(folder: Path) -> Path | None:
    """The last complete checkpoint or savepoint in `folder`'s `checkpoints` and `savepoints`; None when there is none.

    For clusters that forget their jobs when they are stopped.
    """
    complete = [*(folder / "checkpoints").glob("*/chk-*/_metadata"), *(folder / "savepoints").glob("*/_metadata")]
    newest = max(complete, key=lambda marker: marker.stat().st_mtime_ns, default=None)
    return newest.parent if newest else None


def check_state_backend(flink_url: str, name: str, place: str, wanted: str) -> None:
    """See whether a job with that state backend can start from the state that its predecessor left at `place`.

    Only a savepoint can be read by every backend. Of state that the cluster does not remember nothing is known.

    Raises:
        ConfigurationError: it is a checkpoint of another state backend.
    """
    rest = FlinkRest(flink_url)
    left_by = next((job for job in _ended(rest, name) if rest.last_snapshot(job.id) == place), None)
    if left_by is None or not PurePosixPath(place).name.startswith("chk-"):
        return
    told = rest.parameters(left_by.id)
    kept = json.loads(told["state_backend"]) if "state_backend" in told else _BEFORE_IT_WAS_TOLD
    if kept != wanted:
        what = f"the last state of {name} is a checkpoint that {kept} wrote, and {wanted} cannot read it"
        remedy = f"submit it with --state-backend {kept}, then run `pointsman job upgrade --state-backend {wanted}`"
        raise ConfigurationError(what, remedy)


def _ended(rest: FlinkRest, name: str) -> Iterator[FlinkJob]:
    return (job for job in rest.jobs() if job.name == name and job.has_ended)
