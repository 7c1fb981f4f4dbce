"""Whether a job that was submitted came up, and what is said where it did not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from pointsman import job
from pointsman.catalog import Catalog
from pointsman.cli.main import app
from pointsman.errors import ConfigurationError, RefusedError
from pointsman.flink_client import JobSubmissionError, SubmitOptions
from pointsman.flink_rest import FlinkJob, FlinkRefusedError, FlinkRest, FlinkUnavailableError
from pointsman.job_health import wait_until_runs
from pointsman.job_options import JobOptions

URL = "http://flink:8081"
TRACE = (
    "RestoreException: no\n\tat x\nCaused by: java.lang.IllegalStateException: There is no operator for the state a-b"
)


def failures(*at_ms: int, trace: str = TRACE) -> dict[str, Any]:
    entries = [{"timestamp": moment, "stacktrace": trace} for moment in at_ms]
    return {"exceptionHistory": {"entries": entries}}


def seen(*statuses: str, state: str = "RUNNING") -> dict[str, Any]:
    return {"state": state, "vertices": [{"status": status} for status in statuses]}


@pytest.fixture
def flink(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Flink as a list of answers to the question how the job is; the last of them for good."""

    def answers(*jobs: dict[str, Any], failed: dict[str, Any] | None = None, slots: int = 1) -> None:
        left = list(jobs)

        def get(self: FlinkRest, path: str) -> Any:
            if path == "/overview":
                return {"slots-total": slots}
            if path.endswith("/exceptions"):
                return failed or failures()
            return left.pop(0) if len(left) > 1 else left[0]

        monkeypatch.setattr(FlinkRest, "get", get)

    return answers


def test_a_job_is_waited_for_until_every_task_runs(flink: Callable[..., None]) -> None:
    flink(seen(), seen("RUNNING", "INITIALIZING"), seen("RUNNING", "RUNNING"))
    wait_until_runs(URL, "j", 5)


def test_a_job_that_cannot_take_its_state_over_says_why(flink: Callable[..., None]) -> None:
    flink(seen("FAILED", state="FAILED"), failed=failures(1))
    with pytest.raises(ConfigurationError, match=r"is FAILED: .*no operator for the state"):
        wait_until_runs(URL, "j", 5)


def test_state_of_another_guard_is_refused_with_the_way_on(flink: Callable[..., None]) -> None:
    flink(
        seen("FAILED", state="FAILED"),
        failed=failures(1, trace="Caused by: a.B: set the --allowNonRestoredState option"),
    )
    with pytest.raises(ConfigurationError, match=r"another release kept.*--new-guard"):
        wait_until_runs(URL, "j", 5)


def test_a_job_that_fails_as_often_as_it_starts_is_not_waited_for(flink: Callable[..., None]) -> None:
    later = 10**14
    flink(seen("CREATED", state="RESTARTING"), failed=failures(later, later, later))
    with pytest.raises(ConfigurationError, match="fails again and again"):
        wait_until_runs(URL, "j", 5)


def test_a_job_that_takes_too_long_is_given_up(flink: Callable[..., None]) -> None:
    flink(seen("SCHEDULED"))
    with pytest.raises(FlinkUnavailableError, match="starting the job took longer"):
        wait_until_runs(URL, "j", 0)


