"""Errors of Kafka's client: which pass by themselves, and which need a new process."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from pointsman.kafka.clients import FencedError, is_lasting, translate


def test_a_fatal_event_ends_the_consumer_also_without_the_fatal_flag() -> None:
    event = KafkaError(KafkaError._FATAL, "Broker: Static consumer fenced")
    assert not event.fatal()
    assert is_lasting(event)
    assert isinstance(translate(KafkaException(event), "reading", "kafka:9092"), FencedError)


@pytest.mark.parametrize("code", [KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError.REQUEST_TIMED_OUT])
def test_what_the_client_tries_again_by_itself_does_not_end_it(code: int) -> None:
    assert not is_lasting(KafkaError(code))
