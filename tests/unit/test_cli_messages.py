"""Lines for people, whatever the record holds."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pointsman.cli.message_lines import message_line
from pointsman.cli.messages import hand_written, show
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError
from pointsman.topics import DECISIONS, ERRORS, ESCALATIONS, LEADS, MESSAGES, inbox

HEADERS = {
    "ce_type": b"lead.scored",
    "ce_source": b"/agents/lead_scoring",
    "ce_workflowid": b"42",
    "x_error_reason": b"contract_violation",
    "x_error_stage": b"agent/send_email",
}
DECISION = {"workflow_id": "42", "event_type": "lead.scored", "outcome": "routed", "how": "model", "agent": "outreach"}


def record(topic: str, value: bytes = b"{}", **headers: bytes) -> Record:
    return Record(topic=topic, key=b"42", value=value, headers={**HEADERS, **headers}, timestamp_ms=1)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (record(MESSAGES), ("lead.scored", "42", "lead_scoring", "router")),
        (record(inbox("outreach")), ("lead.scored", "42", "router", "outreach")),
        (record(ESCALATIONS), ("lead.scored", "42", "router", "a person")),
        (record(ERRORS), ("lead.scored", "42", "send_email", "dead letter (contract_violation)")),
        (record(DECISIONS, json.dumps(DECISION).encode()), ("lead.scored", "42", "router", "outreach (routed, model)")),
        (Record(topic=LEADS, key=b"42", value=b"{}", headers={}), ("lead document", "42", "mongodb", "router")),
    ],
)
def test_a_line_says_what_whose_and_from_whom_to_whom(one: Record, expected: tuple[str, str, str, str]) -> None:
    line = message_line(one)
    assert (line.event_type, line.workflow, line.sender, line.receiver) == expected


@given(
    st.sampled_from([LEADS, MESSAGES, DECISIONS, ESCALATIONS, ERRORS, inbox("a")]),
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.dictionaries(st.sampled_from(sorted(HEADERS)), st.binary()),
)
def test_garbage_makes_a_line_too(
    topic: str, key: bytes | None, value: bytes | None, headers: dict[str, bytes]
) -> None:
    line = message_line(Record(topic=topic, key=key, value=value, headers=headers))
    assert (line.event_type + line.workflow + line.sender + line.receiver).isprintable()


def test_addresses_are_masked_and_escape_sequences_removed() -> None:
    line = message_line(record(MESSAGES, ce_type=b"\x1b[31mzoe@customer.example"))
    assert line.event_type == "[***@customer.example"


def test_only_the_wanted_workflow_is_shown() -> None:
    console = Console(file=io.StringIO(), width=40)
    show([record(MESSAGES), record(MESSAGES, ce_workflowid=b"43")], console, "43")
    assert isinstance(console.file, io.StringIO)
    (line,) = console.file.getvalue().splitlines()
    assert "  43  lead_scoring → router" in line


def test_a_message_by_hand_is_in_the_persons_name() -> None:
    message = hand_written("lead.activity_noted", '{"text": "call me"}', "42", "nurture", "ann")
    assert message.source == "/operators/ann"
    assert (message.workflow_id, message.target_agent, message.payload) == ("42", "nurture", {"text": "call me"})


@pytest.mark.parametrize("payload", ["", "[]", "{", '{"a": NaN}', "\udcff"])
def test_a_payload_that_is_no_json_object_is_refused(payload: str) -> None:
    with pytest.raises(ConfigurationError, match="--payload"):
        hand_written("a.b", payload, "42", None, "ann")
