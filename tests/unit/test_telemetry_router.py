"""What the router tells of a message: once, when its decision leaves; and nothing changes for who does not listen."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from flink_jobs.operators.records import Arrived
from flink_jobs.operators.telling import Shared, Telling
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError
from pointsman.models.port import Opinion
from pointsman.routing.decision import Candidate, Decision, Method, ModelCall, Outcome
from pointsman.settings import Settings
from pointsman.telemetry import Telemetry
from pointsman.telemetry.context import trace_id_in
from tests.recorded import Recorded, is_below

TRACE = "0af7651916cd43dd8448eb211c80319c"
INBOX = Record(topic="agents.warm.inbox", key=b"w", value=b"{}", headers={"ce_id": b"m", "traceparent": b"old"})
LOG = Record(topic="agent_decisions", key=b"m", value=b"{}", headers={})
STATE = Record(topic="workflow_state", key=b"w", value=b"{}", headers={})


def message(offset: int = 1) -> Record:
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01".encode(), "ce_hop": b"3", "ce_workflowid": b"w"}
    return Record(topic="agent_messages", key=b"w", value=b"{}", headers=headers, partition=0, offset=offset)


def decision(outcome: Outcome = Outcome.ROUTED) -> Decision:
    candidates = tuple(Candidate(agent=name, version="1", fits=name != "cold", why="") for name in ("warm", "cold"))
    return Decision(
        outcome=outcome, how=Method.RULE, reason="Quixote", reason_code="declared_next", agent="warm",
        candidates=candidates,
    )  # fmt: skip


def test_a_decision_is_told_when_it_leaves_and_not_before() -> None:
    recorded = Recorded()
    telling = Telling(recorded.telemetry, "router-1")
    telling.arrived(message())
    telling.decided(Arrived(message(), 1), decision())
    assert recorded.spans == {}
    assert recorded.sample("pointsman_router_waiting") == 1

    inbox, log, state = telling.leaving(message(), [INBOX, LOG, STATE])

    spans = recorded.spans
    process, flow, send = (
        spans[name] for name in ("process agent_messages", "invoke_workflow router-1", "send agents.warm.inbox")
    )
    assert is_below(flow, process)
    assert is_below(send, flow)
    assert process.links
    assert flow.attributes is not None
    assert flow.attributes["app.route.candidates"] == 1
    assert flow.attributes["app.hop"] == 3
    assert "Quixote" not in recorded.text
    assert send.context is not None
    assert trace_id_in(inbox.headers) == trace_id_in(log.headers) == TRACE
    assert f"{send.context.span_id:016x}".encode() in inbox.headers["traceparent"]
    assert state == STATE
    labels = {"outcome": "routed", "method": "rule", "agent": "warm", "reason_code": "declared_next"}
    assert recorded.sample("pointsman_decisions_total", **labels) == 1
    assert recorded.sample("pointsman_routing_duration_seconds_count", method="rule") == 1
    assert recorded.sample("pointsman_router_waiting") == 0


@pytest.mark.parametrize(
    ("opinions", "confidence", "counts"), [(0, None, (0, 0)), (1, None, (0, 1)), (1, 0.9, (1, 0)), (2, 0.5, (1, 0))]
)
def test_it_is_counted_whether_anybody_knows_how_sure_a_choice_is_that_must_be(
    opinions: int, confidence: float | None, counts: tuple[int, int]
) -> None:
    telemetry = Telemetry()
    telling = Telling(telemetry, "r")
    call = ModelCall(
        model="m", prompt_hash="", raw_answer="", input_tokens=0, output_tokens=0, latency_ms=0, attempts=1,
        confidence=confidence, opinions=(Opinion(model="m", choice="warm", confidence=confidence),) * opinions,
    )  # fmt: skip
    telling.arrived(message())
    telling.decided(Arrived(message(), 1), replace(decision(), how=Method.MODEL, model_call=call))
    telling.leaving(message(), [INBOX])
    value = partial(telemetry.metrics.registry.get_sample_value, "pointsman_choices_weighed_total")
    assert tuple(value({"known": known}) or 0 for known in ("yes", "no")) == counts


def test_a_message_that_is_asked_about_again_is_one_span() -> None:
    recorded = Recorded()
    telling = Telling(recorded.telemetry, "r")
    for _ in range(3):
        telling.arrived(message())
    telling.decided(Arrived(message(), 1), decision())
    telling.leaving(message(), [INBOX])
    assert recorded.text.count('"process agent_messages"') == 1


def test_a_model_call_begins_below_the_decision() -> None:
    recorded = Recorded()
    telling = Telling(recorded.telemetry, "r")
    telling.arrived(message())
    with telling.asking(message()), recorded.telemetry.spans.insert("called"):
        pass
    telling.leaving(message(), [INBOX])
    assert is_below(recorded.spans["insert called"], recorded.spans["invoke_workflow r"])


def test_what_a_restart_throws_away_is_not_told() -> None:
    recorded = Recorded()
    telling = Telling(recorded.telemetry, "r")
    telling.arrived(message())
    telling.forget()
    assert recorded.spans == {}
    assert recorded.sample("pointsman_router_waiting") == 0
    assert telling.leaving(message(), [INBOX]) == [INBOX]


@pytest.mark.parametrize("hop", [b"", b"-1", b"x", b"9" * 40, b"\xff"])
def test_a_hop_that_is_none_fails_nothing(hop: bytes) -> None:
    recorded = Recorded()
    telling = Telling(recorded.telemetry, "r")
    record = Record(topic="agent_messages", key=None, value=None, headers={"ce_hop": hop}, partition=0, offset=1)
    telling.arrived(record)
    telling.leaving(record, [INBOX])
    assert "invoke_workflow r" in recorded.spans


def test_without_tracing_records_leave_as_they_are_and_are_counted() -> None:
    telemetry = Telemetry()
    telling = Telling(telemetry, "r")
    telling.arrived(message())
    telling.decided(Arrived(message(), 1), decision(Outcome.REJECTED))
    written = [INBOX, LOG]
    assert telling.leaving(message(), written) is written
    assert (
        telemetry.metrics.registry.get_sample_value(
            "pointsman_decisions_total",
            {"outcome": "rejected", "method": "rule", "agent": "warm", "reason_code": "declared_next"},
        )
        == 1
    )
    assert telling.log_ids(message()) == f"workflow_id='w' trace_id='{TRACE}'"


def test_a_process_s_endpoint_lives_from_its_first_operator_to_its_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "router.json"
    monkeypatch.setattr("flink_jobs.operators.telling.settings", lambda: Settings(metrics_port=0, metrics_file=file))
    shared = Shared()
    first = shared.take()
    assert shared.take() is first is shared.telemetry
    shared.give_back(process_ends=False)
    assert file.exists()
    shared.give_back(process_ends=False)
    assert not file.exists()
    assert shared.take() is first
    assert file.exists()
    shared.give_back(process_ends=True)
    assert not file.exists()


def test_settings_that_are_wrong_cost_telemetry_and_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong() -> Settings:
        raise ConfigurationError("setting POINTSMAN_X: wrong")

    monkeypatch.setattr("flink_jobs.operators.telling.settings", wrong)
    shared = Shared()
    telling = Telling(shared.take(), "r")
    telling.arrived(message())
    assert telling.leaving(message(), [INBOX]) == [INBOX]
    shared.give_back(process_ends=True)
