"""What each kind of decision writes."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flink_jobs.operators.outputs import MAX_KEPT_BYTES, Decided, outputs, size_of
from pointsman.envelope import Record, decode
from pointsman.errors import ErrorReason
from pointsman.routing.decision import Candidate, Decision, Method, ModelCall, Outcome
from pointsman.routing.limits import Counters
from pointsman.usage import Budget
from pointsman.workflow_states import Status, WorkflowState

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
COUNTERS = Counters(step=5, visits=2)
INPUTS = {"now": "2030-01-02T03:04:05.000001+00:00"}
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
    return [one for one in all_written(made, record) if one.topic != "workflow_state"]


def all_written(made: Decision, record: Record = RECORD, counters: Counters = COUNTERS) -> list[Record]:
    return outputs(
        Decided(record=record, message=decode(record), counters=counters, decision=made, inputs=INPUTS, at=AT)
    )


def test_a_routed_message_keeps_its_bytes_and_its_unknown_headers() -> None:
    inbox, _ = written(decision(Outcome.ROUTED, agent="warm"))

    assert (inbox.topic, inbox.key, inbox.value) == ("agents.warm.inbox", b"wf", VALUE)
    assert inbox.headers["traceparent"] == HEADERS["traceparent"]
    assert inbox.headers["binary"] == HEADERS["binary"]


def test_a_routed_message_is_one_hop_further_and_says_who_decided_by_what() -> None:
    inbox, _ = written(decision(Outcome.ROUTED, agent="warm"))

    changed = {name: value for name, value in inbox.headers.items() if HEADERS.get(name) != value}
    assert changed == {"ce_hop": b"3", "ce_catalog": b"c4f", "ce_agentversion": b"1.2.3"}


def test_only_a_router_that_may_write_twice_has_agents_claim_whatever_the_message_itself_says() -> None:
    once = replace(RECORD, headers={**HEADERS, "ce_claim": b"required"})
    decided = Decided(
        record=once, message=decode(once), counters=COUNTERS, decision=decision(Outcome.ROUTED, agent="warm"),
        inputs=INPUTS, at=AT,
    )  # fmt: skip
    assert "ce_claim" not in outputs(decided)[0].headers
    assert decode(outputs(replace(decided, must_claim=True))[0]).must_claim


def test_a_routed_message_says_what_is_left_and_what_its_routing_used_and_not_what_its_cause_did() -> None:
    call = ModelCall(
        model="m", prompt_hash="h", raw_answer="", input_tokens=30, output_tokens=4, latency_ms=1.0, attempts=3,
        completions=2, cost_usd=0.000_5,
    )  # fmt: skip
    made = replace(decision(Outcome.ROUTED, agent="warm"), model_call=call, budget=Budget(calls=3, tokens=0))
    used = {
        **HEADERS,
        "ce_modelcalls": b"9",
        "ce_costmicrousd": b"9",
        "ce_routingusage": b"1,1,1,1",
        "ce_budgetcalls": b"99",
    }

    inbox, log = written(made, replace(RECORD, headers=used))
    counted = {name: value for name, value in inbox.headers.items() if name.startswith(("ce_model", "ce_cost", "ce_b"))}

    assert counted == {"ce_budgetcalls": b"3", "ce_budgettokens": b"0"}
    assert inbox.headers["ce_routingusage"] == b"2,30,4,500"
    assert json.loads(log.value or b"")["model_call"]["cost_usd"] == 0.000_5


def test_a_question_to_a_person_says_what_the_workflow_has_come_to_and_who_waits_for_approval() -> None:
    counters = Counters(step=5, visits=2, fan_out=3, model_calls=4, model_tokens=70, model_microusd=1_500)
    made = replace(decision(Outcome.ABSTAINED, "approval_required"), proposed="warm")
    (question,) = [one for one in all_written(made, counters=counters) if one.topic == "agent_escalations"]
    said = {
        name.removeprefix("x_escalation_"): value.decode(errors="replace") for name, value in question.headers.items()
    }

    assert (said["stage"], said["proposed"]) == ("router", "warm")
    assert [said[name] for name in ("step", "visits", "fan_out", "model_calls", "tokens", "cost_usd")] == [
        "5", "2", "3", "4", "70", "0.001500",
    ]  # fmt: skip


def test_a_persons_choice_of_agent_does_not_travel_on() -> None:
    inbox, _ = written(decision(Outcome.ROUTED, agent="warm"))

    assert "ce_targetagent" not in inbox.headers


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_writes_its_decision(outcome: Outcome) -> None:
    log = written(decision(outcome, "contract_violation", "warm"))[-1]
    said = json.loads(log.value or b"")

    assert (log.topic, log.key) == ("agent_decisions", b"m1")
    assert {name: said[name] for name in ("message_id", "workflow_id", "event_type", "step", "visits", "outcome")} == {
        "message_id": "m1",
        "workflow_id": "wf",
        "event_type": "lead.scored",
        "step": 5,
        "visits": 2,
        "outcome": outcome.value,
    }
    assert (said["topic"], said["partition"], said["offset"]) == ("agent_messages", 3, 7)
    fell_out = {"agent": "falls", "version": "1.0.0", "fits": False, "why": "w", "needs_approval": False}
    assert said["candidates"][1] == fell_out
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
    assert escalation.headers["x_escalation_step"] == b"5"
    assert escalation.headers["x_escalation_visits"] == b"2"
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

    letter, log = outputs(
        Decided(record=record, message=None, counters=Counters(step=1), decision=made, inputs=INPUTS, at=AT)
    )

    assert letter.value == b"\x00"
    assert log.key == b"agent_messages/1/2"
    assert json.loads(log.value or b"")["message_id"] is None


def test_what_kafka_would_not_take_becomes_one_small_dead_letter() -> None:
    huge = replace(RECORD, headers={**HEADERS, "big": b"x" * MAX_KEPT_BYTES})

    letter, log = written(decision(Outcome.ROUTED, agent="warm"), huge)

    assert (json.loads(log.value or b"")["outcome"], log.key) == ("rejected", b"m1")
    assert letter.headers["x_error_reason"] == b"too_large"
    assert letter.headers["x_error_offset"] == b"7"
    assert (letter.key, letter.value) == (None, None)
    assert size_of(letter) < 2000


def test_the_models_answer_is_logged_whole() -> None:
    made = replace(decision(Outcome.ABSTAINED, "model_answer"), model_call=call("x" * 2_000_000))

    log = written(made)[-1]

    assert len(json.loads(log.value or b"")["model_call"]["raw_answer"]) == 2_000_000


def test_a_decision_that_kafka_would_not_take_is_logged_with_hashes_for_its_long_texts() -> None:
    made = replace(decision(Outcome.ABSTAINED, "model_answer"), model_call=call("x" * MAX_KEPT_BYTES))

    log = written(made)[-1]

    said = json.loads(log.value or b"")
    digest = hashlib.sha256(b"x" * MAX_KEPT_BYTES).hexdigest()
    assert said["model_call"]["raw_answer"] == {"left_out_bytes": MAX_KEPT_BYTES, "sha256": digest}
    assert (said["message_id"], said["reason_code"], said["inputs"]) == ("m1", "model_answer", INPUTS)


@pytest.mark.parametrize("header", ["ce_id", "ce_type", "ce_source", "ce_workflowid"])
def test_a_message_with_an_endless_header_has_its_decision_logged(header: str) -> None:
    record = replace(RECORD, headers={**HEADERS, header: b"x" * 3_000_000})

    (log,) = [one for one in all_written(decision(Outcome.COMPLETED), record) if one.topic == "agent_decisions"]

    assert size_of(log) <= MAX_KEPT_BYTES
    assert json.loads(log.value or b"")["offset"] == 7


def call(raw: str) -> ModelCall:
    return ModelCall(
        model="m", prompt_hash="h", raw_answer=raw, input_tokens=1, output_tokens=1, latency_ms=1.0, attempts=1
    )


def state(made: Decision, record: Record = RECORD, counters: Counters = COUNTERS) -> WorkflowState:
    (found,) = [one for one in all_written(made, record, counters) if one.topic == "workflow_state"]
    assert found.key == b"wf"
    read = WorkflowState.from_record(found)
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("outcome", "agent", "status", "where"),
    [
        (Outcome.ROUTED, "warm", Status.RUNNING, "warm"),
        (Outcome.COMPLETED, None, Status.COMPLETED, "lead.scored"),
        (Outcome.ABSTAINED, None, Status.WAITING_FOR_PERSON, "lead.scored"),
        (Outcome.REJECTED, None, Status.DEAD_LETTER, "lead.scored"),
    ],
)
def test_every_outcome_says_where_the_workflow_stands(
    outcome: Outcome, agent: str | None, status: Status, where: str
) -> None:
    found = state(decision(outcome, "code", agent))

    assert (found.workflow_id, found.status, found.where, found.since) == ("wf", status, where, AT)
    assert (found.steps, found.message_id, found.catalog) == (5, "m1", "c4f")
    assert (found.reason_code, found.reason) == ("code", "a reason with a ü")


def test_a_cancelled_workflow_stands_as_cancelled() -> None:
    assert state(decision(Outcome.COMPLETED), counters=Counters(step=6, is_cancelled=True)).status is Status.CANCELLED


def test_addresses_in_a_reason_do_not_reach_the_state() -> None:
    made = replace(decision(Outcome.ABSTAINED), reason="nobody answers zoe@customer.example")

    assert "zoe" not in state(made).reason


def test_a_message_that_kafka_would_not_take_is_a_dead_letter_in_the_state_too() -> None:
    huge = replace(RECORD, headers={**HEADERS, "big": b"x" * MAX_KEPT_BYTES})

    found = state(decision(Outcome.ROUTED, agent="warm"), huge)

    assert (found.status, found.where, found.reason_code) == (Status.DEAD_LETTER, "lead.scored", "too_large")


def test_a_record_that_is_no_message_has_no_state() -> None:
    record = Record(topic="agent_messages", key=None, value=b"", headers={}, partition=1, offset=2)
    made = decision(Outcome.REJECTED, "not_a_message")

    decided = Decided(record=record, message=None, counters=COUNTERS, decision=made, inputs=INPUTS, at=AT)
    all_topics = [one.topic for one in outputs(decided)]

    assert "workflow_state" not in all_topics
