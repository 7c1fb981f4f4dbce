"""The local stack in daily use: up twice is harmless, what dies is restarted, down leaves nothing but state."""

from __future__ import annotations

import json
from signal import SIGKILL

from tests.e2e.system import System
from tests.witness import eventually


def running(system: System) -> dict[str, int]:
    return {row["name"]: row["pid"] for row in json.loads(system.cli("status", "-o", "json").stdout)}


def pid_of(system: System, name: str) -> int:
    """Its process id, 0 while it is down."""
    return next(row.pid for row in system.stack.status() if row.name == name)


def test_up_on_a_running_stack_changes_nothing(system: System) -> None:
    before, job = running(system), system.job_id()
    system.cli("up")
    assert running(system) == before
    assert system.job_id() == job


def test_a_killed_agent_is_started_again(system: System) -> None:
    before = running(system)["agent-lead_scoring"]
    system.kill("agent-lead_scoring", SIGKILL)
    # Not by the command, which fails while a program is down.
    eventually(lambda: pid_of(system, "agent-lead_scoring") not in {before, 0}, within_s=20, what="the agent's restart")


def test_logs_hold_no_address_of_a_lead(system: System) -> None:
    logs = "".join(file.read_text(errors="replace") for file in (system.data_dir / "logs").glob("*.log"))
    assert logs
    assert [address for address in system.known_addresses() if address in logs] == []


def test_an_operation_on_leads_that_takes_long_is_not_in_mongods_log(system: System) -> None:
    took_long = {"email": system.early_address, "$where": "sleep(200) || true"}  # mongod takes 100 ms for long
    assert list(system.database.leads.find(took_long))
    assert system.early_address not in (system.data_dir / "logs" / "mongod.log").read_text()


def test_a_program_s_log_is_shown(system: System) -> None:
    log = (system.data_dir / "logs" / "kafka.log").read_text()
    assert system.cli("logs", "kafka", "-n", "1").stdout.strip() in log


def test_an_unknown_program_is_named_with_the_nearest_one(system: System) -> None:
    assert "kafka" in system.cli("logs", "kafca", expect=3).stderr


def test_a_taskmanager_has_python_ready_before_a_job_needs_it(system: System) -> None:
    log = system.data_dir / "logs" / "taskmanager-1.log"
    eventually(lambda: "Python is warm" in log.read_text(), within_s=60, what="a word about Python")
