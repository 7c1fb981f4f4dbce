"""The job of this release goes on from what an earlier release has left: nothing is lost, nothing happens twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pointsman.kafka import KafkaAdmin, load_catalog
from pointsman.local import LocalStack, StackOptions
from pointsman.topics import ERRORS, MESSAGES, inbox_topic
from tests.e2e.savepoints.kept import NAME, put_back, records_of, releases, unpack_savepoint
from tests.e2e.savepoints.make import submit_job
from tests.e2e.system import ROOT, System
from tests.e2e.under_way import UnderWay, write_definitions
from tests.witness import Seen, eventually

PARTS = ("kafka", "topics", "flink", "model")


@pytest.fixture(params=releases())
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """Topics and savepoint as the earlier release has left them; no job runs."""
    options = StackOptions(
        data_dir=tmp_path / "data", jars_dir=ROOT / ".pointsman" / "jars", free_ports=True, submit_job=False
    )
    system = System(stack=LocalStack(options), data_dir=options.data_dir, early_address="")
    try:
        system.stack.up(only=PARTS)
        give_back(system, request.param)
        yield system
    finally:
        system.close()
        system.stack.down()
    assert system.stack.processes() == []


def give_back(system: System, release: str) -> None:
    bootstrap = system.settings["kafka_bootstrap"]
    records = records_of(release)
    there = system.witness.topics()
    inboxes = {record.topic.split(".")[1] for record in records if record.topic not in there}
    KafkaAdmin(bootstrap).ensure_topics(map(inbox_topic, sorted(inboxes)))
    put_back(bootstrap, records)
    # Where an agent has got nothing yet, there is no record to tell of its inbox.
    KafkaAdmin(bootstrap).ensure_topics(map(inbox_topic, load_catalog(bootstrap).definitions))
    assert places(system.witness.read(*there)) == places(record for record in records if record.topic in there)
    unpack_savepoint(release, system.data_dir / "flink" / "savepoints" / "left")


def places(records: Iterator[Seen] | list[Seen]) -> set[tuple[str, int, int]]:
    return {(record.topic, record.partition, record.offset) for record in records}


def test_what_an_earlier_release_left_goes_on(left: System, tmp_path: Path) -> None:
    under_way = UnderWay(left, NAME)
    with under_way.traffic() as traffic:
        submit_job(left, "--restore", str(left.data_dir / "flink" / "savepoints" / "left"))
        under_way.questions_are_answered()
        under_way.say_again()
        under_way.plan_goes_on()
        under_way.cancellation_holds()
        under_way.counts_go_on()
    assert len(traffic) > 1
    eventually(lambda: undecided(left) == [], within_s=60, what="a decision on every message")
    assert decided_twice(left) == []
    assert sent_otherwise_than_once(left) == []
    assert left.witness.read(ERRORS) == []

    follows_an_apply(left, tmp_path)


def follows_an_apply(system: System, folder: Path) -> None:
    """The definitions of this release come into force on top of those that were kept."""
    before = load_catalog(system.settings["kafka_bootstrap"])
    write_definitions(folder)
    system.cli("agents", "apply", "--prune", str(folder))
    assert system.catalog_sequence() > before.sequence
    system.wait_for_router()


def said(system: System) -> list[tuple[str, str]]:
    """Source and id of every message, once."""
    return list(
        dict.fromkeys((seen.header("ce_source"), seen.header("ce_id")) for seen in system.witness.read(MESSAGES))
    )


def decided(system: System) -> Counter[tuple[str, str]]:
    return Counter((decision["source"], decision["message_id"]) for decision in system.all_decisions())


def undecided(system: System) -> list[tuple[str, str]]:
    made = decided(system)
    return [message for message in said(system) if message not in made]


def decided_twice(system: System) -> list[tuple[str, str]]:
    return [message for message, times in decided(system).items() if times != 1]


def sent_otherwise_than_once(system: System) -> list[tuple[str, str]]:
    """Messages of which the inbox of the agent that was chosen has no copy, or several."""
    inboxes = [topic for topic in system.witness.topics() if topic.endswith(".inbox")]
    copies = Counter(
        (seen.topic, seen.header("ce_source"), seen.header("ce_id")) for seen in system.witness.read(*inboxes)
    )
    routed = {
        (f"agents.{decision['agent']}.inbox", decision["source"], decision["message_id"])
        for decision in system.all_decisions()
        if decision["outcome"] == "routed"
    }
    return [each[1:] for each in routed | set(copies) if copies[each] != 1 or each not in routed]
