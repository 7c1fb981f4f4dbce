"""What a person says about a workflow, as the router hears it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pointsman.envelope import Envelope, Record, decode
from pointsman.topics import ESCALATIONS, MESSAGES
from pointsman.usage import Budget, Usage
from pointsman.workflow_control import cancellation, open_escalations, resumed

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def escalated(message_id: str = "m1", workflow: str = "w") -> Record:
    message = Envelope(
        id=message_id,
        source="/agents/scorer",
        event_type="lead.scored",
        workflow_id=workflow,
        payload={"score": 7},
        time=NOW,
        causation_id="m0",
        hop=3,
        deadline=NOW - timedelta(days=1),
        target_agent="somebody",
        extra={"traceparent": b"00-1", "x_escalation_reason": b"step_limit", "x_escalation_step": b"41"},
    )
    return message.to_record(ESCALATIONS)


def test_what_a_person_sends_on_is_the_message_in_the_persons_name() -> None:
    record = resumed(escalated(), "kim", "outreach", NOW)
    message = decode(record)

    assert (record.topic, record.key, record.value) == (MESSAGES, b"w", escalated().value)
    assert (message.source, message.causation_id, message.target_agent) == ("/operators/kim", "m1", "outreach")
    assert (message.event_type, message.workflow_id, message.hop) == ("lead.scored", "w", 3)
    assert message.extra == {"traceparent": b"00-1"}
    assert message.deadline is None


def test_sending_on_twice_is_one_message() -> None:
    first, second = (decode(resumed(escalated(), "kim", agent, NOW)) for agent in (None, "outreach"))

    assert first.id == second.id != "m1"
    assert first.target_agent is None


def test_a_message_that_waits_for_approval_goes_to_the_agent_that_was_proposed() -> None:
    waiting = escalated()
    waiting = replace(waiting, headers={**waiting.headers, "x_escalation_proposed": b"outreach"})

    assert decode(resumed(waiting, "kim", None, NOW)).target_agent == "outreach"
    assert decode(resumed(waiting, "kim", "other", NOW)).target_agent == "other"


def test_what_a_person_sends_on_carries_no_count_of_what_models_used() -> None:
    waiting = escalated()
    counted = {"ce_modelcalls": b"3", "ce_routingusage": b"1,2,3,4", "ce_budgetcalls": b"0"}
    message = decode(resumed(replace(waiting, headers={**waiting.headers, **counted}), "kim", None, NOW))

    assert (message.usage, message.routing_usage, message.budget) == (Usage(), Usage(), Budget())


def test_what_was_sent_on_waits_no_more() -> None:
    first, second, foreign = escalated("m1"), escalated("m2"), escalated("m3", "other")
    escalations = [first, second, foreign]

    assert open_escalations("w", escalations, []) == [first, second]
    assert open_escalations("w", escalations, [resumed(first, "kim", None, NOW)]) == [second]
    assert open_escalations("other", escalations, [resumed(first, "kim", None, NOW)]) == [foreign]


def test_an_agents_answer_is_not_a_persons_word() -> None:
    answer = decode(escalated()).reply(
        agent="a", agent_version="1.0.0", index=0, event_type="lead.scored", payload={}, time=NOW
    )

    assert open_escalations("w", [escalated()], [answer.to_record(MESSAGES)]) == [escalated()]


def test_a_cancellation_is_the_same_message_however_often_it_is_said() -> None:
    first, second = (cancellation("w", person, "lost", NOW) for person in ("kim", "lee"))

    assert first.id == second.id != cancellation("other", "kim", "lost", NOW).id
    assert decode(first.to_record(MESSAGES)).source == "/operators/kim"
    assert (first.event_type, first.payload) == ("workflow.cancelled", {"reason": "lost"})
