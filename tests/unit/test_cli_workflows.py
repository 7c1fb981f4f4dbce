"""`pointsman workflows`: what is listed, and what is sent in a person's name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from pointsman.audit import AuditEntry, read_entry
from pointsman.cli import workflows
from pointsman.cli.options import duration
from pointsman.cli.workflows import app, chosen
from pointsman.envelope import Record, decode
from pointsman.errors import ConfigurationError, RefusedError
from pointsman.plans import PlanStatus, PlanView, TaskStatus, TaskView
from pointsman.topics import AUDIT, DECISIONS, ESCALATIONS, MESSAGES, WORKFLOW_STATE
from pointsman.workflow_states import Status
from tests.dead_letters import MemoryTopics, failed
from tests.journey_records import decision, message
from tests.unit.test_workflow_control import escalated
from tests.unit.test_workflow_states import AT, RUNNING

PARKED = replace(
    RUNNING,
    workflow_id="p",
    status=Status.WAITING_FOR_PERSON,
    where="lead.scored",
    since=AT + timedelta(hours=1),
    reason_code="step_limit",
    reason="zoe@customer.example has made 41 steps",
)


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Record]]:
    """What the topics hold; what is sent lands on them."""
    held = {
        WORKFLOW_STATE: [RUNNING.to_record(), PARKED.to_record()],
        ESCALATIONS: [escalated("m1", "p")],
        MESSAGES: [message("p", 1, "lead.scored")],
        DECISIONS: [replace_workflow_header(decision("p", 1, "lead.scored", outcome="abstained", agent=None))],
    }

    def read_all(bootstrap: str, topic: str) -> Iterator[Record]:
        yield from held.get(topic, [])

    def publish(bootstrap: str, records: list[Record], transactional_id: str) -> None:
        for record in records:
            held.setdefault(record.topic, []).append(record)

    monkeypatch.setattr(workflows, "read_all", read_all)
    monkeypatch.setattr(workflows, "publish", publish)
    return held


def replace_workflow_header(record: Record) -> Record:
    return replace(record, headers={"ce_workflowid": b"p"})


def acts(topics: dict[str, list[Record]]) -> list[AuditEntry]:
    return [entry for record in topics.get(AUDIT, []) if (entry := read_entry(record))]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_workflows_are_listed_latest_first_without_addresses(topics: dict[str, list[Record]]) -> None:
    listed = run("ls")
    assert [line.split()[0] for line in listed.splitlines()] == ["workflow", "p", "w"]
    assert "step_limit: " in listed
    assert "zoe" not in listed


def test_only_the_wanted_workflows_are_chosen() -> None:
    both = [RUNNING, PARKED]
    assert chosen(both, Status.RUNNING, None) == [RUNNING]
    assert chosen(both, None, AT + timedelta(minutes=1)) == [RUNNING]
    assert chosen(both, None, None) == [PARKED, RUNNING]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("3d", 259_200)])
def test_lengths_of_time_are_read(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "1.5h", "1w", "9999999d"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--older-than"):
        duration(text)


def test_one_workflow_is_shown_with_its_way_and_what_waits(topics: dict[str, list[Record]]) -> None:
    shown = run("show", "p").splitlines()
    assert shown[0].startswith("p  waiting_for_person  lead.scored")
    assert "lead_scoring → abstained" in shown[2]
    assert "waits for a person: lead.scored (step_limit)" in shown[-1]


def test_a_parked_message_is_sent_on_to_the_named_agent(topics: dict[str, list[Record]]) -> None:
    run("resume", "p", "--agent", "outreach")
    sent = decode(topics[MESSAGES][-1])
    assert (sent.target_agent, sent.causation_id) == ("outreach", "m1")
    assert sent.source.startswith("/operators/")
    assert [entry.subject for entry in acts(topics)] == ["p"]
    with pytest.raises(ConfigurationError, match="nothing of workflow p waits"):
        run("resume", "p")


def test_a_workflow_is_cancelled_in_the_persons_name(topics: dict[str, list[Record]]) -> None:
    run("cancel", "w", "--reason", "lost")
    sent = decode(topics[MESSAGES][-1])
    assert (sent.event_type, sent.workflow_id, sent.payload) == ("workflow.cancelled", "w", {"reason": "lost"})
    assert [entry.action.value for entry in acts(topics)] == ["workflow.cancelled"]


def test_the_latest_dead_letter_of_a_workflow_is_sent_back(
    topics: dict[str, list[Record]], monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = MemoryTopics(
        failed(workflow_id="w", id="m1"), failed(workflow_id="other"), failed(workflow_id="w", id="m2")
    )
    monkeypatch.setattr(workflows, "dead_letter_topics", lambda: letters)

    run("retry", "other")
    (sent,) = letters.sent
    assert (sent.topic, decode(sent).workflow_id, decode(sent).attempt) == (MESSAGES, "other", 1)

    with pytest.raises(RefusedError, match="other has no dead letter"):
        run("retry", "other")


def test_a_dead_letter_that_goes_nowhere_is_refused(
    topics: dict[str, list[Record]], monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = MemoryTopics(failed("agent_definitions", workflow_id="w"))
    monkeypatch.setattr(workflows, "dead_letter_topics", lambda: letters)

    with pytest.raises(RefusedError, match="nothing is sent back to"):
        run("retry", "w")
    assert letters.sent == []


def test_a_cancelled_workflow_stays_so(topics: dict[str, list[Record]]) -> None:
    topics[WORKFLOW_STATE].append(replace(PARKED, status=Status.CANCELLED).to_record())
    before = len(topics[MESSAGES])
    assert "cancelled already" in run("cancel", "p")
    with pytest.raises(ConfigurationError, match="for good"):
        run("resume", "p")
    assert len(topics[MESSAGES]) == before


@pytest.mark.parametrize("command", ["show", "cancel", "resume"])
def test_an_unknown_workflow_is_named(topics: dict[str, list[Record]], command: str) -> None:
    with pytest.raises(ConfigurationError, match="no workflow nobody"):
        run(command, "nobody")


PLAN = PlanView(
    plan_id="plan-1",
    status=PlanStatus.FAILED,
    since=AT,
    tasks=(
        TaskView(id="site", status=TaskStatus.FAILED, attempts=2, since=AT, reason="attempts_exhausted"),
        TaskView(id="crm", status=TaskStatus.DONE, attempts=1, since=AT),
    ),
)


def test_a_plan_is_shown_as_a_table(topics: dict[str, list[Record]]) -> None:
    topics[WORKFLOW_STATE].append(replace(PARKED, plan=PLAN).to_record())
    lines = run("show", "p").splitlines()
    table = lines[lines.index(next(line for line in lines if line.startswith("  plan plan-1  failed"))) + 1 :][:3]
    assert [line.split()[:3] for line in table] == [
        ["task", "status", "attempts"], ["site", "failed", "2"], ["crm", "done", "1"],
    ]  # fmt: skip
    assert "attempts_exhausted" in table[1]
    assert json.loads(run("show", "p", "--output", "json"))["plan"] == PLAN.to_json()


def test_of_a_failed_plan_the_failed_tasks_are_sent_again_and_nobody_is_asked_any_more(
    topics: dict[str, list[Record]],
) -> None:
    topics[WORKFLOW_STATE].append(replace(PARKED, plan=PLAN).to_record())
    news = escalated("m9", "p")
    topics[ESCALATIONS] = [replace(news, headers={**news.headers, "ce_type": b"plan.failed"})]

    assert "site" in run("retry", "p")
    sent = decode(topics[MESSAGES][-1])
    assert (sent.event_type, sent.payload, sent.causation_id) == ("plan.retried", {"plan_id": "plan-1"}, "m9")
    assert sent.source.startswith("/operators/")
    assert "waits for a person" not in run("show", "p")
