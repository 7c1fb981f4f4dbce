"""Which state a job starts from."""

import json

import pytest

from pointsman.errors import ConfigurationError
from pointsman.flink_rest import FlinkJob, FlinkRest
from pointsman.job_state import check_state_backend, last_snapshot

FLINK = "http://flink:8081"
CHECKPOINT, SAVEPOINT = "s3://state/checkpoints/a/chk-7", "s3://state/savepoints/savepoint-1"


def test_the_last_snapshot_is_that_of_the_latest_job_that_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = FlinkJob(id="f", name="r", state="FAILED", started_ms=3)
    stopped = FlinkJob(id="s", name="r", state="FINISHED", started_ms=2)
    other = FlinkJob(id="o", name="other", state="FINISHED", started_ms=1)
    snapshots = {"f": None, "s": "/savepoint", "o": "/other"}
    monkeypatch.setattr(FlinkRest, "jobs", lambda self: [failed, stopped, other])
    monkeypatch.setattr(FlinkRest, "last_snapshot", lambda self, job_id: snapshots[job_id])

    assert last_snapshot("http://flink:8081", "r") == "/savepoint"


def remembers(monkeypatch: pytest.MonkeyPatch, place: str, state_backend: str | None) -> None:
    """The cluster remembers one job `r` that left `place`; None: of a release that did not say where state is."""
    left = FlinkJob(id="c", name="r", state="CANCELED", started_ms=1)
    told = {} if state_backend is None else {"state_backend": json.dumps(state_backend)}
    monkeypatch.setattr(FlinkRest, "jobs", lambda self: [left])
    monkeypatch.setattr(FlinkRest, "last_snapshot", lambda self, job_id: place)
    monkeypatch.setattr(FlinkRest, "parameters", lambda self, job_id: told)


@pytest.mark.parametrize(("wrote", "kept"), [(None, "hashmap"), ("hashmap", "hashmap")])
def test_a_checkpoint_of_another_state_backend_is_refused_and_the_way_on_is_named(
    monkeypatch: pytest.MonkeyPatch, wrote: str | None, kept: str
) -> None:
    remembers(monkeypatch, CHECKPOINT, wrote)

    with pytest.raises(ConfigurationError, match=f"{kept} wrote, and rocksdb cannot") as refused:
        check_state_backend(FLINK, "r", CHECKPOINT, "rocksdb")
    assert f"--state-backend {kept}" in str(refused.value)


@pytest.mark.parametrize(
    ("left", "wrote"), [(CHECKPOINT, "rocksdb"), (SAVEPOINT, "hashmap"), ("/somewhere/else/chk-1", "hashmap")]
)
def test_a_checkpoint_of_the_same_any_savepoint_and_what_nobody_remembers_are_not(
    monkeypatch: pytest.MonkeyPatch, left: str, wrote: str
) -> None:
    remembers(monkeypatch, SAVEPOINT if left == SAVEPOINT else CHECKPOINT, wrote)

    check_state_backend(FLINK, "r", left, "rocksdb")
