"""Flink SQL from `sql/`, with its placeholders filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from flink_jobs.operators.outputs import MAX_KEPT_BYTES
from pointsman.archive.options import ARCHIVED, ArchiveOptions
from pointsman.envelope import AGENT_SOURCE, MAX_PAYLOAD_BYTES, OPERATOR_SOURCE, WORKFLOW_CANCELLED
from pointsman.flink_login import login_from
from pointsman.job_options import EXACTLY_ONCE, FAST, JobOptions
from pointsman.topics import (
    DECISIONS,
    DEFINITIONS,
    ERRORS,
    ESCALATIONS,
    INBOX_PATTERN,
    LEADS,
    MAX_RECORD_BYTES,
    MESSAGES,
    SHADOW_DECISIONS,
    WORKFLOW_STATE,
)

SQL_DIR: Final = Path(__file__).parents[1] / "sql"
"""Beside this package, in a checkout and in the archive that is shipped to the cluster alike."""

SOURCES: Final = (
    ("leads", LEADS, "group-offsets"),
    ("messages", MESSAGES, "group-offsets"),
    ("definitions", DEFINITIONS, "earliest-offset"),
)
"""Tables that read a topic, and where each starts when there is no state: the catalog always at its beginning."""

GUARANTEES: Final = {EXACTLY_ONCE: "exactly-once", FAST: "at-least-once"}
"""What the sink is told, by the job's delivery."""

WRITTEN_TOPICS: Final = "|".join(
    [
        INBOX_PATTERN,
        *(re.escape(name) for name in (MESSAGES, DECISIONS, ESCALATIONS, ERRORS, WORKFLOW_STATE, SHADOW_DECISIONS)),
    ]
)

GUARD_STATE: Final = "guard3"
"""Which state the guard keeps. Whoever changes a statement so that it keeps other state (an aggregate, a partition, a
column that is kept) names it anew: a job that finds state under another name refuses it, where it would otherwise fail
or, worse, read it wrongly. `pointsman job upgrade --new-guard` goes on without it."""

VIEWS: Final = (
    "fresh_messages",
    "measured_messages",
    "counted_messages",
    "checked_leads",
    "lead_messages",
    "lead_errors",
    "leads_to_seal",
    "catalog_records",
)
"""In the order in which they build on each other."""


def definitions(options: JobOptions) -> list[str]:
    """The statements that define the job's tables and views, in order."""
    security = {
        "security_protocol": options.kafka_security_protocol,
        "sasl_mechanism": options.kafka_sasl_mechanism,
    }
    kafka = {"bootstrap": options.kafka_bootstrap, "group": options.name, **security}
    sources = [
        statement("kafka_source", table=table, topic=topic, startup=startup, **kafka)
        for table, topic, startup in SOURCES
    ]
    sink = statement(
        "outbox",
        topics=WRITTEN_TOPICS,
        bootstrap=options.kafka_bootstrap,
        max_record_bytes=MAX_RECORD_BYTES,
        transactional_id_prefix=options.transactional_id_prefix,
        guarantee=GUARANTEES[options.delivery],
        **security,
    )
    names: dict[str, str | int] = {
        "leads_topic": LEADS,
        "messages_topic": MESSAGES,
        "errors_topic": ERRORS,
        "max_payload_bytes": MAX_PAYLOAD_BYTES,
        "max_kept_bytes": MAX_KEPT_BYTES,
        "agent_source": AGENT_SOURCE,
        "operator_source": OPERATOR_SOURCE,
        "cancelled_type": WORKFLOW_CANCELLED,
    }
    return [*sources, sink, *(statement(view, **names) for view in VIEWS)]


def archive_statements(options: ArchiveOptions) -> list[str]:
    """The statements of the archive job, in order."""
    login = login_from(options.kafka_login_dir, options.kafka_sasl_mechanism)
    lines = (f"{text_literal(f'properties.{name}')} = {text_literal(value)}," for name, value in login.items())
    source = statement(
        "archive_source",
        {"login": "\n    ".join(lines)},
        topics=";".join(ARCHIVED),
        bootstrap=options.kafka_bootstrap,
        group=options.name,
        security_protocol=options.kafka_security_protocol,
        sasl_mechanism=options.kafka_sasl_mechanism,
    )
    return [source, statement("archive_files", directory=options.directory), statement("write_archive")]


def statement(name: str, fragments: Mapping[str, str] | None = None, /, **values: str | int) -> str:
    """The statement in `sql/<name>.sql`; every value goes in as the inside of a quoted SQL text.

    Args:
        name: the file's name without its ending.
        fragments: values that go in as they are: SQL, made of `text_literal`.
        values: values by placeholder.

    Raises:
        KeyError: the file has a placeholder that got no value.
    """
    text = (SQL_DIR / f"{name}.sql").read_text(encoding="utf-8")
    quoted = {key: str(value).replace("'", "''") for key, value in values.items()}
    return Template(text).substitute({**quoted, **(fragments or {})})


def text_literal(text: str) -> str:
    """`text` as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"
