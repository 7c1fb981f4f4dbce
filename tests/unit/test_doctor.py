"""Each thing that the doctor looks at: right, and wrong with the one line that mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pointsman.doctor import Finding, Verdict, judging, worst
from pointsman.doctor.judging import JobFacts, TopicFacts
from pointsman.doctor.probing import probed
from pointsman.errors import BrokerUnavailableError, ConfigurationError, RefusedError
from pointsman.kafka import OpenTransaction
from pointsman.settings import Settings
from pointsman.topics import ALL, inbox_topic

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
RUNNING = JobFacts(state="RUNNING", checkpoint_age_s=0.4, failed_checkpoints=0)


def verdicts(findings: Iterable[Finding]) -> dict[str, str]:
    """Verdicts by subject; every finding that is not ok must say its fix."""
    found = list(findings)
    assert all(one.fix for one in found if one.verdict is not Verdict.OK)
    assert all("\n" not in one.fix for one in found)
    return {one.subject: one.verdict.value for one in found}


def test_topics_as_they_must_be() -> None:
    found = {topic.name: TopicFacts(partitions=topic.partitions, config=topic.config) for topic in ALL}
    assert set(verdicts(judging.topics(ALL, found)).values()) == {"ok"}


@pytest.mark.parametrize(
    ("config", "detail"),
    [
        ({"retention.ms": "1000"}, "retention.ms is 1000, not 604800000"),
        ({"cleanup.policy": "compact"}, "cleanup.policy is compact, not delete"),
        ({"max.message.bytes": "1048588"}, "max.message.bytes is 1048588"),
    ],
)
def test_a_topic_that_is_otherwise(config: dict[str, str], detail: str) -> None:
    topic = inbox_topic("a")
    facts = TopicFacts(partitions=4, config={**topic.config, **config})
    (finding,) = judging.topics([topic], {topic.name: facts})
    assert finding.verdict is Verdict.WRONG
    assert detail in finding.detail
    assert "kafka-configs --alter --topic agents.a.inbox" in finding.fix


@pytest.mark.parametrize(
    ("wanted", "found", "verdict"), [(4, 8, None), (4, 4, None), (4, 1, "warning"), (1, 1, None), (1, 4, "wrong")]
)
def test_how_many_partitions_a_topic_may_have(wanted: int, found: int, verdict: str | None) -> None:
    topic = inbox_topic("a", wanted)
    told = verdicts(judging.topics([topic], {topic.name: TopicFacts(partitions=found, config=topic.config)}))
    assert told.get("agents.a.inbox partitions") == verdict


def test_the_broker_is_held_against_the_sinks_own_time_out() -> None:
    sink = (Path(__file__).parents[2] / "sql" / "outbox.sql").read_text()
    assert f"'properties.transaction.timeout.ms' = '{judging.SINK_TRANSACTION_MS}'" in sink


def test_a_topic_that_is_not_there() -> None:
    assert verdicts(judging.topics([inbox_topic("a")], {})) == {"agents.a.inbox": "wrong"}


@pytest.mark.parametrize(
    ("value", "verdict"), [("600000", "ok"), ("900000", "ok"), ("60000", "wrong"), ("", "warning")]
)
def test_how_long_the_broker_lets_a_transaction_last(value: str, verdict: str) -> None:
    assert judging.broker({"transaction.max.timeout.ms": value}).verdict.value == verdict


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({"connector": {"state": "RUNNING"}, "tasks": [{"id": 0, "state": "RUNNING"}]}, {"ok"}),
        ({"connector": {"state": "RUNNING"}, "tasks": [{"id": 0, "state": "FAILED"}]}, {"ok", "wrong"}),
        ({"connector": {"state": "PAUSED"}, "tasks": []}, {"wrong"}),
        (None, {"wrong"}),
    ],
)
def test_a_connector_runs_with_its_tasks(status: dict[str, Any] | None, found: set[str]) -> None:
    assert set(verdicts(judging.connector("leads", status)).values()) == found


@pytest.mark.parametrize(
    ("name", "hours", "found"),
    [
        ("rs0", 48.0, ["ok", "ok"]),
        ("rs0", 1.0, ["ok", "ok"]),
        ("rs0", None, ["ok", "warning"]),
        (None, None, ["wrong"]),
    ],
)
def test_mongodb_keeps_a_log_of_changes(name: str | None, hours: float | None, found: list[str]) -> None:
    assert list(verdicts(judging.replica_set(name, hours)).values()) == found


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (RUNNING, ["ok", "ok"]),
        (replace(RUNNING, failed_checkpoints=3), ["ok", "ok"]),
        (replace(RUNNING, checkpoint_age_s=300.0), ["ok", "wrong"]),
        (replace(RUNNING, checkpoint_age_s=None), ["ok", "wrong"]),
        (replace(RUNNING, state="RESTARTING"), ["wrong"]),
        (None, ["wrong"]),
    ],
)
def test_the_job_runs_and_its_checkpoints_are_young(facts: JobFacts | None, found: list[str]) -> None:
    assert list(verdicts(judging.job("router", facts)).values()) == found


@pytest.mark.parametrize(("count", "slots", "verdict"), [(2, 2, "ok"), (1, 4, "warning"), (0, 0, "wrong")])
def test_task_managers_have_one_slot_each(count: int, slots: int, verdict: str) -> None:
    assert judging.task_managers(count, slots).verdict.value == verdict


def test_jars_are_on_the_class_path() -> None:
    path = "/opt/flink/lib/flink-python-2.3.0.jar:/opt/flink/lib/flink-dist.jar"
    assert verdicts(judging.jars(path)) == {"flink-python": "ok", "flink-sql-connector-kafka": "wrong"}


@pytest.mark.parametrize(("seconds", "verdict"), [(0.5, "ok"), (-0.5, "ok"), (5, "wrong"), (-5, "wrong")])
def test_clocks_agree(seconds: float, verdict: str) -> None:
    assert judging.clock("mongodb", NOW + timedelta(seconds=seconds), NOW).verdict.value == verdict


@pytest.mark.parametrize(("minutes", "verdict"), [(None, "ok"), (1, "ok"), (10, "ok"), (12, "wrong")])
def test_a_transaction_older_than_any_may_be_holds_readers_back_for_good(minutes: int | None, verdict: str) -> None:
    since = None if minutes is None else NOW - timedelta(minutes=minutes)
    held = OpenTransaction(topic="agent_messages", partition=2, offset=41, since=since)
    (finding,) = judging.readers([held], NOW)
    assert finding.verdict.value == verdict
    assert verdict == "ok" or "--topic agent_messages --partition 2 --start-offset 41" in finding.fix


def test_nothing_holds_readers_back_where_no_transaction_is_open() -> None:
    assert verdicts(judging.readers([], NOW)) == {"readers": "ok"}


@pytest.mark.parametrize(("newest", "verdict"), [(None, "ok"), (-60, "ok"), (60, "wrong")])
def test_no_record_is_from_the_future(newest: int | None, verdict: str) -> None:
    at = None if newest is None else NOW + timedelta(seconds=newest)
    assert judging.newest_record(at, NOW).verdict.value == verdict


@pytest.mark.parametrize(("gib", "verdict"), [(10, "ok"), (1, "wrong")])
def test_there_is_room(gib: int, verdict: str) -> None:
    assert judging.disk("/data", gib * 1024**3).verdict.value == verdict


def test_mails_that_go_nowhere_are_said() -> None:
    told = verdicts(judging.mail_settings("Alex <alex@sdr.example>", [], dry_run=True))
    assert told == {"sender": "warning", "dry run": "warning", "allow-list": "warning"}
    assert verdicts(judging.mail_settings("a@b.com", ["*"], dry_run=False)) == {"allow-list": "ok"}


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (BrokerUnavailableError("Kafka is away"), Verdict.DOWN),
        (ConfigurationError("the key is wrong", "set another"), Verdict.WRONG),
        (RefusedError("no"), Verdict.WRONG),
    ],
)
def test_a_part_that_fails_is_a_finding_and_no_crash(error: Exception, verdict: Verdict) -> None:
    def probe(settings: Settings) -> Iterable[Finding]:
        raise error

    (finding,) = probed("kafka", probe, Settings.model_construct(), "start it")
    assert finding.verdict is verdict
    assert finding.fix


def test_the_gravest_verdict_counts() -> None:
    found = [Finding(area="a", subject="s", verdict=verdict, detail="d", fix="f") for verdict in Verdict]
    assert worst(found) is Verdict.DOWN
    assert worst(found[:2]) is Verdict.WARNING
    assert worst([]) is Verdict.OK


@pytest.mark.parametrize(
    ("hosts", "is_encrypted", "has_login", "verdict"),
    [
        (["127.0.0.1", "localhost", "::1"], False, False, "ok"),
        (["kafka.internal"], True, True, "ok"),
        (["127.0.0.1", "10.0.0.7"], False, True, "warning"),
        (["kafka.internal"], True, False, "warning"),
        (["0.0.0.0"], False, False, "warning"),  # noqa: S104  # not listened on
        (["1broker.example"], False, False, "warning"),
    ],
)
def test_what_goes_over_the_network_is_encrypted_and_knows_who_comes(
    hosts: list[str], is_encrypted: bool, has_login: bool, verdict: str
) -> None:
    found = judging.access("kafka", hosts, "do this", is_encrypted=is_encrypted, has_login=has_login)
    assert found.verdict == verdict
    assert found.fix == ("do this" if verdict == "warning" else "")
