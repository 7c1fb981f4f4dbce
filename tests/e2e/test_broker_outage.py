"""A broker that dies and comes back, as an agent's inbox sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from confluent_kafka import Producer

from pointsman.kafka.admin import KafkaAdmin
from pointsman.local import LocalStack, StackOptions
from pointsman.topics import inbox, inbox_topic
from tests.e2e.system import ROOT
from tests.e2e.test_agent_membership import Member, has
from tests.witness import eventually

AGENT = "patient"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalStack]:
    options = StackOptions(data_dir=tmp_path / "broker", free_ports=True, jars_dir=ROOT / ".pointsman" / "jars")
    stack = LocalStack(options)
    try:
        stack.up(only={"kafka"})
        yield stack
    finally:
        stack.down()


def work_for(member: Member, bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(inbox(AGENT), b"{}", b"w")
    assert producer.flush(20) == 0
    eventually(lambda: has_work(member), within_s=60, every_s=0, what="a record to work on")


def has_work(member: Member) -> bool:
    member.turn()
    return bool(member.work)


def test_the_first_transaction_after_an_outage_does_not_wait_for_a_connection_that_nobody_makes(
    broker: LocalStack,
) -> None:
    bootstrap = broker.addresses.kafka_bootstrap
    KafkaAdmin(bootstrap).ensure_topics([inbox_topic(AGENT, 1), inbox_topic(f"{AGENT}_answers", 1)])
    with closing(Member(bootstrap, AGENT, "1")) as member:
        work_for(member, bootstrap)
        member.answer()
        broker.kill("kafka")
        eventually(lambda: has(member, 0), within_s=60, every_s=0, what="partitions that are lost")
        eventually(lambda: has(member, 1), within_s=60, every_s=0, what="its partition again")
        work_for(member, bootstrap)
        # On a thread of its own, as a client that hangs cannot be interrupted.
        answering = Thread(target=member.answer, daemon=True)
        answering.start()
        eventually(lambda: not answering.is_alive(), within_s=15, what="an answer that is written")
        assert member.work == []
