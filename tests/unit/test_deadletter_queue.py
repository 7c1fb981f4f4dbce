"""A dead letter goes back where it was read, a bounded number of times, once each, and never without a record of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.audit import Action, AuditEntry, read_entry
from pointsman.deadletter_queue import DeadLetter, Selection, grouped, letter_id, sent_again
from pointsman.deadletter_work import DeadLetterWork
from pointsman.envelope import Record, decode
from pointsman.errors import RefusedError
from pointsman.testing import ManualClock
from pointsman.topics import AUDIT, DEFINITIONS, LEADS, MESSAGES, inbox
from tests.dead_letters import AT, MemoryTopics, failed


def work(topics: MemoryTopics, pauses: list[float] | None = None) -> DeadLetterWork:
    waited = pauses if pauses is not None else []
    return DeadLetterWork(topics=topics, by="ann", now=ManualClock(), pause=waited.append)


def letters(topics: MemoryTopics, **selection: object) -> list[DeadLetter]:
    return list(work(topics).find(Selection(**selection)))  # type: ignore[arg-type]


@pytest.mark.parametrize("topic", [MESSAGES, LEADS, inbox("lead_scoring")])
def test_a_letter_goes_back_to_where_it_was_read_with_its_bytes_headers_and_id(topic: str) -> None:
    record = failed(topic, extra={"traceparent": b"00-x"})

    back = sent_again(DeadLetter(record=record))

    assert (back.topic, back.key, back.value) == (topic, record.key, record.value)
    message = decode(back)
    assert (message.id, message.attempt, message.extra) == ("m-1", 1, {"traceparent": b"00-x"})


def test_what_was_sent_back_three_times_is_not_sent_again() -> None:
    assert decode(sent_again(DeadLetter(record=failed(attempt=2)))).attempt == 3
    with pytest.raises(RefusedError, match="3 times, 3 are allowed"):
        sent_again(DeadLetter(record=failed(attempt=3)))


@pytest.mark.parametrize("topic", [DEFINITIONS, "", "agents.Big.inbox"])
def test_nothing_goes_back_to_a_topic_that_takes_no_messages(topic: str) -> None:
    record = failed()
    strange = replace(record, headers={**record.headers, "x_error_topic": topic.encode()})
    with pytest.raises(RefusedError, match="nothing is sent back to"):
        sent_again(DeadLetter(record=strange))


@pytest.mark.parametrize(("reason", "text"), [("too_large", "agent_messages/3/41"), ("tombstone", "no value")])
def test_a_letter_without_bytes_cannot_go_back_as_it_was(reason: str, text: str) -> None:
    with pytest.raises(RefusedError, match=text):
        sent_again(DeadLetter(record=failed(reason=reason, value=None)))


@pytest.mark.parametrize("attempt", [b"", b"x", b"\xff", "²".encode(), b"-1", b"9" * 12])
def test_an_attempt_that_is_no_number_counts_as_none(attempt: bytes) -> None:
    record = failed()
    assert DeadLetter(record=replace(record, headers={**record.headers, "ce_attempt": attempt})).redrives == 0


def test_answers_do_not_inherit_the_attempt() -> None:
    message = decode(sent_again(DeadLetter(record=failed())))
    answer = message.reply(agent="a", agent_version="1", index=0, event_type="x.y", payload={}, time=AT)
    assert answer.attempt == 0
    assert "ce_attempt" not in answer.headers()


def test_sending_again_and_its_audit_record_are_one_transaction() -> None:
    topics = MemoryTopics(failed())

    (done,) = work(topics).redrive(letters(topics), 10)

    assert (done.is_done, done.text) == (True, "to agent_messages, attempt 1")
    ((message, audit),) = topics.transactions
    entry = read_entry(audit)
    assert entry is not None
    assert (message.topic, audit.topic, audit.key) == (MESSAGES, AUDIT, b"agent_errors/0/0")
    assert (entry.action, entry.by, entry.at, entry.workflow_id) == (Action.REDRIVEN, "ann", AT, "w-1")
    assert entry.details["to"] == MESSAGES
    assert b"Mara" not in (audit.value or b"")


def test_a_letter_is_sent_again_once_also_by_somebody_who_has_not_seen_it() -> None:
    topics = MemoryTopics(failed())
    seen_by_two = letters(topics)

    results = [*work(topics).redrive(seen_by_two, 10), *work(topics).redrive(seen_by_two, 10)]

    assert [done.is_done for done in results] == [True, False]
    assert "ann has sent it again" in results[1].text
    assert len(topics.sent) == 1


def test_what_was_dealt_with_is_left_out_until_asked_for() -> None:
    topics = MemoryTopics(failed(), failed())
    list(work(topics).redrive(letters(topics)[:1], 10))
    assert [letter.id for letter in letters(topics)] == ["agent_errors/0/1"]
    assert len(letters(topics, with_handled=True)) == 2


def test_the_fourth_time_is_refused_over_all_the_letters_of_one_message() -> None:
    topics = MemoryTopics(failed())
    outcomes = []
    for _ in range(4):
        (done,) = work(topics).redrive(letters(topics), 10)
        outcomes.append(done.is_done)
        if done.is_done:
            topics.add(failed(attempt=decode(topics.sent[-1]).attempt))
    assert outcomes == [True, True, True, False]


def test_no_more_than_the_rate_go_in_a_second() -> None:
    topics, pauses = MemoryTopics(*[failed()] * 5), list[float]()
    results = list(work(topics, pauses).redrive(letters(topics), 2))
    assert (len(results), len(topics.transactions), pauses) == (5, 3, [1.0, 1.0])


def test_a_preview_says_what_would_happen_and_writes_nothing() -> None:
    topics = MemoryTopics(failed(), failed(attempt=3))
    assert [done.is_done for done in work(topics).preview(letters(topics))] == [True, False]
    assert topics.written == []


def test_an_edited_letter_goes_back_with_the_new_payload_and_only_hashes_are_on_record() -> None:
    topics = MemoryTopics(failed())
    done = work(topics).edit(letters(topics)[0], b'{"lead_id":"w-2"}')
    assert done.is_done
    assert (topics.sent[0].value, decode(topics.sent[0]).id) == (b'{"lead_id":"w-2"}', "m-1")
    details = json.loads(topics.written[1].value or b"")["details"]
    assert len(details["payload_sha256"]) == len(details["original_sha256"]) == 64
    assert letters(topics) == []
    assert letters(topics, with_handled=True)[0].record.value == failed().value


def test_a_discarded_letter_is_dealt_with_and_may_still_be_sent_again() -> None:
    topics = MemoryTopics(failed())
    (done,) = work(topics).discard(letters(topics), "a test")
    assert (done.is_done, topics.sent, letters(topics)) == (True, [], [])
    (again,) = work(topics).discard(letters(topics, with_handled=True), "a test")
    assert not again.is_done
    (sent,) = work(topics).redrive(letters(topics, with_handled=True), 10)
    assert sent.is_done


def test_letters_are_chosen_by_reason_and_stage_and_agents_also_by_their_bare_name() -> None:
    topics = MemoryTopics(failed(), failed(stage="agent/send_email"), failed(reason="too_large"))
    assert [letter.id for letter in letters(topics, stage="send_email")] == ["agent_errors/0/1"]
    assert [letter.id for letter in letters(topics, stage="agent/send_email")] == ["agent_errors/0/1"]
    assert [letter.id for letter in letters(topics, reason="too_large", stage="router")] == ["agent_errors/0/2"]


def test_groups_tell_how_many_since_when_and_until_when() -> None:
    early = failed()
    late = replace(early, headers={**early.headers, "x_error_at": b"2030-01-03T00:00:00Z"})
    groups = grouped([DeadLetter(record=one) for one in (late, early, failed(stage="leads"))])
    assert [(group.stage, group.count) for group in groups] == [("router", 2), ("leads", 1)]
    assert (groups[0].first_at, groups[0].last_at.day) == (AT, 3)


@pytest.mark.parametrize(
    "text", ["", "1/2", "agent_errors/1", "agent_errors/a/1", "agent_messages/1/2", "agent_errors/1/-2"]
)
def test_a_text_that_names_no_letter_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="agent_errors/<partition>/<offset>"):
        letter_id(text)


@given(
    st.none() | st.binary(max_size=50),
    st.dictionaries(
        st.sampled_from(["ce_attempt", "ce_id", "x_error_topic", "x_error_at", "x_error_reason", "x_error_stage"]),
        st.binary(max_size=30),
    ),
)
def test_whatever_lies_among_dead_letters_is_sent_or_refused_and_nothing_else(
    value: bytes | None, headers: dict[str, bytes]
) -> None:
    topics = MemoryTopics(Record(topic="agent_errors", key=None, value=value, headers=headers, timestamp_ms=1))
    found = letters(topics)
    grouped(found)
    (done,) = work(topics).redrive(found, 1)
    assert done.is_done is bool(topics.sent)


@pytest.mark.parametrize("value", [None, b"", b"[]", b"{}", b"\xff", b'{"action": "other", "subject": "x"}'])
def test_what_is_no_audit_record_counts_for_nothing(value: bytes | None) -> None:
    assert read_entry(Record(topic=AUDIT, key=b"k", value=value, headers={})) is None


def test_an_audit_record_says_again_what_was_put_in() -> None:
    entry = AuditEntry(action=Action.EDITED, subject="s", by="bo", at=AT, details={"attempt": 1}, workflow_id="w")
    assert read_entry(entry.to_record()) == entry
