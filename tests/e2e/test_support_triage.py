"""The example workflow on the same stack: its four definitions alone in force, and tickets instead of leads."""

from __future__ import annotations

from contextlib import ExitStack

from tests.e2e.system import ROOT, System
from tests.witness import eventually

FOLDER = ROOT / "examples" / "support-triage" / "agent_definitions"
TICKETS = {
    "incident.opened": "The login page is down with error 503 since this morning, nobody can log in.",
    "answer.drafted": "How do I export my data to a spreadsheet?",
    "refund.proposed": "I was charged twice this month, please refund one charge.",
}


def wait_for_the_end(system: System, workflow: str) -> None:
    eventually(lambda: system.outcomes(workflow)[-1:] == ["completed"], within_s=60, what="the ticket's end")


def test_tickets_are_sorted_and_answered_by_four_yaml_files(system: System) -> None:
    job = system.job_id()
    with system.edited_definitions():
        system.cli("agents", "apply", "--prune", str(FOLDER))
        with ExitStack() as processes:
            for path in FOLDER.glob("*.yaml"):
                processes.enter_context(system.agent_process(path.stem))
            workflows = {
                end: system.send("ticket.opened", {"ticket_id": end, "subject": "Help", "text": text})
                for end, text in TICKETS.items()
            }
            for end, workflow in workflows.items():
                wait_for_the_end(system, workflow)
                assert system.witness.events(workflow) == ["ticket.opened", "ticket.sorted", end]
    assert system.job_id() == job
