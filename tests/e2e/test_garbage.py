"""Nothing that arrives makes the job or an agent fail; every bad record is a dead letter with its original bytes."""

from __future__ import annotations

import os

import confluent_kafka
import pytest

from pointsman import topics
from tests.e2e.system import System, hot_lead
from tests.witness import Seen, eventually

HEADERS = {"ce_specversion": b"1.0", "ce_id": b"g-1", "ce_source": b"/test", "ce_type": b"lead.scored",
           "ce_workflowid": b"garbage"}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def restarts_before(system: System) -> int:
    """Restarts of the job before this module's garbage."""
    return system.job_restarts()


def dead_letters(system: System, value: bytes | None) -> list[Seen]:
    return [seen for seen in system.witness.read(topics.ERRORS) if seen.value == value]


def unique(text: bytes) -> bytes:
    """`text` with a mark, so that one dead letter can be told from another's."""
    return text + os.urandom(4).hex().encode()


def marked() -> bytes:
    """A JSON object that stands nowhere else."""
    return b'{"mark": "' + unique(b"") + b'"}'


@pytest.mark.parametrize(
    ("topic", "value", "headers", "reason"),
    [
        (topics.MESSAGES, unique(b"\xff\xfe random bytes "), {}, "not_a_message"),
        (topics.MESSAGES, unique(b"no json "), HEADERS, "invalid_json"),
        (topics.MESSAGES, marked(), {"ce_id": b"only"}, "not_a_message"),
        (topics.MESSAGES, marked(), {**HEADERS, "ce_id": b"g-2"}, "contract_violation"),
        (topics.MESSAGES, marked(), {**HEADERS, "ce_id": b"g-4", "ce_hop": b"-1"}, "not_a_message"),
        (topics.MESSAGES, b"x" * 2_000_000, {**HEADERS, "ce_id": b"g-3"}, "too_large"),
        (topics.LEADS, unique(b"not even json "), {}, "invalid_json"),
        (topics.LEADS, b'["' + unique(b"") + b'"]', {}, "invalid_json"),
        (topics.DEFINITIONS, unique(b"name: not json "), {}, "invalid_definition"),
        (topics.inbox("lead_scoring"), unique(b"\x00\x01\x02"), {}, "not_a_message"),
        (topics.inbox("lead_scoring"), marked(), {**HEADERS, "ce_id": b"g-5", "ce_type": b"no.such"},
         "unknown_event_type"),
    ],
)  # fmt: skip
def test_garbage_becomes_a_dead_letter_with_its_original_bytes(
    system: System, topic: str, value: bytes, headers: dict[str, bytes], reason: str
) -> None:
    system.witness.write(topic, value, key=b"garbage", headers={**headers})
    letter = eventually(lambda: dead_letters(system, value), what=f"a dead letter from {topic}")[0]
    assert letter.header("x_error_reason") == reason
    assert letter.header("x_error_topic") == topic
    assert {name: letter.headers[name] for name in headers} == headers


@pytest.mark.parametrize("topic", [topics.MESSAGES, topics.inbox("lead_scoring")])
def test_a_record_without_value_is_a_dead_letter(system: System, topic: str) -> None:
    mark = os.urandom(4).hex().encode()
    system.witness.write(topic, None, key=mark)
    letter = eventually(
        lambda: [seen for seen in system.witness.read(topics.ERRORS) if seen.key == mark], what="a dead letter"
    )[0]
    assert letter.value is None
    assert letter.header("x_error_reason") == "tombstone"


@pytest.mark.parametrize(
    ("topic", "key"),
    # The leads topic is compacted as well: Kafka takes nothing without a key there.
    [(topics.MESSAGES, None), (topics.LEADS, b"odd"), (topics.inbox("lead_scoring"), None)],
)
def test_records_without_key_or_with_odd_headers_do_no_harm(system: System, topic: str, key: bytes | None) -> None:
    headers: list[tuple[str, str | bytes | None]] = [
        ("", b""),
        ("x_null", None),
        ("x_bytes", b"\xff\x00"),
        *((f"x_{n}", b"1") for n in range(500)),
    ]
    value = unique(b"odd ")
    # kafka-python writes no header without value; the other client does.
    producer = confluent_kafka.Producer({"bootstrap.servers": system.witness.bootstrap})
    producer.produce(topic, value, key, headers=headers)
    assert producer.flush(10) == 0
    letter = eventually(lambda: dead_letters(system, value), what="a dead letter")[0]
    assert letter.headers["x_bytes"] == b"\xff\x00"
    assert letter.headers["x_499"] == b"1"


def test_a_repeated_message_is_decided_once(system: System) -> None:
    workflow = system.send("lead.activity_noted", {"lead_id": "x", "text": "nothing of interest"}, times=3)
    marker = system.send("lead.activity_noted", {"lead_id": "x", "text": "nothing of interest"})
    eventually(lambda: system.outcomes(marker), what="a decision on a later message")
    assert len(system.outcomes(workflow)) == 1


def test_after_all_that_the_job_has_not_restarted_and_a_lead_still_arrives(
    system: System, restarts_before: int
) -> None:
    assert system.job_restarts() == restarts_before
    _, address = system.insert(hot_lead())
    eventually(lambda: system.mails_to(address), within_s=60, what="a mail to the lead")
