"""Writing records in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from pointsman.envelope import Record
from pointsman.errors import PointsmanError
from pointsman.kafka.clients import REQUEST_TIMEOUT_S, translated, writer_config
from pointsman.kafka.login import KafkaLogin
from pointsman.shredding.values import process_values

_TRANSACTION_TIMEOUT_S: Final = 15.0


class Failure(NamedTuple):
    """Why a record could not be written.

    Attributes:
        topic: where it should have gone.
        error: what the client says.
    """

    topic: str
    error: KafkaError


def publish(bootstrap: str, records: Iterable[Record], transactional_id: str, login: KafkaLogin | None = None) -> None:
    """Write `records` so that readers see all of them or none; as Avro and encrypted where that is configured.

    A transaction that another process has open under the same `transactional_id` is aborted.

    Args:
        bootstrap: the broker's address.
        records: what to write.
        transactional_id: who writes, for the broker.
        login: who logs in; None logs in as the settings say.

    Raises:
        BrokerUnavailableError: Kafka does not answer; nothing was written.
        RegistryUnavailableError: the schema registry does not; nothing was written.
        StoreUnavailableError: the store of the keys does not; nothing was written.
        ErasedError: a record's workflow is erased; nothing was written.
        FencedError: a second process published under the same id meanwhile.
        ConfigurationError: a topic is missing or not allowed.
    """
    with translated("publishing", bootstrap):
        producer = Producer(writer_config(bootstrap, transactional_id, _TRANSACTION_TIMEOUT_S, login))
        producer.init_transactions(REQUEST_TIMEOUT_S)
        producer.begin_transaction()
        failures: list[Failure] = []
        codec = process_values()
        try:
            for record in records:
                produce(producer, codec.written(record) if codec else record, failures)
        except PointsmanError:
            producer.abort_transaction(REQUEST_TIMEOUT_S)
            raise
        producer.flush(REQUEST_TIMEOUT_S)
        if failures:
            producer.abort_transaction(REQUEST_TIMEOUT_S)
            raise KafkaException(failures[0].error)
        producer.commit_transaction(REQUEST_TIMEOUT_S)


def produce(producer: Producer, record: Record, failures: list[Failure]) -> None:
    """Hand `record` to `producer`; why it could not be written lands in `failures`."""

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(Failure(record.topic, error))

    headers: list[tuple[str, str | bytes | None]] = list(record.headers.items())
    while True:
        try:
            producer.produce(record.topic, record.value, record.key, headers=headers, on_delivery=delivered)
        except BufferError:
            producer.poll(0.05)  # the client's queue is full: let it drain
        else:
            return
