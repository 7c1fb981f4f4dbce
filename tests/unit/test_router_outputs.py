"""What each kind of decision writes."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flink_jobs.operators.outputs import MAX_KEPT_BYTES, Decided, outputs, size_of
from pointsman.envelope import Record, decode
from pointsman.errors import ErrorReason
from pointsman.routing.decision import Candidate, Decision, Method, Outcome

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
HEADERS = {
    "ce_specversion": b"1.0",
    "ce_id": b"m1",
    "ce_source": b"/agents/a",
    "ce_type": b"lead.scored",
    "ce_workflowid": b"wf",
    "ce_hop": b"2",
    "ce_targetagent": b"somebody",
    "traceparent": b"00-1-2-01",
    "binary": b"\xff\x00",
}
VALUE = b'{ "score" :  1.0 }'
RECORD = Record(topic="agent_messages", key=b"wf", value=VALUE, headers=HEADERS, partition=3, offset=7, timestamp_ms=1)


def decision(outcome: Outcome, code: str = "code", agent: str | None = None) -> Decision:
    return Decision(
        outcome=outcome,
        how=Method.MODEL,
        reason="a reason with a ü",
        reason_code=code,
        agent=agent,
        agent_version="1.2.3" if agent else None,
        candidates=(
            Candidate(agent="fits", version="1.0.0", fits=True, why="w"),
            Candidate(agent="falls", version="1.0.0", fits=False, why="w"),
        ),
        catalog="c4f",
        catalog_sequence=4,
    )


def written(made: Decision, record: Record = RECORD) -> list[Record]:
    return outputs(Decided(record=record, message=decode(record), step=5, decision=made, at=AT))


def test_a_routed_message_keeps_its_bytes_and_its_unknown_headers() -> None:
    inbox, _ = written(decision(Outcome.ROUTED, agent="warm"))

    assert (inbox.topic, inbox.key, inbox.value) == ("agents.warm.inbox", b"wf", VALUE)
    assert inbox.headers["traceparent"] == HEADERS["traceparent"]
    assert inbox.headers["binary"] == HEADERS["binary"]


def test_a_routed_message_is_one_hop_further_and_says_who_decided_by_what() -> None:
    inbox, _ = written(decision(Outcome.ROUTED, agent="warm"))

    changed = {name: value for name, value in inbox.headers.items() if HEADERS.get(name) != value}
    assert changed == {"ce_hop": b"3", "ce_catalog": b"c4f", "ce_agentversion": b"1.2.3"}


def test_a_persons_choice_of_agent_does_not_travel_on() -> None:
    inbox, _ = written(decision(Outcome.ROUTED, agent="warm"))

    assert "ce_targetagent" not in inbox.headers


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_writes_its_decision(outcome: Outcome) -> None:
    log = written(decision(outcome, "contract_violation", "warm"))[-1]
    said = json.loads(log.value or b"")

    assert (log.topic, log.key) == ("agent_decisions", b"m1")
    assert {name: said[name] for name in ("message_id", "workflow_id", "event_type", "step", "outcome")} == {
        "message_id": "m1",
        "workflow_id": "wf",
        "event_type": "lead.scored",
        "step": 5,
        "outcome": outcome.value,
    }
    assert (said["topic"], said["partition"], said["offset"]) == ("agent_messages", 3, 7)
    assert said["candidates"][1] == {"agent": "falls", "version": "1.0.0", "fits": False, "why": "w"}
    assert log.headers["ce_type"] == b"routing.decided"


def test_the_same_message_makes_the_same_decision_id() -> None:
    first, second = (written(decision(Outcome.COMPLETED))[-1] for _ in range(2))

    assert first.headers["ce_id"] == second.headers["ce_id"]


def test_completed_writes_nothing_else() -> None:
    assert [record.topic for record in written(decision(Outcome.COMPLETED))] == ["agent_decisions"]


def test_abstained_goes_to_a_person_with_the_original_bytes() -> None:
    escalation, _ = written(decision(Outcome.ABSTAINED, "none_fits"))

    assert (escalation.topic, escalation.key, escalation.value) == ("agent_escalations", b"wf", VALUE)
    assert escalation.headers["x_escalation_reason"] == b"none_fits"
    assert escalation.headers["x_escalation_candidates"] == b"fits"
    assert escalation.headers["x_escalation_offset"] == b"7"
    assert HEADERS.items() <= escalation.headers.items()


def test_rejected_becomes_a_dead_letter_of_the_router() -> None:
    letter, _ = written(decision(Outcome.REJECTED, "contract_violation"))

    assert (letter.topic, letter.key, letter.value) == ("agent_errors", b"wf", VALUE)
    assert letter.headers["x_error_reason"] == ErrorReason.CONTRACT_VIOLATION.value.encode()
    assert letter.headers["x_error_stage"] == b"router"
    assert letter.headers["x_error_catalog"] == b"c4f"
    assert letter.headers["x_error_first_at"] == b"1970-01-01T00:00:00.001Z"


def test_a_record_that_is_no_message_is_logged_by_its_place() -> None:
    record = Record(topic="agent_messages", key=None, value=b"\x00", headers={}, partition=1, offset=2)
    made = decision(Outcome.REJECTED, "not_a_message")

    letter, log = outputs(Decided(record=record, message=None, step=1, decision=made, at=AT))

    assert letter.value == b"\x00"
    assert log.key == b"agent_messages/1/2"
    assert json.loads(log.value or b"")["message_id"] is None


def test_what_kafka_would_not_take_becomes_one_small_dead_letter() -> None:
    huge = replace(RECORD, headers={**HEADERS, "big": b"x" * MAX_KEPT_BYTES})

    (letter,) = written(decision(Outcome.ROUTED, agent="warm"), huge)

    assert letter.headers["x_error_reason"] == b"too_large"
    assert letter.headers["x_error_offset"] == b"7"
    assert (letter.key, letter.value) == (None, None)
    assert size_of(letter) < 2000
