"""What an agent's process tells of one message."""

from __future__ import annotations

import pytest
import structlog

from pointsman.definitions import AgentDefinition
from pointsman.definitions.model import Accepts, Emits
from pointsman.envelope import Record
from pointsman.telemetry import Telemetry
from pointsman.telemetry.agent_work import AgentWork
from pointsman.telemetry.context import trace_id_in
from tests.recorded import Recorded, is_below

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01".encode()
OBJECT = {"type": "object"}
DEFINITION = AgentDefinition(
    name="scorer", version="1.2.0", description="d", accepts=[Accepts(type="a.b", contract=OBJECT)],
    emits=[Emits(type="c.d", contract=OBJECT)],
)  # fmt: skip


def record(**headers: bytes) -> Record:
    own = {"ce_id": b"m1", "ce_workflowid": b"w1", "traceparent": TRACEPARENT}
    return Record(
        topic="agents.scorer.inbox", key=b"w1", value=b'{"name":"Quixote"}', headers={**own, **headers}, partition=2,
        offset=7,
    )  # fmt: skip


def reply(topic: str = "agent_messages", **headers: bytes) -> Record:
    return Record(topic=topic, key=b"w1", value=b"{}", headers={"ce_id": b"m2", "ce_type": b"c.d", **headers})


def test_spans_hang_together_from_the_message_to_its_answer() -> None:
    recorded = Recorded()
    with AgentWork(recorded.telemetry, "scorer").on(record(), DEFINITION) as work:
        (sent,) = work.sending([reply()])
        assert recorded.sample("pointsman_agent_in_flight", agent="scorer") == 1
    assert "send agent_messages" not in recorded.spans
    work.committed()

    spans = recorded.spans
    process, invoke, send = (
        spans[name] for name in ("process agents.scorer.inbox", "invoke_agent scorer", "send agent_messages")
    )
    assert process.parent is not None
    assert process.links[0].context.span_id == process.parent.span_id == int("b7ad6b7169203331", 16)
    assert is_below(invoke, process)
    assert is_below(send, process)
    assert trace_id_in(sent.headers) == TRACE
    assert process.attributes is not None
    assert process.attributes["messaging.destination.partition.id"] == "2"
    assert process.attributes["messaging.message.conversation_id"] == "w1"
    assert invoke.attributes is not None
    assert invoke.attributes["gen_ai.agent.version"] == "1.2.0"
    assert invoke.attributes["gen_ai.conversation.id"] == "w1"
    assert "Quixote" not in recorded.text
    assert recorded.sample("pointsman_agent_replies_total", agent="scorer", event_type="c.d") == 1
    assert recorded.sample("pointsman_messaging_process_duration_seconds_count", agent="scorer", error_type="") == 1
    assert recorded.sample("pointsman_agent_in_flight", agent="scorer") == 0


def test_a_dead_letter_marks_the_span_and_is_counted() -> None:
    recorded = Recorded()
    with AgentWork(recorded.telemetry, "scorer").on(record(), DEFINITION) as work:
        work.sending([reply("agent_errors", x_error_reason=b"agent_fault")])
    assert not recorded.spans["process agents.scorer.inbox"].status.is_ok
    assert recorded.sample("pointsman_agent_dead_letters_total", agent="scorer", reason="agent_fault") == 1


def test_an_exception_is_told_by_its_type_and_not_by_its_text() -> None:
    recorded = Recorded()
    with pytest.raises(ValueError, match="Quixote"):  # noqa: SIM117
        with AgentWork(recorded.telemetry, "scorer").on(record(), DEFINITION):
            raise ValueError("Quixote")
    assert "ValueError" in recorded.text
    assert "Quixote" not in recorded.text


def test_log_lines_carry_workflow_message_and_trace_also_without_tracing() -> None:
    with AgentWork(Telemetry(), "scorer").on(record(), DEFINITION) as work:
        bound = structlog.contextvars.get_contextvars()
        answers = [reply()]
        assert work.sending(answers) == answers
    assert {name: bound[name] for name in ("workflow_id", "message_id", "trace_id")} == {
        "workflow_id": "w1", "message_id": "m1", "trace_id": TRACE,
    }  # fmt: skip
    assert "workflow_id" not in structlog.contextvars.get_contextvars()


def test_what_falls_due_later_is_sent_in_the_trace_that_it_names() -> None:
    recorded = Recorded()
    work, (sent,) = AgentWork(recorded.telemetry, "scorer").due([reply(traceparent=TRACEPARENT)])
    assert "send agent_messages" not in recorded.spans
    work.committed()

    send = recorded.spans["send agent_messages"]
    assert send.parent is not None
    assert send.parent.span_id == int("b7ad6b7169203331", 16)
    assert trace_id_in(sent.headers) == TRACE
    assert sent.headers["traceparent"] != TRACEPARENT


def test_what_falls_due_and_names_no_trace_begins_one() -> None:
    recorded = Recorded()
    work, (sent,) = AgentWork(recorded.telemetry, "scorer").due([reply()])
    work.committed()
    assert recorded.spans["send agent_messages"].parent is None
    assert trace_id_in(sent.headers)


def test_without_telemetry_the_trace_that_a_due_message_names_travels_on() -> None:
    due = reply(traceparent=TRACEPARENT)
    _, sent = AgentWork(Telemetry(), "scorer").due([due])
    assert sent == [due]
