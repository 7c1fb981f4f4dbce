"""Reads and writes the values of messages as Avro, with the schemas of a registry. Used where a registry is configured.

Values say themselves what they are: a framed one begins with a zero byte, which no JSON text does. So both may lie on
one topic, and a switch-over loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import structlog

from pointsman.avro.framing import PayloadSchema, framed, schema_id
from pointsman.avro.registry import ConfluentRegistry, Registered, Registry
from pointsman.avro.values import UnusableSchemaError
from pointsman.envelope import AVRO, MAX_PAYLOAD_BYTES, Record, decode_payload
from pointsman.errors import ErrorReason, InvalidEnvelopeError, RegistryUnavailableError
from pointsman.settings import settings
from pointsman.topics import MESSAGES

LATEST_FOR_S: Final = 60.0
"""How long the newest schema of a type is taken for the newest."""
UNKNOWN_FOR_S: Final = 15.0
"""How long a schema that the registry does not know is taken for unknown."""
LEFT_ALONE_FOR_S: Final = 10.0
"""How long a registry that did not answer is not asked again for what is known anyway."""
_MOST_KEPT: Final = 1_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Latest:
    schema: PayloadSchema | None
    id: int
    until: float


@dataclass(frozen=True, kw_only=True)
class _Known:
    schema: PayloadSchema | InvalidEnvelopeError
    until: float | None = None


def subject_of(event_type: str) -> str:
    """The registry's subject of payloads of that type (Confluent's TopicRecordNameStrategy)."""
    return f"{MESSAGES}-{event_type}"


class PayloadCodec:
    """Turns records with JSON values into ones with Avro values, and adds to the latter what they hold.

    Schemas are kept: one by its id for good, the newest of a type for a minute, and longer while the registry does not
    answer. May be used from several threads.

    Args:
        registry: where schemas are.
        clock: seconds, by a clock that never goes back.
        is_writing: whether records get Avro values; otherwise they are only read.
    """

    def __init__(
        self, registry: Registry, clock: Callable[[], float] = time.monotonic, *, is_writing: bool = True
    ) -> None:
        self._is_writing = is_writing
        self._registry = registry
        self._clock = clock
        self._by_id: dict[int, _Known] = {}
        self._latest: dict[str, _Latest] = {}

    def readable_now(self, record: Record) -> Record | None:
        """`record` with its payload, or with why it has none; None where the registry must be asked first."""
        number = _framed_with(record)
        if number is None:
            return record
        known = self._by_id.get(number)
        if known is None or (known.until is not None and known.until < self._clock()):
            return None
        return replace(record, decoded=_read(known.schema, record.value or b""))

    def readable(self, record: Record) -> Record:
        """As `readable_now`, and asks the registry where it must.

        Raises:
            RegistryUnavailableError: it does not answer.
            ConfigurationError: it refuses the login.
        """
        found = self.readable_now(record)
        if found is not None:
            return found
        self.fetch(record)
        return self.readable_now(record) or record

    def fetch(self, record: Record) -> None:
        """Ask the registry for the schema of a framed value.

        Raises:
            RegistryUnavailableError: it does not answer.
            ConfigurationError: it refuses the login.
        """
        number = _framed_with(record)
        if number is not None:
            _keep(self._by_id, number, self._asked(number))

    def written_now(self, record: Record) -> Record | None:
        """`record` with an Avro value, or as it is where JSON stays; None where the registry must be asked first."""
        if not (self._is_writing and _is_to_be_written(record)):
            return record
        known = self._latest.get(_type_of(record))
        return _written(record, known) if known and self._clock() < known.until else None

    def written(self, record: Record) -> Record:
        """As `written_now`, and asks the registry where it must; while that does not answer, what was newest goes on.

        Raises:
            RegistryUnavailableError: it does not answer, and has never said anything about this type.
            ConfigurationError: it refuses the login.
        """
        found = self.written_now(record)
        if found is not None:
            return found
        self.fetch_latest(record)
        return self.written_now(record) or record

    def fetch_latest(self, record: Record) -> None:
        """Ask the registry for the newest schema of the record's type.

        Raises:
            RegistryUnavailableError: it does not answer, and has never said anything about this type.
            ConfigurationError: it refuses the login.
        """
        event_type = _type_of(record)
        try:
            latest = _usable(self._registry.latest(subject_of(event_type)), self._clock() + LATEST_FOR_S)
        except RegistryUnavailableError:
            known = self._latest.get(event_type)
            if known is None:
                raise
            latest = replace(known, until=self._clock() + LEFT_ALONE_FOR_S)
        _keep(self._latest, event_type, latest)

    def _asked(self, number: int) -> _Known:
        text = self._registry.by_id(number)
        try:
            if text:
                return _Known(schema=PayloadSchema(text))
            why = "is not plain Avro" if text is not None else "is unknown to the registry"
        except UnusableSchemaError as error:
            why = f"is of no use: {error}"
        detail = f"the value's schema, id {number}, {why}"
        unusable = InvalidEnvelopeError(ErrorReason.INVALID_AVRO, detail)
        return _Known(schema=unusable, until=self._clock() + UNKNOWN_FOR_S)


def process_registry() -> Registry | None:
    """The registry that is configured; None where none is.

    Raises:
        ConfigurationError: its settings are of no use.
    """
    return _registry() if settings().schema_registry_url else None


def process_codec() -> PayloadCodec | None:
    """The codec of this process; None where no registry is configured.

    Raises:
        ConfigurationError: the registry's settings are of no use.
    """
    return _codec() if settings().schema_registry_url else None


@lru_cache(maxsize=1)
def _registry() -> Registry:
    return ConfluentRegistry(settings())


@lru_cache(maxsize=1)
def _codec() -> PayloadCodec:
    return PayloadCodec(_registry(), is_writing=settings().schema_registry_writes)


def _framed_with(record: Record) -> int | None:
    return schema_id(record.value) if record.value is not None and record.decoded is None else None


def _is_to_be_written(record: Record) -> bool:
    return record.topic == MESSAGES and record.value is not None and schema_id(record.value) is None


def _type_of(record: Record) -> str:
    return record.headers.get("ce_type", b"").decode(errors="replace")


def _read(schema: PayloadSchema | InvalidEnvelopeError, value: bytes) -> dict[str, object] | InvalidEnvelopeError:
    if isinstance(schema, InvalidEnvelopeError):
        return schema
    if len(value) > MAX_PAYLOAD_BYTES:
        detail = f"the value has {len(value)} bytes, at most {MAX_PAYLOAD_BYTES} are allowed"
        return InvalidEnvelopeError(ErrorReason.TOO_LARGE, detail)
    try:
        return schema.read(value)
    except InvalidEnvelopeError as error:
        return error


def _usable(latest: Registered | None, until: float) -> _Latest:
    if latest is None:
        return _Latest(schema=None, id=0, until=until)
    try:
        return _Latest(schema=PayloadSchema(latest.text), id=latest.id, until=until)
    except UnusableSchemaError as error:
        _log.warning("messages stay JSON: their newest schema is of no use", schema_id=latest.id, problem=str(error))
    return _Latest(schema=None, id=0, until=until)


def _written(record: Record, latest: _Latest) -> Record:
    """With the newest schema; as it is where there is none, or where the payload cannot be said in it."""
    if latest.schema is None:
        return record
    try:
        body = latest.schema.write(decode_payload(record.value or b""))
    except InvalidEnvelopeError:
        return record
    if body is None:
        return record
    return replace(record, value=framed(latest.id, body), headers={**record.headers, "content-type": AVRO})


def _keep(kept: dict[Any, Any], key: object, value: object) -> None:
    if len(kept) >= _MOST_KEPT:
        kept.pop(next(iter(kept)), None)
    kept[key] = value
