"""What happened to one workflow, put together from records of every topic and the ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.audit import Action, AuditEntry
from pointsman.envelope import Record
from pointsman.timeline import Part, Timeline, timeline
from pointsman.topics import AUDIT, DECISIONS, ERRORS, ESCALATIONS, LEADS, MESSAGES, WORKFLOW_STATE, inbox
from tests.dead_letters import failed
from tests.journey_records import START, decision, message

CALL = {"model": "m", "attempts": 2, "input_tokens": 300, "output_tokens": 20, "latency_ms": 412.5,
        "raw_answer": '{"agent": "active_outreach"}', "cost_usd": 0.0021}  # fmt: skip
EFFECT = {
    "_id": "e1", "state": "sent", "attempt": 1, "owner": "send_email.1", "finished_at": START + timedelta(minutes=1),
    "facts": {"message": "w-2", "lead_id": "w", "content": {"to": "zoe@customer.example"}},
}  # fmt: skip


def lead() -> Record:
    return Record(topic=LEADS, key=b"k", value=b'{"_id": "w", "email": "zoe@customer.example"}', headers={}, offset=7)


def routed(record: Record, topic: str, offset: int = 5) -> Record:
    return replace(record, topic=topic, partition=2, offset=offset, timestamp_ms=1)


def a_whole_way() -> list[Record]:
    first, second = message("w", 1, "lead.scored", {"note": "zoe@customer.example"}), message("w", 2, "mail.drafted")
    return [
        lead(),
        first,
        decision("w", 1, "lead.scored", model_call=CALL),
        routed(first, inbox("active_outreach")),
        replace(second, headers={**second.headers, "ce_modelcalls": b"1", "ce_costmicrousd": b"1500"}),
        decision("w", 2, "mail.drafted", model_call=None),
    ]


def parts(found: Timeline) -> list[tuple[int, str]]:
    return [(row.hop, row.part.value) for row in found.rows]


def test_each_hop_shows_what_came_in_what_was_decided_and_what_went_out() -> None:
    found = timeline("w", a_whole_way(), [EFFECT])
    assert parts(found) == [
        (0, "lead"), (1, "message"), (1, "decision"), (1, "model"), (1, "inbox"), (2, "message"), (2, "decision"),
        (2, "effect"),
    ]  # fmt: skip


def test_order_and_repeats_of_the_records_make_no_difference() -> None:
    records = a_whole_way()[1:5]
    told = {json.dumps(timeline("w", [*order, *order]).to_json()) for order in permutations(records)}
    assert len(told) == 1


def test_a_decision_tells_candidates_reasons_and_where_it_lies() -> None:
    row = next(row for row in timeline("w", a_whole_way()).rows if row.part is Part.DECISION)
    assert (row.title, row.receiver, row.how, row.why) == ("routed", "active_outreach", "model", "It asks for a demo.")
    assert [(one.agent, one.fits) for one in row.candidates] == [("active_outreach", True)]
    assert str(row.place) == "agent_decisions-0@1"


def test_the_models_work_and_its_price_are_told_for_router_and_agent() -> None:
    rows = timeline("w", a_whole_way()).rows
    asked = next(row for row in rows if row.part is Part.MODEL)
    assert asked.usage is not None
    assert (asked.usage.calls, asked.usage.input_tokens, asked.usage.cost_usd) == (2, 300, 0.0021)
    spent = [row.usage for row in rows if row.part is Part.MESSAGE]
    assert spent[0] is None
    assert spent[1] is not None
    assert (spent[1].calls, spent[1].cost_usd) == (1, 0.0015)


def test_an_unknown_price_is_said_to_be_unknown() -> None:
    records = [decision("w", 1, "lead.scored", model_call={**CALL, "cost_usd": None})]
    asked = next(row for row in timeline("w", records).rows if row.part is Part.MODEL)
    assert asked.usage is not None
    assert asked.usage.cost_usd is None


@pytest.mark.parametrize("topic", [ESCALATIONS, ERRORS])
def test_what_waits_for_a_person_belongs_to_its_hop(topic: str) -> None:
    first = message("w", 1, "lead.scored")
    prefix = "x_escalation_" if topic == ESCALATIONS else "x_error_"
    told = {f"{prefix}reason": b"step_limit", f"{prefix}message": b"too many steps"}
    waiting = replace(routed(first, topic), headers={**first.headers, **told})
    last = timeline("w", [waiting, first]).rows[-1]
    assert (last.hop, last.receiver, last.code, last.why) == (1, "a person", "step_limit", "too many steps")


def test_what_is_sent_again_is_a_hop_of_its_own() -> None:
    first = message("w", 1, "lead.scored")
    again = replace(first, offset=9, timestamp_ms=1893560000000, headers={**first.headers, "ce_attempt": b"1"})
    later = decision("w", 1, "lead.scored", attempt=1, decided_at="2030-01-02T04:53:21.000Z")
    entry = AuditEntry(
        action=Action.REDRIVEN, subject="agent_errors/0/1", by="ann", at=START + timedelta(minutes=1),
        details={"message_id": "w-1"}, workflow_id="w",
    )  # fmt: skip
    found = timeline("w", [first, decision("w", 1, "lead.scored", model_call=None), again, later, entry.to_record()])
    assert [(row.hop, row.attempt) for row in found.rows if row.part is Part.DECISION] == [(1, 0), (2, 1)]
    person = next(row for row in found.rows if row.part is Part.PERSON)
    assert (person.hop, person.sender, person.title) == (1, "ann", "dead_letter.redriven")


def test_other_workflows_are_left_out() -> None:
    others = [message("x", 1, "lead.scored"), decision("x", 1, "lead.scored"), replace(lead(), value=b'{"_id": "x"}')]
    assert timeline("w", [*others, failed(workflow_id="x"), message("w", 1, "lead.scored")]).rows[0].message_id == "w-1"


def test_nothing_personal_is_told_unless_it_is_asked_for() -> None:
    found = timeline("w", [*a_whole_way(), failed(workflow_id="w", id="w-1")], [EFFECT])
    assert "zoe" not in json.dumps(found.to_json())
    assert "Mara" not in json.dumps(found.to_json())
    assert json.dumps(found.to_json(unmask=True)).count("zoe@customer.example") == 3


@given(
    topic=st.sampled_from([LEADS, MESSAGES, DECISIONS, ERRORS, ESCALATIONS, AUDIT, WORKFLOW_STATE, inbox("a")]),
    value=st.one_of(st.none(), st.binary(max_size=40)),
    headers=st.dictionaries(
        st.sampled_from(["ce_id", "ce_attempt", "ce_modelcalls", "x_error_stage"]), st.binary(max_size=8)
    ),
)
def test_no_record_makes_it_fail(topic: str, value: bytes | None, headers: dict[str, bytes]) -> None:
    record = Record(topic=topic, key=b"w", value=value, headers={**headers, "ce_workflowid": b"w"})
    json.dumps(timeline("w", [record]).to_json())


@pytest.mark.parametrize("value", [None, 1, "x", [], [1], [{"agent": 1}], {}, {"model": []}, True])
def test_no_entry_of_the_log_makes_it_fail(value: Any) -> None:
    names = ("message_id", "candidates", "model_call", "decided_at", "attempt", "agent", "outcome")
    for name in names:
        json.dumps(timeline("w", [decision("w", 1, "lead.scored", **{name: value})]).to_json(unmask=True))
