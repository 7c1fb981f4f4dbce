"""Values of records as agents, commands and the console read and write them: Avro first, then encryption."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Final

from pointsman.avro.codec import PayloadCodec, process_codec
from pointsman.envelope import Payload, Record, decode_payload, encode_payload
from pointsman.errors import ErasedError, ErrorReason, InvalidEnvelopeError
from pointsman.shredding.cache import Sealing
from pointsman.shredding.decisions import hidden_in, with_words
from pointsman.shredding.process import process_sealing
from pointsman.shredding.sealing import is_sealed

ERASED_PAYLOAD: Final[Payload] = {"erased": True}
"""What people are shown in the place of a payload whose key is deleted."""
_AT_ONCE: Final = 500
CLOSED_PAYLOAD: Final[Payload] = {"encrypted": True}
"""What is read in the place of a payload that nobody has opened."""


class ValueCodec:
    """Reads and writes values, with the same methods as `pointsman.avro.codec.PayloadCodec` has.

    Args:
        avro: reads and writes Avro; None where no schema registry is configured.
        sealing: opens and seals; None where no keys are configured.
    """

    def __init__(self, avro: PayloadCodec | None, sealing: Sealing | None) -> None:
        self._avro = avro
        self._sealing = sealing

    def readable_now(self, record: Record) -> Record | None:
        """`record` with its payload, or with why it has none; None where a registry or the store must be asked."""
        if self._sealing is None or not is_sealed(record.value) or record.decoded is not None:
            return self._avro.readable_now(record) if self._avro else record
        plain = self._sealing.opened(record)
        if not isinstance(plain, bytes):
            return None if plain is None else replace(record, decoded=plain)
        return with_payload(record, plain, self._avro)

    def readable(self, record: Record) -> Record:
        """As `readable_now`, and asks where it must.

        Raises:
            StoreUnavailableError: the store of the keys does not answer.
            RegistryUnavailableError: the schema registry does not answer.
            ConfigurationError: one of them refuses the login, or a key-encryption key is missing.
        """
        if record.decoded is not None:
            return record
        if self._sealing is not None and is_sealed(record.value) and not self._sealing.has_key(record):
            self._sealing.fetch(record)
        found = self.readable_now(record)
        if found is None and self._avro is not None:
            self._avro.fetch(self._as_avro(record))
            found = self.readable_now(record)
        return found or record

    def written_now(self, record: Record) -> Record | None:
        """`record` as it may lie on its topic; None where a registry or the store must be asked first.

        Raises:
            ErasedError: its workflow is erased.
        """
        if is_sealed(record.value):
            return record
        inner = self._avro.written_now(record) if self._avro else record
        return self._sealing.sealed(inner) if self._sealing and inner else inner

    def written(self, record: Record) -> Record:
        """As `written_now`, and asks where it must.

        Raises:
            ErasedError: its workflow is erased.
            StoreUnavailableError: the store of the keys does not answer.
            RegistryUnavailableError: the schema registry does not answer, and has never said anything about this type.
            ConfigurationError: one of them refuses the login, or a key-encryption key is missing.
        """
        if is_sealed(record.value):
            return record
        inner = self._avro.written(record) if self._avro else record
        if self._sealing is None:
            return inner
        if not self._sealing.has_key(inner):
            self._sealing.fetch(inner)
        # Asked for just now; that it is old again already would take a process that stood still for a minute.
        return self._sealing.sealed(inner) or self.written(record)

    def all_written(self, records: Iterable[Record]) -> list[Record]:
        """`records` as they may lie on their topics; those of erased workflows are left out. Raises as `written`."""
        written = []
        for record in records:
            with suppress(ErasedError):
                written.append(self.written(record))
        return written

    def for_people(self, records: Iterable[Record]) -> list[Record]:
        """`records` with their payloads; what is erased says so instead of being an error.

        Raises:
            StoreUnavailableError: the store of the keys does not answer.
            RegistryUnavailableError: the schema registry does not answer.
            ConfigurationError: one of them refuses the login, or a key-encryption key is missing.
        """
        read = list(records)
        if self._sealing is None:
            return [_closed(one) if is_sealed(one.value) else self.readable(one) for one in read]
        hidden = [hidden_in(one) for one in read]
        self._sealing.fetch_all([*(one for one in read if one.decoded is None), *filter(None, hidden)])
        return [
            _erased_or_not(self.readable(one)) if words is None else self._with_words(one, words)
            for one, words in zip(read, hidden, strict=True)
        ]

    def _with_words(self, record: Record, words: Record) -> Record:
        opened = self.readable(words).decoded
        return with_words(record, encode_payload(opened) if isinstance(opened, dict) else None)

    def _as_avro(self, record: Record) -> Record:
        plain = self._sealing.opened(record) if self._sealing and is_sealed(record.value) else None
        return replace(record, value=plain) if isinstance(plain, bytes) else record


def with_payload(record: Record, plain: bytes, avro: PayloadCodec | None) -> Record | None:
    """A sealed `record` with the payload in `plain`, what it held; None where the schema registry must be asked."""
    if avro is not None:
        read = avro.readable_now(replace(record, value=plain))
        if read is None or read.decoded is not None:
            return replace(record, decoded=read.decoded) if read else None
    try:
        return replace(record, decoded=decode_payload(plain))
    except InvalidEnvelopeError as error:
        return replace(record, decoded=error)


def is_erased(record: Record) -> bool:
    """Whether the key of a record's value is deleted, as far as somebody has looked."""
    error = record.decoded
    return error == ERASED_PAYLOAD or (isinstance(error, InvalidEnvelopeError) and error.reason is ErrorReason.ERASED)


def shown_to_people(record: Record) -> Record:
    """`record` as somebody is to see it now, opened anew: who kept it open would show it after its erasure, too.

    Raises:
        StoreUnavailableError: the store of the keys does not answer.
    """
    codec = process_values()
    if codec is None or not is_sealed(record.value):
        return record
    return codec.for_people([replace(record, decoded=None)])[0]


def read_for_people(records: Iterable[Record]) -> Iterator[Record]:
    """`records` as `ValueCodec.for_people` reads them, with one question to the store for many of them.

    Raises:
        StoreUnavailableError: the store of the keys does not answer.
        RegistryUnavailableError: the schema registry does not answer.
    """
    codec, left = process_values(), iter(records)
    while some := list(islice(left, _AT_ONCE)):
        yield from codec.for_people(some) if codec else closed(some)


def closed(records: Iterable[Record]) -> list[Record]:
    """`records` for whoever reads headers only: encrypted payloads stay closed."""
    return [_closed(one) if is_sealed(one.value) else one for one in records]


def process_values() -> ValueCodec | None:
    """The codec of this process; None where neither a schema registry nor keys are configured.

    Raises:
        ConfigurationError: the settings of one of them are of no use.
    """
    avro, sealing = process_codec(), process_sealing()
    return ValueCodec(avro, sealing) if avro or sealing else None


def _closed(record: Record) -> Record:
    return replace(record, decoded=CLOSED_PAYLOAD)


def _erased_or_not(record: Record) -> Record:
    return replace(record, decoded=ERASED_PAYLOAD) if is_erased(record) else record
