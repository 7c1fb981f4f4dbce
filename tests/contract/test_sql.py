"""The SQL files against the code: topics, headers, placeholders and columns are said once."""

import re
from datetime import UTC, datetime
from pathlib import Path

from flink_jobs.operators.records import OUTBOX_COLUMNS
from flink_jobs.sql_files import SOURCES, SQL_DIR, VIEWS, WRITTEN_TOPICS, definitions, statement
from pointsman import topics
from pointsman.deadletters import dead_letter
from pointsman.envelope import Record, decode
from pointsman.errors import ErrorReason
from pointsman.job_options import JobOptions

FILES = {path.stem: path.read_text() for path in sorted(SQL_DIR.glob("*.sql"))}
SCRIPTS = {"ml_predict_router"}
STATEMENTS = {
    "kafka_source",
    "outbox",
    "write_outbox",
    "write_sealed_outbox",
    *VIEWS,
    "archive_source",
    "archive_files",
    "write_archive",
}
SAMPLE = datetime(2030, 1, 1, tzinfo=UTC)


def without_comments(text: str) -> str:
    return re.sub(r"--.*", "", text)


def test_every_file_is_a_statement_of_the_job() -> None:
    assert set(FILES) == STATEMENTS | SCRIPTS


def test_every_placeholder_gets_its_value() -> None:
    told = JobOptions(kafka_bootstrap="k:9092", name="r", transactional_id_prefix="p")

    statements = definitions(told)

    assert len(statements) == len(SOURCES) + 1 + len(VIEWS)
    assert not any("${" in text for text in statements)
    assert "'topic' = 'agent_messages'" in statements[1]


def test_no_file_names_a_topic_itself() -> None:
    for name, text in FILES.items():
        for topic in topics.ALL:
            assert f"'{topic.name}'" not in without_comments(text), f"sql/{name}.sql: use a placeholder"


def test_the_sink_takes_the_topics_that_are_written_and_no_other() -> None:
    written = re.compile(WRITTEN_TOPICS)

    assert all(
        written.fullmatch(name)
        for name in (
            topics.inbox("a_1"),
            topics.MESSAGES,
            topics.DECISIONS,
            topics.ESCALATIONS,
            topics.ERRORS,
            topics.WORKFLOW_STATE,
        )
    )
    assert not any(
        written.fullmatch(name) for name in (topics.LEADS, topics.DEFINITIONS, "agents.A.inbox", "xagent_errors")
    )


def test_a_dead_lead_carries_the_headers_of_every_dead_letter() -> None:
    record = Record(topic="t", key=None, value=None, headers={})
    letter = dead_letter(
        record,
        reason=ErrorReason.TOMBSTONE,
        stage="s",
        detail="d",
        attempts=1,
        first_at=SAMPLE,
        now=SAMPLE,
        catalog=None,
    )

    assert set(re.findall(r"'(x_error_\w+)'", FILES["lead_errors"])) == set(letter.headers)


def test_a_lead_gets_the_headers_of_a_message() -> None:
    given = re.findall(r"'(ce_\w+|content-type)', ENCODE\((.+), 'UTF-8'\)", FILES["lead_messages"])
    values = {"ce_time": b"2030-01-01T00:00:00.000Z"}
    headers = {name: values.get(name, text.strip("'").encode()) for name, text in given}

    message = decode(Record(topic="t", key=b"k", value=b"{}", headers=headers))

    assert (message.event_type, message.source) == ("lead.received", "/connectors/mongodb/sdr.leads")
    assert topics.LEADS.endswith(message.source.rpartition("/")[2])


def test_reasons_of_leads_are_reasons_of_dead_letters() -> None:
    reasons = re.findall(r"THEN '(\w+)'", FILES["checked_leads"])

    assert reasons
    assert set(reasons) <= {reason.value for reason in ErrorReason}


def test_values_cannot_leave_their_quotes() -> None:
    text = statement(
        "kafka_source",
        table="t",
        topic="a'b",
        startup="s",
        bootstrap="k",
        group="g",
        security_protocol="PLAINTEXT",
        sasl_mechanism="PLAIN",
    )

    assert "'topic' = 'a''b'" in text


def test_the_sink_has_the_columns_that_decisions_have() -> None:
    for name in ("outbox", "write_outbox", "write_sealed_outbox"):
        for column in OUTBOX_COLUMNS:
            assert re.search(rf"\b{column}\b", FILES[name]), f"sql/{name}.sql lacks {column}"


def test_no_sql_stands_elsewhere() -> None:
    root = Path(__file__).parents[2]
    sources = [path for room in ("pointsman", "flink_jobs", "agents") for path in (root / room).rglob("*.py")]
    with_sql = [
        path for path in sources if re.search(r"\b(CREATE (TEMPORARY )?(TABLE|VIEW)|INSERT INTO)\b", path.read_text())
    ]
    assert with_sql == []
