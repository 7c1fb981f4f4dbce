"""An agent instance's inbox on Kafka: a consumer and a transactional producer in one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NoReturn

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError, PointsmanError
from pointsman.kafka.clients import (
    CUT_OFF,
    REQUEST_TIMEOUT_S,
    is_lasting,
    kafka_error,
    note_error,
    reader_config,
    to_record,
    translate,
    translated,
    writer_config,
)
from pointsman.kafka.writing import Failure, produce
from pointsman.runtime.port import PartitionEnd, PartitionListener, Position, TransactionAbortedError
from pointsman.topics import group, inbox

_TRANSACTION_TIMEOUT_S: Final = 10.0
_SESSION_TIMEOUT_MS: Final = 6_000
_JOIN_TIMEOUT_S: Final = 5.0
_COMMIT_TRIES: Final = 6

_log = logging.getLogger(__name__)


class KafkaInbox:
    """The inbox of one instance of an agent.

    Group `agents.<name>`, or one of its version. The transactional id belongs to the instance, so that a restart aborts
    what its predecessor left open, and a second process with the same instance fences the first. An instance that
    returns is a static member: a restart gets its partitions back at once. One that does not is a dynamic member: as it
    ends, the others get its partitions at once. A member that was given up writes nothing for partitions that it no
    longer has, whatever its name: positions are part of the transaction, and they are checked against the group.

    Args:
        bootstrap: the broker's address.
        agent: the agent's name.
        instance: name of this instance among those of the agent.
        version: the version of the agent whose own inbox it is; None for the one that all others share.
        returns: whether a restart of the instance has its name again.
    """

    def __init__(
        self, bootstrap: str, agent: str, instance: str, version: str | None = None, *, returns: bool = True
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = inbox(agent, version)
        self._who = f"pointsman.{agent}.{instance}"
        self._listener: PartitionListener | None = None
        self._is_closing = False
        self._consumer = Consumer(
            {
                **reader_config(bootstrap, group(agent, version)),
                "client.id": self._who,
                **({"group.instance.id": self._who} if returns else {}),
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": _SESSION_TIMEOUT_MS,
                "heartbeat.interval.ms": 1_500,
            }
        )
        self._was_cut_off = False
        self._producer = self._new_producer()
        self._trouble: PointsmanError | None = None

    def open(self, listener: PartitionListener) -> None:
        """Join the group; first end what a predecessor of the same instance left open, known to the coordinator or not.

        Raises:
            BrokerUnavailableError: Kafka does not answer yet; may be tried again.
            ConfigurationError: forbidden.
        """
        self._listener = listener
        with translated(f"starting {self._who}", self._bootstrap):
            self._producer.init_transactions(_JOIN_TIMEOUT_S)
            self._let_go_of_positions()
            self._consumer.subscribe(
                [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )

    def poll(self, timeout_s: float) -> Record | PartitionEnd | None:
        """The next record, or the end of a partition, or None after `timeout_s`.

        Raises:
            FencedError: another process runs as this instance.
            BrokerUnavailableError: the positions of new partitions cannot be had.
            ConfigurationError: forbidden.
        """
        with translated(f"reading {self._topic}", self._bootstrap):
            message = self._consumer.poll(timeout_s)
        if self._trouble:
            raise self._trouble
        if message is None:
            return None
        error = message.error()
        if error is None:
            return to_record(message)
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (a public name of librdkafka)
            return PartitionEnd(partition=message.partition() or 0, offset=message.offset() or 0)
        self._judge(error)
        return None

    def pause(self, partitions: Sequence[int]) -> None:
        """Deliver nothing from these partitions until `resume`."""
        self._consumer.pause([TopicPartition(self._topic, number) for number in partitions])

    def resume(self, partitions: Sequence[int]) -> None:
        """Deliver from these partitions again."""
        self._consumer.resume([TopicPartition(self._topic, number) for number in partitions])

    def commit(self, records: Sequence[Record], positions: Sequence[Position]) -> None:
        """Write `records` and `positions` in one transaction.

        Raises:
            TransactionAbortedError: nothing was written; try again later.
            FencedError: another process runs as this instance.
            BrokerUnavailableError: the outcome is open; only a new producer can end it.
        """
        failures: list[Failure] = []
        self._renew_producer()
        try:
            self._producer.begin_transaction()
            for record in records:
                produce(self._producer, record, failures)
            self._send_positions(positions)
            self._end_transaction()
        except KafkaException as error:
            self._abort(error, failures)

    def close(self) -> None:
        """Leave the group."""
        self._is_closing = True
        self._consumer.close()

    def _new_producer(self) -> Producer:
        config = writer_config(self._bootstrap, self._who, _TRANSACTION_TIMEOUT_S)
        return Producer({**config, "error_cb": self._hear_error})

    def _hear_error(self, error: KafkaError) -> None:
        note_error(error)
        self._was_cut_off |= error.code() in CUT_OFF

    def _renew_producer(self) -> None:
        """Take a new producer where the old one's connection was cut since its last transaction.

        It remembers who coordinated the group, does not connect there again by itself, and would wait for ever for
        that connection as soon as it sends positions (confluentinc/librdkafka#5511).
        """
        self._producer.poll(0)  # hear of errors
        if not self._was_cut_off:
            return
        renewed = self._new_producer()
        try:
            renewed.init_transactions(_JOIN_TIMEOUT_S)
        except KafkaException as error:
            if kafka_error(error).fatal() or is_lasting(kafka_error(error)):
                raise translate(error, f"beginning anew for {self._who}", self._bootstrap) from error
            raise TransactionAbortedError(
                f"Kafka at {self._bootstrap} is not back: {kafka_error(error).name()}"
            ) from error
        self._producer, self._was_cut_off = renewed, False

    def _let_go_of_positions(self) -> None:
        """Have an abort marker written to the partition that keeps the group's positions.

        A broker that is killed at the wrong moment may keep positions of a transaction that its coordinator has
        forgotten: `init_transactions` does not end it, no time-out does, and nobody is told the group's positions. The
        marker ends whatever this producer's id has left there.
        """
        nothing = TopicPartition(self._topic, 0, 0)
        try:
            self._producer.begin_transaction()
            with suppress(KafkaException):  # refused or not: the coordinator knows the partition now
                self._producer.send_offsets_to_transaction(
                    [nothing], self._consumer.consumer_group_metadata(), REQUEST_TIMEOUT_S
                )
            self._producer.abort_transaction(REQUEST_TIMEOUT_S)
        except KafkaException:
            self._producer = self._new_producer()  # this one is in the middle of something, and can only be closed
            raise

    def _send_positions(self, positions: Sequence[Position]) -> None:
        offsets = [
            TopicPartition(self._topic, position.partition, position.offset, position.metadata)
            for position in positions
            if position.offset is not None
        ]
        if offsets:
            group = self._consumer.consumer_group_metadata()
            self._producer.send_offsets_to_transaction(offsets, group, REQUEST_TIMEOUT_S)

    def _end_transaction(self) -> None:
        """Commit; one whose answer got lost is asked for again, as only that tells how it ended."""
        for left in reversed(range(_COMMIT_TRIES)):
            try:
                self._producer.commit_transaction(REQUEST_TIMEOUT_S)
            except KafkaException as error:
                if not kafka_error(error).retriable():
                    raise
                if not left:
                    raise translate(error, f"committing for {self._who}", self._bootstrap) from error
            else:
                return

    def _abort(self, error: KafkaException, failures: list[Failure]) -> NoReturn:
        cause = kafka_error(error)
        if cause.fatal():  # fenced, in most cases
            raise translate(error, f"committing for {self._who}", self._bootstrap) from error
        with translated(f"aborting for {self._who}", self._bootstrap):
            self._producer.abort_transaction(REQUEST_TIMEOUT_S)
        reason = f"{failures[0].topic}: {failures[0].error.name()}" if failures else cause.name()
        raise TransactionAbortedError(f"Kafka at {self._bootstrap} refused the transaction: {reason}") from error

    def _judge(self, error: KafkaError) -> None:
        """Raise for an error that does not pass by itself; librdkafka retries the others."""
        if is_lasting(error):
            raise translate(KafkaException(error), f"reading {self._topic}", self._bootstrap)
        _log.warning("the consumer reports %s", error.name())

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._is_closing:  # nobody will read them, and a client that closes is told no positions any more
            consumer.incremental_assign(partitions)
            return
        # An earlier owner's transaction may still hold these offsets; the broker ends it within its time-out.
        patience_s = _TRANSACTION_TIMEOUT_S + REQUEST_TIMEOUT_S
        try:
            committed = consumer.committed(partitions, timeout=patience_s)
            for partition in committed:
                if partition.error is not None:
                    raise KafkaException(partition.error)
        except KafkaException as error:
            # Out of a callback the binding would raise something that no `except` catches. `poll` raises this instead.
            self._trouble = translate(error, f"asking for positions of {self._who}", self._bootstrap)
            return
        consumer.incremental_assign(committed)
        # librdkafka remembers that a partition was paused when it was taken away; whoever gets it reads it.
        consumer.resume(committed)
        self._tell().assigned([_position(partition) for partition in committed])

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._tell().revoked([partition.partition for partition in partitions])
        consumer.incremental_unassign(partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._tell().lost([partition.partition for partition in partitions])
        consumer.incremental_unassign(partitions)

    def _tell(self) -> PartitionListener:
        if self._listener is None:
            raise BrokerUnavailableError("the inbox is not open")
        return self._listener


def _position(partition: TopicPartition) -> Position:
    offset = partition.offset if partition.offset >= 0 else None
    return Position(partition=partition.partition, offset=offset, metadata=partition.metadata or "")
