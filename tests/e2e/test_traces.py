"""One connected trace per lead, from its insertion to its mail, as a real receiver of OTLP saw it."""

from __future__ import annotations

import json
import secrets

from tests.e2e.system import System, hot_lead, lukewarm_lead, student_lead
from tests.otlp import Receiver, SeenSpan
from tests.witness import eventually

AGENTS = ("lead_ingestion", "lead_scoring", "active_outreach", "send_email")


def test_a_lead_s_way_from_insertion_to_mail_is_one_connected_trace(system: System, traces: Receiver) -> None:
    lead, address = hot_lead(), system.address()
    fields = [part for name in ("first_name", "last_name", "title", "company", "message")
              for part in (f"--{name.replace('_', '-')}", lead[name])]  # fmt: skip
    workflow = system.cli("leads", "add", "--email", address, *fields).stdout.split()[0]
    eventually(lambda: system.mails_to(address), within_s=60, what="a mail to the lead")
    (start,) = eventually(
        lambda: [
            span for span in traces.spans if span.name == "insert leads" and span.trace in trace_of(traces, workflow)
        ],
        what="the span of the insertion",
    )
    whole = whole_trace(traces, start.trace, "process agent_messages", times=5)

    assert start.parent == ""
    assert {span.service for span in whole} == {"cli", "router", *(f"agent/{agent}" for agent in AGENTS)}
    for agent in AGENTS:
        assert len(named(whole, f"process agents.{agent}.inbox")) == 1
        assert len(named(whole, f"invoke_agent {agent}")) == 1
        assert len(named(whole, f"send agents.{agent}.inbox")) == 1
    assert len(named(whole, "invoke_workflow pointsman-router")) == 5
    assert [span.attributes["app.effect.state"] for span in named(whole, "send email")] == ["sent"]
    assert way_up(named(whole, "send email")[0], whole)[-1] is start


def test_the_later_mails_of_a_series_are_in_the_lead_s_trace(system: System, traces: Receiver) -> None:
    workflow, address = system.insert(lukewarm_lead())
    eventually(lambda: len(system.mails_to(address)) == 3, within_s=60, what="the mails of a series")
    (trace,) = trace_of(traces, workflow)
    whole = whole_trace(traces, trace, "send email", times=3)
    mails = named(whole, "send email")
    assert all("send agents.nurture_campaign.inbox" in names_up(mail, whole) for mail in mails)


def test_spans_say_what_the_conventions_ask_for(system: System, traces: Receiver) -> None:
    workflow, address = system.insert(hot_lead())
    eventually(lambda: system.mails_to(address), within_s=60, what="a mail to the lead")
    (trace,) = eventually(lambda: trace_of(traces, workflow), what="the lead's trace")
    whole = whole_trace(traces, trace, "process agent_messages", times=5)
    by_model = [span for span in whole if span.attributes.get("app.route.method") == "model"]

    (flow,) = by_model
    assert flow.kind == "INTERNAL"
    assert (flow.attributes["app.route.candidates"], flow.attributes["app.route.reason_code"]) == (2, "model_choice")
    (chat,) = [span for span in whole if span.parent == flow.id and span.name.startswith("chat ")]
    assert chat.kind == "CLIENT"
    assert chat.attributes["gen_ai.operation.name"] == "chat"
    assert chat.attributes["gen_ai.usage.input_tokens"] > 0
    (received,) = [span for span in whole if span.id == flow.parent]
    assert (received.kind, received.attributes["messaging.system"]) == ("CONSUMER", "kafka")
    assert received.links == (received.parent,)


def test_no_span_holds_what_a_lead_wrote_or_is_called(system: System, traces: Receiver) -> None:
    lead = {
        **hot_lead(),
        "_id": f"by.address.{system.address()}",
        "last_name": "Quixotemarker",
        "phone": "+48600700800",
    }
    known = {span.trace for span in traces.spans}  # its workflow's name is a pseudonym, since its id is an address
    _, address = system.insert(lead)
    eventually(lambda: system.mails_to(address), within_s=60, what="a mail to the lead")
    (trace,) = eventually(
        lambda: {span.trace for span in named(traces.spans, "send email")} - known, what="the lead's trace"
    )
    whole_trace(traces, trace, "process agent_messages", times=5)
    text = "\n".join(span.text for span in traces.spans)
    markers = (*system.known_addresses(), "Quixotemarker", "+48600700800", "12 warehouses", str(lead["_id"]))
    assert [marker for marker in markers if marker.lower() in text.lower()] == []


def test_a_trace_that_a_lead_brings_goes_on_and_a_malformed_one_counts_as_none(
    system: System, traces: Receiver
) -> None:
    trace = secrets.token_hex(16)
    known, _ = system.insert({**student_lead(), "traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    forged, _ = system.insert({**student_lead(), "traceparent": {"a": "<script>"}})
    eventually(lambda: trace_of(traces, known) == {trace}, within_s=60, what="the lead's own trace")
    (begun,) = eventually(lambda: trace_of(traces, forged), within_s=60, what="a trace that the router began")
    first = [span for span in whole_trace(traces, begun, "process agent_messages") if span.parent == ""]
    assert [span.name for span in first] == ["process agent_messages"]
    eventually(lambda: system.outcomes(forged)[-1:] == ["completed"], within_s=60, what="the workflow's completion")


def test_log_lines_of_an_agent_name_workflow_and_trace(system: System, traces: Receiver) -> None:
    workflow, address = system.insert(hot_lead())
    eventually(lambda: system.mails_to(address), within_s=60, what="a mail to the lead")
    log = (system.data_dir / "logs" / "agent-lead_scoring.log").read_text(errors="replace")
    (line,) = [json.loads(line) for line in log.splitlines() if workflow in line and "message answered" in line]
    eventually(lambda: trace_of(traces, workflow) == {line["trace_id"]}, what="the trace that the log names")


def whole_trace(traces: Receiver, trace: str, name: str, *, times: int = 1) -> list[SeenSpan]:
    """Its spans, once `name` is among them so many times and each hangs on another that arrived.

    A span ends, and is sent, before the one that it is below, and each process sends its own.
    """

    def whole() -> bool:
        spans = traces.trace(trace)
        ids = {"", *(span.id for span in spans)}
        return len(named(spans, name)) >= times and all(span.parent in ids for span in spans)

    eventually(whole, what=f"{times} {name!r} in a trace without gaps")
    return traces.trace(trace)


def named(spans: list[SeenSpan], name: str) -> list[SeenSpan]:
    return [span for span in spans if span.name == name]


def trace_of(traces: Receiver, workflow: str) -> set[str]:
    """The traces in which somebody worked on a message of `workflow`."""
    return {span.trace for span in traces.spans if span.attributes.get("messaging.message.conversation_id") == workflow}


def names_up(span: SeenSpan, spans: list[SeenSpan]) -> list[str]:
    """Names of the spans that `span` is below."""
    return [each.name for each in way_up(span, spans)]


def way_up(span: SeenSpan, spans: list[SeenSpan]) -> list[SeenSpan]:
    """`span` and what it is below, up to the trace's beginning."""
    by_id = {each.id: each for each in spans}
    way = [span]
    while way[-1].parent in by_id:
        way.append(by_id[way[-1].parent])
    return way
