"""Reading a topic while its partitions get another leader."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from confluent_kafka import KafkaError, KafkaException

from pointsman.errors import BrokerUnavailableError
from pointsman.kafka import reading

TOPIC = "agent_audit"


class Cluster:
    """What a consumer sees of an empty topic, after some errors."""

    to_say: ClassVar[list[int]] = []
    topics: ClassVar = {TOPIC: SimpleNamespace(error=None, partitions={0: None})}

    def __init__(self, _: dict[str, Any]) -> None: ...

    def list_topics(self, *_: object, **__: object) -> Cluster:
        return self

    def get_watermark_offsets(self, *_: object, **__: object) -> tuple[int, int]:
        if self.to_say:
            raise KafkaException(KafkaError(self.to_say.pop(0)))
        return 0, 0

    def assign(self, _: object) -> None: ...

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "Consumer", Cluster)


@pytest.mark.parametrize("moving", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._UNKNOWN_PARTITION])
def test_who_reads_while_a_partition_gets_another_leader_waits_for_it(moving: int) -> None:
    Cluster.to_say = [moving, moving]
    assert list(reading.read_all("kafka:9092", TOPIC)) == []
    assert Cluster.to_say == []


def test_an_error_that_does_not_pass_is_told_at_once() -> None:
    Cluster.to_say = [KafkaError.BROKER_NOT_AVAILABLE, KafkaError.BROKER_NOT_AVAILABLE]
    with pytest.raises(BrokerUnavailableError, match="BROKER_NOT_AVAILABLE"):
        list(reading.read_all("kafka:9092", TOPIC))
    assert len(Cluster.to_say) == 1
