"""Fast delivery: output is visible before its checkpoint, so a crash repeats it; nothing is lost or acted on twice."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.system import System, hot_lead
from tests.witness import eventually

pytestmark = pytest.mark.long

LEADS = 12
MODEL_LATENCY_MS = 1000
CHECKPOINT_INTERVAL_MS = 60_000
"""No checkpoint falls into the test: what moves is visible without one, and after the kill all of it is done again."""


def test_a_killed_taskmanager_loses_nothing_and_no_repeat_is_acted_on(system: System) -> None:
    with fast(system), system.model_control(latency_ms=MODEL_LATENCY_MS):
        leads = dict(system.insert(hot_lead()) for _ in range(LEADS))
        eventually(lambda: system.model_in_flight() > 0 and waiting_at_router(system, leads), every_s=0.05,
                   within_s=60, what="model calls of the router in flight")  # fmt: skip
        assert system.kill("taskmanager", signal.SIGKILL)
        eventually(lambda: system.job_restarts() > 0, within_s=60, what="the job's restart")
        eventually(lambda: all(system.mails_of(leads.values()).values()), within_s=90, what="all mails")
        eventually(lambda: all("completed" in each for each in system.outcomes_of(leads).values()), within_s=60,
                   what="all completions")  # fmt: skip
    repeats = {name: count for name, count in copies(system, leads).items() if count > 1}
    assert repeats, "the crash repeated nothing, so nothing was tested"
    eventually(lambda: refusals(system) >= len(repeats), what="a refusal of each repeat")
    assert system.mails_of(leads.values()) == dict.fromkeys(leads.values(), 1)
    for workflow in leads:
        # What the job itself writes may stand there twice, and is dropped when it is read: the lead.
        answers = [seen.type for seen in system.messages(workflow) if seen.header("ce_source").startswith("/agents/")]
        assert sorted(answers) == ["campaign.drafted", "email.sent", "lead.profiled", "lead.scored"]


@contextmanager
def fast(system: System) -> Iterator[None]:
    """The session's job in fast mode; it goes on exactly once afterwards."""
    change(system, "fast", CHECKPOINT_INTERVAL_MS)
    try:
        yield
    finally:
        change(system, "exactly-once", system.stack.options.checkpoint_interval_ms)


def change(system: System, delivery: str, interval_ms: int) -> None:
    arguments = ["--delivery", delivery, "--checkpoint-interval-ms", str(interval_ms)]
    system.cli("job", "upgrade", *arguments, within_s=120)


def waiting_at_router(system: System, leads: dict[str, str]) -> int:
    """Leads whose next agent the model is asked about."""
    decided = {(d["workflow_id"], d["event_type"]) for d in system.all_decisions()}
    events = {(seen.workflow, seen.type) for seen in system.witness.read("agent_messages")}
    return len({workflow for workflow, kind in events - decided if kind == "lead.scored" and workflow in leads})


def copies(system: System, leads: dict[str, str]) -> Counter[tuple[str, str]]:
    """How often each message of the leads stands in inboxes."""
    inboxes = sorted(topic for topic in system.witness.topics() if topic.endswith(".inbox"))
    return Counter(
        (seen.header("ce_source"), seen.header("ce_id"))
        for seen in system.witness.read(*inboxes)
        if seen.workflow in leads
    )


def refusals(system: System) -> int:
    """Repeats that agents have left alone, by their logs."""
    logs = (system.data_dir / "logs").glob("agent-*.log")
    return sum(log.read_text(errors="replace").count("a repeat is left alone") for log in logs)
