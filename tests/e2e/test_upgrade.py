"""The job is stopped with a savepoint and goes on from it: nothing is lost, nothing happens twice."""

from __future__ import annotations

from tests.e2e.system import System, hot_lead
from tests.witness import eventually


def test_an_upgrade_under_traffic_loses_nothing_and_repeats_nothing(system: System) -> None:
    job = system.job_id()
    leads = dict(system.insert(hot_lead()) for _ in range(5))
    system.cli("job", "upgrade")
    leads |= dict(system.insert(hot_lead()) for _ in range(5))
    eventually(lambda: all(system.mails_to(address) for address in leads.values()), within_s=90, what="all mails")
    assert system.job_id() != job
    assert {len(system.mails_to(address)) for address in leads.values()} == {1}
    for workflow in leads:
        eventually(lambda w=workflow: system.outcomes(w)[-1:] == ["completed"], what="a completion")  # type: ignore[misc]
        assert len(system.witness.events(workflow)) == 5
        assert len(system.outcomes(workflow)) == 5


def test_a_savepoint_leaves_the_job_running(system: System) -> None:
    job = system.job_id()
    assert "savepoint" in system.cli("job", "savepoint").stdout
    assert system.job_id() == job