def test_an_upgrade_whose_job_does_not_come_up_names_the_savepoint(
    flink: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = JobOptions(kafka_bootstrap="k:9092")
    monkeypatch.setattr(job, "running_options", lambda *_: told)
    monkeypatch.setattr(job, "stop", lambda *_: "file:/savepoint-7")
    restored: list[str | None] = []

    def submit(options: SubmitOptions) -> str:
        restored.append(options.restore_from)
        return "j"

    monkeypatch.setattr(job, "submit", submit)
    flink(seen("FAILED", state="FAILED"), failed=failures(1))
    cancelled: list[str] = []
    monkeypatch.setattr(
        FlinkRest, "jobs", lambda self: [FlinkJob(id="j", name=told.name, state="RESTARTING", started_ms=1)]
    )
    monkeypatch.setattr(FlinkRest, "cancel", lambda self, job_id: cancelled.append(job_id))
    with pytest.raises(JobSubmissionError, match=r"(?s)no operator for the state.*--restore file:/savepoint-7"):
        job.upgrade(SubmitOptions(job=told, flink_url=URL, flink_lib_dir=job.ROOT))
    assert (restored, cancelled) == (["file:/savepoint-7"], ["j"])


def test_more_instances_than_slots_are_refused(flink: Callable[..., None]) -> None:
    flink(seen(), slots=3)
    job.check_slots(URL, 3)
    with pytest.raises(RefusedError, match="has 3 slots, and 4 are needed"):
        job.check_slots(URL, 4)


def rescale(monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[list[SubmitOptions], Any]:
    """`pointsman job rescale` beside a job of parallelism 2: what was submitted, and what was said."""
    return changed(monkeypatch, "rescale", *words)


def changed(monkeypatch: pytest.MonkeyPatch, *words: str, **runs: Any) -> tuple[list[SubmitOptions], Any]:
    """A command of `pointsman job` beside a job that runs with `runs`: what was submitted, and what was said."""
    live = FlinkJob(id="j", name="pointsman-router", state="RUNNING", started_ms=1)
    before = JobOptions(kafka_bootstrap="k:9092", parallelism=2, limits="{}", checkpoint_interval_ms=777, **runs)
    submitted: list[SubmitOptions] = []

    def upgrade(options: SubmitOptions, directory: str | None) -> str:
        submitted.append(options)
        return "new"

    monkeypatch.setattr(FlinkRest, "jobs", lambda self: [live])
    monkeypatch.setattr(FlinkRest, "parameters", lambda self, job_id: before.parameters())
    monkeypatch.setattr("pointsman.cli.job.load_catalog", lambda _: Catalog(sequence=9))
    monkeypatch.setattr(job, "upgrade", upgrade)
    return submitted, CliRunner().invoke(app, ["job", *words])


def test_a_rescaled_job_is_told_the_same_but_its_parallelism(
    flink: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    flink(seen(), slots=4)
    (submitted,), _ = rescale(monkeypatch, "4")
    told = submitted.job
    assert isinstance(told, JobOptions)
    assert (told.parallelism, told.checkpoint_interval_ms, told.min_catalog) == (4, 777, 9)


@pytest.mark.parametrize("words", [("2",), ("4", "--dry-run")])
def test_nothing_is_stopped_when_nothing_is_to_change(
    flink: Callable[..., None], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    flink(seen(), slots=4)
    submitted, said = rescale(monkeypatch, *words)
    assert (submitted, said.exit_code) == ([], 0)


def test_a_job_is_not_stopped_for_slots_that_are_not_there(
    flink: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    flink(seen(), slots=3)
    submitted, said = rescale(monkeypatch, "4")
    assert submitted == []
    assert isinstance(said.exception, RefusedError)


@pytest.mark.parametrize(
    ("runs", "words", "samples"),
    [
        ({"samples": 1}, ("--confidence", "0.7"), 2),
        ({"samples": 1, "confidence": "0.6"}, ("--confidence", "0.7"), 1),
        ({"samples": 2}, ("--confidence", "0.7", "--samples", "1"), 1),
        ({"samples": 1}, (), 1),
    ],
)
def test_a_job_that_is_first_to_say_how_sure_it_is_asks_twice_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, runs: dict[str, Any], words: tuple[str, ...], samples: int
) -> None:
    (submitted,), _ = changed(monkeypatch, "upgrade", *words, **runs)
    assert isinstance(submitted.job, JobOptions)
    assert submitted.job.samples == samples


def test_a_job_that_does_not_run_cannot_be_rescaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FlinkRest, "jobs", lambda self: [])
    assert isinstance(CliRunner().invoke(app, ["job", "rescale", "4"]).exception, FlinkRefusedError)
