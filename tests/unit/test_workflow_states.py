"""Where a workflow stands, put together from what the router and the agents wrote."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.deadletters import dead_letter
from pointsman.envelope import Record
from pointsman.errors import ErrorReason
from pointsman.escalations import escalation
from pointsman.plans import PlanStatus, PlanView, TaskStatus, TaskView
from pointsman.topics import WORKFLOW_STATE
from pointsman.workflow_states import Status, WorkflowState, latest_states

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
RUNNING = WorkflowState(
    workflow_id="w",
    status=Status.RUNNING,
    where="scorer",
    since=AT,
    steps=3,
    message_id="m3",
    reason_code="single_candidate",
    reason="the only agent that takes this event",
    catalog="c1",
)

PLAN = PlanView(
    plan_id="p",
    status=PlanStatus.RUNNING,
    since=AT,
    tasks=(TaskView(id="site", status=TaskStatus.FAILED, attempts=2, since=AT, reason="timeout"),),
)


def letter(message_id: str = "m3", stage: str = "agent/scorer", workflow: str = "w") -> Record:
    headers = {"ce_id": message_id.encode(), "ce_workflowid": workflow.encode()}
    return dead_letter(
        Record(topic="agents.scorer.inbox", key=b"w", value=b"{}", headers=headers),
        reason=ErrorReason.AGENT_FAULT,
        stage=stage,
        detail="the agent raised KeyError",
        attempts=1,
        first_at=AT,
        now=AT + timedelta(minutes=1),
        catalog="c1",
    )


@given(
    st.builds(
        WorkflowState,
        workflow_id=st.text(st.characters(codec="utf-8")),
        status=st.sampled_from(Status),
        where=st.text(st.characters(codec="utf-8")),
        since=st.datetimes().map(lambda time: time.replace(microsecond=0, tzinfo=UTC)),
        steps=st.integers(1, 10**9),
        message_id=st.text(st.characters(codec="utf-8")),
        reason_code=st.text(st.characters(codec="utf-8")),
        reason=st.text(st.characters(codec="utf-8")),
        catalog=st.text(st.characters(codec="utf-8")),
        plan=st.none() | st.just(PLAN),
    )
)
def test_a_state_is_read_as_it_was_written(state: WorkflowState) -> None:
    assert WorkflowState.from_record(state.to_record()) == state


@given(st.none() | st.binary() | st.sampled_from([b"{}", b"[]", b"1", b'{"workflow_id": 1, "since": 3}', b"[" * 9999]))
def test_what_is_no_state_is_left_out(value: bytes | None) -> None:
    assert latest_states([Record(topic=WORKFLOW_STATE, key=b"w", value=value, headers={})], []) == {}


def test_the_latest_state_counts() -> None:
    later = replace(RUNNING, status=Status.COMPLETED, steps=4)

    assert latest_states([RUNNING.to_record(), later.to_record()], []) == {"w": later}


def test_a_message_that_died_with_its_agent_is_the_workflows_state() -> None:
    state = latest_states([RUNNING.to_record()], [letter()])["w"]

    assert (state.status, state.where, state.reason_code) == (Status.DEAD_LETTER, "scorer", "agent_fault")
    assert (state.reason, state.since) == ("the agent raised KeyError", AT + timedelta(minutes=1))


def test_a_message_that_its_agent_left_to_a_person_is_the_workflows_state() -> None:
    question = escalation(
        Record(topic="t", key=b"w", value=b"{}", headers={"ce_id": b"m3", "ce_workflowid": b"w"}),
        reason="model_refused",
        detail="scorer: the model declined",
        stage="agent/scorer",
        now=AT + timedelta(minutes=1),
        catalog="c1",
        more={},
    )
    state = latest_states([RUNNING.to_record()], [question])["w"]

    assert (state.status, state.where, state.reason_code) == (Status.WAITING_FOR_PERSON, "scorer", "model_refused")
    assert (state.reason, state.since) == ("scorer: the model declined", AT + timedelta(minutes=1))


@pytest.mark.parametrize(
    "other", [letter("m2"), letter(stage="agent/other"), letter(stage="router"), letter(workflow="x")]
)
def test_any_other_dead_letter_changes_nothing(other: Record) -> None:
    assert latest_states([RUNNING.to_record()], [other]) == {"w": RUNNING}
