"""The job is stopped with a savepoint and goes on from it: nothing is lost, nothing happens twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.system import System, hot_lead
from tests.witness import eventually

EVERY_S = 0.5


@contextmanager
def leads_coming(system: System) -> Iterator[dict[str, str]]:
    """Leads, one after the other, for as long as the block lasts: address by workflow."""
    leads: dict[str, str] = {}
    enough = threading.Event()

    def insert() -> None:
        while not enough.wait(EVERY_S):
            workflow, address = system.insert(hot_lead())
            leads[workflow] = address

    thread = threading.Thread(target=insert)
    thread.start()
    try:
        yield leads
    finally:
        enough.set()
        thread.join()


def meanwhile_came(system: System, leads: dict[str, str], state_backend: str, flink_says: str) -> int:
    """How many leads came while the job went over to another state backend; some came before and after it, too."""
    job, first = system.job_id(), len(leads)
    eventually(lambda: len(leads) >= first + 3, what="leads before the upgrade")
    before = len(leads)
    system.cli("job", "upgrade", "--state-backend", state_backend)
    meanwhile = len(leads) - before
    eventually(lambda: len(leads) >= before + meanwhile + 3, what="leads after the upgrade")
    assert system.job_id() != job
    assert system.flink(f"/jobs/{system.job_id()}/checkpoints/config")["state_backend"] == flink_says
    return meanwhile


def test_an_upgrade_under_traffic_loses_nothing_and_repeats_nothing(system: System) -> None:
    with leads_coming(system) as leads:
        assert meanwhile_came(system, leads, "hashmap", "HashMapStateBackend") > 0
        assert meanwhile_came(system, leads, "rocksdb", "EmbeddedRocksDBStateBackend") > 0
    eventually(lambda: all(system.mails_of(leads.values()).values()), within_s=90, what="all mails")
    assert set(system.mails_of(leads.values()).values()) == {1}
    eventually(lambda: system.are_completed(leads), within_s=60, what="all completions")
    assert set(system.messages_of(leads).values()) == {5}
    assert {len(outcomes) for outcomes in system.outcomes_of(leads).values()} == {5}


def test_a_savepoint_leaves_the_job_running(system: System) -> None:
    job = system.job_id()
    assert "savepoint" in system.cli("job", "savepoint").stdout
    assert system.job_id() == job


def test_a_job_is_not_stopped_for_slots_that_the_cluster_does_not_have(system: System) -> None:
    job = system.job_id()
    assert "has 1 slots, and 3 are needed" in system.cli("job", "rescale", "3", expect=1).stderr
    assert system.job_id() == job


@pytest.mark.long
def test_a_checkpoint_that_the_state_backend_cannot_read_is_refused_before_anything_starts(system: System) -> None:
    system.cli("job", "upgrade", "--state-backend", "hashmap")
    eventually(lambda: system.flink(f"/jobs/{system.job_id()}/checkpoints")["latest"]["completed"], what="a checkpoint")
    system.cli("job", "cancel", "--yes")

    assert "submit it with --state-backend hashmap" in system.cli("job", "submit", expect=3).stderr

    as_before = ("--limits", str(system.data_dir / "workflow_limits.toml"), "--checkpoint-interval-ms", "200")
    system.cli("job", "submit", "--state-backend", "hashmap", *as_before)
    system.wait_for_router()
    system.cli("job", "upgrade", "--state-backend", "rocksdb")
    system.wait_for_router()
    workflow, address = system.insert(hot_lead())
    eventually(lambda: system.mails_to(address), within_s=60, what="a mail")
    eventually(lambda: system.are_completed([workflow]), within_s=30, what="its completion")
