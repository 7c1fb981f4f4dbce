"""Positions that belong to a transaction which its coordinator has forgotten, as a killed broker once left them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from kafka import KafkaAdminClient
from kafka.protocol.producer.transaction import TxnOffsetCommitRequest

from pointsman.kafka import open_transactions
from pointsman.kafka.admin import KafkaAdmin
from pointsman.topics import group, inbox, inbox_topic
from tests.e2e.system import System
from tests.e2e.test_agent_membership import Member, has
from tests.witness import eventually

AGENT = "forgetful"
POSITION = 7


@pytest.fixture
def bootstrap(system: System) -> str:
    address: str = system.settings["kafka_bootstrap"]
    KafkaAdmin(address).ensure_topics([inbox_topic(AGENT, 1), inbox_topic(f"{AGENT}_answers", 1)])
    return address


@pytest.fixture
def admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    """A client whose broker does not ask the coordinator whether a transaction is under way."""
    verify(bootstrap, AlterConfigOpType.SET)
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as client:
        yield client
    verify(bootstrap, AlterConfigOpType.DELETE)


def verify(bootstrap: str, change: AlterConfigOpType) -> None:
    """Set the broker's setting to false, or back to what it was."""
    name = "transaction.partition.verification.enable"
    entry = ConfigEntry(name, "false", incremental_operation=change)
    resource = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
    client = AdminClient({"bootstrap.servers": bootstrap})
    for done in client.incremental_alter_configs([resource]).values():
        done.result(10)


def positions_of_no_transaction(admin: KafkaAdminClient, bootstrap: str, who: str) -> None:
    """Write them in the name of the producer `who`; its coordinator is told nothing."""
    Producer({"bootstrap.servers": bootstrap, "transactional.id": who}).init_transactions(20)
    producer = admin.describe_transactions([who])[who]
    topic = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
    partition = topic.TxnOffsetCommitRequestPartition(
        partition_index=0, committed_offset=POSITION, committed_leader_epoch=-1, committed_metadata=""
    )
    # From version 5 on the broker tells the coordinator itself.
    request = TxnOffsetCommitRequest(
        version=4, transactional_id=who, group_id=group(AGENT), producer_id=producer.producer_id,
        producer_epoch=producer.producer_epoch, generation_id=-1, member_id="", group_instance_id=None,
        topics=[topic(name=inbox(AGENT), partitions=[partition])],
    )  # fmt: skip
    answer: Any = admin._manager.run(admin._manager.send, request, producer.coordinator_id)
    assert [one.error_code for found in answer.topics for one in found.partitions] == [0]


def are_told(bootstrap: str) -> bool:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group(AGENT)})
    try:
        consumer.committed([TopicPartition(inbox(AGENT), 0)], timeout=3)
    except KafkaException:
        return False
    finally:
        consumer.close()
    return True


def test_the_next_start_of_the_instance_lets_go_of_them(bootstrap: str, admin: KafkaAdminClient) -> None:
    positions_of_no_transaction(admin, bootstrap, f"pointsman.{AGENT}.1")
    assert not are_told(bootstrap)
    with closing(Member(bootstrap, AGENT, "1")) as back:
        eventually(partial(has, back, 1), within_s=30, every_s=0, what="its partition")
    assert are_told(bootstrap)


def test_who_holds_the_readers_of_a_topic_back_is_found(bootstrap: str) -> None:
    topic = inbox(f"{AGENT}_answers")
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "slow"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"", partition=0)
    producer.flush(20)
    (held,) = open_transactions(bootstrap, [topic])
    assert (held.topic, held.partition, held.offset) == (topic, 0, 0)
    assert held.since is not None
    assert abs((datetime.now(UTC) - held.since).total_seconds()) < 60
    producer.abort_transaction(20)
    eventually(lambda: not open_transactions(bootstrap, [topic]), what="nobody who holds readers back")
