"""What a dead letter keeps of the record that failed, and what it adds."""

from datetime import UTC, datetime

from pointsman.deadletters import dead_letter
from pointsman.envelope import Record
from pointsman.errors import ErrorReason

FIRST = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW = datetime(2030, 1, 2, 3, 4, 6, tzinfo=UTC)


def letter_of(record: Record, catalog: str | None = "c1") -> Record:
    return dead_letter(
        record,
        reason=ErrorReason.INVALID_JSON,
        stage="router",
        detail="the value is not JSON",
        attempts=2,
        first_at=FIRST,
        now=NOW,
        catalog=catalog,
    )


def test_a_dead_letter_keeps_key_bytes_and_headers_as_they_came() -> None:
    record = Record(topic="agent_messages", key=b"\xff", value=b"\x00junk", headers={"mine": b"\xfe"}, partition=3)

    letter = letter_of(record)

    assert (letter.topic, letter.key, letter.value) == ("agent_errors", b"\xff", b"\x00junk")
    assert letter.headers["mine"] == b"\xfe"


def test_a_dead_letter_says_why_where_and_when() -> None:
    record = Record(topic="agent_messages", key=None, value=None, headers={}, partition=3, offset=41)

    headers = letter_of(record).headers

    assert dict(headers) == {
        "x_error_reason": b"invalid_json",
        "x_error_stage": b"router",
        "x_error_message": b"the value is not JSON",
        "x_error_topic": b"agent_messages",
        "x_error_partition": b"3",
        "x_error_offset": b"41",
        "x_error_attempts": b"2",
        "x_error_first_at": b"2030-01-02T03:04:05.000Z",
        "x_error_at": b"2030-01-02T03:04:06.000Z",
        "x_error_catalog": b"c1",
    }


def test_a_record_that_fails_again_tells_its_latest_failure() -> None:
    again = Record(topic="agents.x.inbox", key=b"k", value=b"v", headers={"x_error_reason": b"old"}, offset=7)

    headers = letter_of(again, catalog=None).headers

    assert headers["x_error_reason"] == b"invalid_json"
    assert headers["x_error_offset"] == b"7"
    assert headers["x_error_catalog"] == b""
