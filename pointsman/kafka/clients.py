"""Client settings that all Kafka clients here share, and the translation of their errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message

from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError, ConfigurationError, PointsmanError, TransientError
from pointsman.kafka.login import KafkaLogin
from pointsman.settings import settings
from pointsman.topics import MAX_RECORD_BYTES

REQUEST_TIMEOUT_S: Final = 15.0

# librdkafka writes its own log to stderr unless a logger takes it; silent until the process configures logging.
_logger = logging.getLogger("pointsman.kafka")
_logger.addHandler(logging.NullHandler())

_NOT_ALLOWED: Final = frozenset({
    KafkaError._AUTHENTICATION,  # noqa: SLF001 (librdkafka names its local errors with an underscore; they are public)
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
})  # fmt: skip
CUT_OFF: Final = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN})  # noqa: SLF001
"""A connection that was there is gone, or could not be made."""
_NO_TOPIC: Final = frozenset({
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
})  # fmt: skip
_FENCED: Final = frozenset({
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError.PRODUCER_FENCED,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.INVALID_PRODUCER_EPOCH,
    # What a client says whose consumer was fenced on a thread of its own; it does not say which error it was.
    KafkaError._FATAL,  # noqa: SLF001
})  # fmt: skip


class FencedError(TransientError):
    """The broker gave this process's transactional id or group instance id to another, or took it away.

    Either a second process runs under the same name, or this one was away for longer than a transaction may last. The
    client is of no use any more; a new process may succeed.
    """


def client_config(bootstrap: str, login: KafkaLogin | None = None) -> dict[str, Any]:
    """Settings of every client; it logs in as the settings say where `login` is left out."""
    return {
        "bootstrap.servers": bootstrap,
        "logger": _logger,
        "log_level": 2,  # it logs every failed attempt to connect; `note_error` says once that Kafka is away
        "error_cb": note_error,
        "reconnect.backoff.max.ms": 2_000,
        "socket.keepalive.enable": True,
        "allow.auto.create.topics": False,
        **(login or KafkaLogin.of(settings())).config(),
    }


def reader_config(bootstrap: str, group: str, login: KafkaLogin | None = None) -> dict[str, Any]:
    """Settings of every consumer: only what is committed, nothing committed by itself, low latency."""
    return {
        **client_config(bootstrap, login),
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 50,
        "topic.metadata.refresh.interval.ms": 3_000,
        # The default of 100,000 records and 64 MiB per consumer is for throughput that nobody needs here.
        "queued.min.messages": 1_000,
        "queued.max.messages.kbytes": 16_384,
    }


def writer_config(
    bootstrap: str, transactional_id: str, transaction_timeout_s: float, login: KafkaLogin | None = None
) -> dict[str, Any]:
    """Settings of every producer; a transaction that lasts longer than `transaction_timeout_s` is aborted."""
    milliseconds = int(transaction_timeout_s * 1000)
    return {
        **client_config(bootstrap, login),
        "transactional.id": transactional_id,
        "transaction.timeout.ms": milliseconds,
        "message.timeout.ms": milliseconds,
        "message.max.bytes": MAX_RECORD_BYTES,
        "linger.ms": 0,
        # A transaction right after another meets a coordinator that still writes the first one's end and asks to retry;
        # with the default of 100 ms between tries that wait would be every busy agent's latency.
        "retry.backoff.ms": 1,
        "retry.backoff.max.ms": 500,
        # How long a topic may stay unknown before its records fail.
        "topic.metadata.propagation.max.ms": 5_000,
        "compression.type": "lz4",
        # Java's partitioner, so that Flink, Connect and we send a workflow to the same partition.
        "partitioner": "murmur2_random",
    }


@contextmanager
def translated(doing: str, bootstrap: str) -> Iterator[None]:
    """Turn the client's exceptions inside the block into ours.

    Args:
        doing: what the block does, for the error's text, e.g. `reading agent_messages`.
        bootstrap: the broker's address, for the error's text.

    Raises:
        BrokerUnavailableError: Kafka does not answer, or not in time.
        ConfigurationError: something is missing or forbidden; the text says what to do.
    """
    try:
        yield
    except KafkaException as error:
        raise translate(error, doing, bootstrap) from error
    except SystemError as error:
        # The binding raises a fatal error (fenced) in the middle of a flush; when a delivery report follows it in
        # the same flush, CPython wraps it so.
        if isinstance(error.__cause__, KafkaException):
            raise translate(error.__cause__, doing, bootstrap) from error
        raise


def translate(error: KafkaException, doing: str, bootstrap: str) -> PointsmanError:
    """Our error for the client's `error`."""
    cause = kafka_error(error)
    text = f"Kafka at {bootstrap}, {doing}: {cause.name()}"
    if cause.code() in _FENCED:
        hint = "a second process under the same name? Stop one of the two, or choose another --instance"
        return FencedError(f"{text}; {hint}")
    if cause.code() in _NOT_ALLOWED:
        return ConfigurationError(text, "check the user's name, password and access rights")
    if cause.code() in _NO_TOPIC:
        return ConfigurationError(text, "the topic does not exist: `pointsman up` or `pointsman agents apply` makes it")
    if cause.code() == KafkaError._INVALID_ARG:  # noqa: SLF001
        return ConfigurationError(f"{text}: {cause.str()}", "correct the setting")
    return BrokerUnavailableError(f"{text}; check KAFKA_BOOTSTRAP_SERVERS, and that the broker runs")


def is_lasting(error: KafkaError) -> bool:
    """Whether `error`, which a consumer reports, does not pass by itself, so that the client is of no use any more."""
    # A fenced static member learns of it by an event whose code is fatal but whose flag is not; it would poll for ever.
    return error.fatal() or error.code() == KafkaError._FATAL or "AUTH" in error.name()  # noqa: SLF001


def kafka_error(error: KafkaException) -> KafkaError:
    """The error object inside the exception."""
    inner = error.args[0] if error.args else None
    return inner if isinstance(inner, KafkaError) else KafkaError(KafkaError.UNKNOWN, str(inner))


def to_record(message: Message) -> Record:
    """The client's message as a record."""
    _, timestamp_ms = message.timestamp()
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        topic=message.topic() or "",
        key=message.key(),
        value=message.value(),
        headers={name: _header_bytes(value) for name, value in pairs},
        partition=-1 if message.partition() is None else int(message.partition() or 0),
        offset=-1 if message.offset() is None else int(message.offset() or 0),
        timestamp_ms=max(timestamp_ms, 0),
    )


def _header_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode()


def note_error(error: KafkaError) -> None:
    """All that matters comes out of the calls themselves, but that they wait for a broker."""
    if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
        _logger.warning("Kafka does not answer, trying on")
