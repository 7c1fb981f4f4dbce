"""Between Flink's rows and our records, and between a record in flight and the bytes kept for it in state."""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from pyflink.common import Row, Types
from pyflink.common.typeinfo import TypeInformation

from pointsman.envelope import Record
from pointsman.routing.limits import Counters

OUTBOX_COLUMNS: Final = ["topic", "k", "v", "headers"]
_STATE_VERSION: Final = 1


class Arrived(NamedTuple):
    """A message, and what its workflow has come to (see `pointsman.routing.limits.Counters`).

    As it comes from SQL, `is_cancelled` says only whether this message itself is a person's cancellation.
    """

    record: Record
    step: int
    visits: int = 1
    is_cancelled: bool = False
    fan_out: int = 0
    model_calls: int = 0
    model_tokens: int = 0
    model_microusd: int = 0
    workflow_type: str = ""
    began_ms: int = 0
    chain: int = 0

    @property
    def is_message(self) -> bool:
        """Whether it is to be decided on; a record of `sql/leads_to_seal.sql` is only written. Steps begin with 1."""
        return self.step > 0

    @property
    def counters(self) -> Counters:
        """What its workflow has come to."""
        return Counters(**{name: getattr(self, name) for name in _COUNTED})


_COUNTED: Final = tuple(name for name in Arrived._fields if name != "record")


def outbox_type() -> TypeInformation:
    """Type of the rows that `sql/write_outbox.sql` takes.

    A function: a type object that has been used holds a Java handle and can no longer be pickled with the operator.
    """
    headers = Types.MAP(Types.STRING(), Types.PRIMITIVE_ARRAY(Types.BYTE()))
    outbox: TypeInformation = Types.ROW_NAMED(OUTBOX_COLUMNS, [Types.STRING(), Types.STRING(), Types.STRING(), headers])
    return outbox


def message_type() -> TypeInformation:
    """Type of the messages in `sql/counted_messages.sql`; a function for the same reason."""
    text, number = Types.STRING(), Types.LONG()
    place = [Types.INT(), number, number]
    counted = [number, number, Types.INT(), number, number, number, number, text, number, number]
    message: TypeInformation = Types.ROW([text, text, text, *place, *counted])
    return message


def read_record(row: Row, topic: str) -> Record:
    """The record in a row of `sql/counted_messages.sql` or `sql/catalog_records.sql`; null headers are left out."""
    key, value, headers, partition, offset, timestamp_ms = row[0], row[1], row[2], row[3], row[4], row[5]
    return Record(
        topic=topic,
        key=_from_hex(key),
        value=_from_hex(value),
        headers=_headers(headers),
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms or 0,
    )


def read_message(row: Row, topic: str) -> Arrived:
    """The message in a row of `sql/counted_messages.sql`, or the record in one of `sql/leads_to_seal.sql`."""
    step, visits, cancels, *more = row[6:]
    arrived = Arrived(read_record(row, topic), step, visits, cancels == 1, *more)
    if arrived.is_message:
        return arrived
    return arrived._replace(record=replace(arrived.record, topic=arrived.workflow_type))


def write_row(record: Record) -> Row:
    """The row that makes the sink write `record`."""
    headers: Mapping[str, bytes] = record.headers
    names = "".join(headers)
    if not (names.isascii() and names.isprintable()):
        headers = {_header_name(name): octets for name, octets in headers.items()}
    return Row(record.topic, _to_hex(record.key), _to_hex(record.value), headers)  # type: ignore[no-untyped-call]


def place_of(record: Record) -> str:
    """Where the record stands in its topic, as a text that sorts as the topic does."""
    return f"{record.partition:05d}:{record.offset:020d}"


def to_state(arrived: Arrived) -> bytes:
    """`arrived` as bytes: a line of JSON about it, then its value as it came."""
    record = arrived.record
    about = {
        "v": _STATE_VERSION,
        "topic": record.topic,
        "key": _to_text(record.key),
        "headers": {name: _to_text(octets) for name, octets in record.headers.items()},
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        **{name: getattr(arrived, name) for name in _COUNTED},
        "has_value": record.value is not None,
    }
    return json.dumps(about).encode() + b"\n" + (record.value or b"")


def from_state(octets: bytes) -> Arrived:
    """What `to_state` wrote."""
    line, value = bytes(octets).split(b"\n", 1)
    about: Mapping[str, Any] = json.loads(line)
    record = Record(
        topic=about["topic"],
        key=_to_bytes(about["key"]),
        value=value if about["has_value"] else None,
        headers={name: _to_bytes(text) or b"" for name, text in about["headers"].items()},
        partition=about["partition"],
        offset=about["offset"],
        timestamp_ms=about["timestamp_ms"],
    )
    return Arrived(record, **{name: about[name] for name in _COUNTED if name in about})


def _from_hex(text: str | None) -> bytes | None:
    # SQL made one character of each byte, and hexadecimal digits of the characters in UTF-8.
    return None if text is None else bytes.fromhex(text).decode().encode("latin-1")


def _to_hex(octets: bytes | None) -> str | None:
    return None if octets is None else octets.hex()


def _headers(text: str | None) -> dict[str, bytes]:
    named: dict[str, str | None] = json.loads(bytes.fromhex(text)) if text else {}
    return {name: a2b_base64(octets) for name, octets in (named or {}).items() if octets is not None}


def _header_name(name: str) -> str:
    """`name`, or its percent-encoded form: not every text survives the way from Python to the JVM."""
    return name if name.isascii() and name.isprintable() else quote(name, errors="replace")


def _to_text(octets: bytes | None) -> str | None:
    return None if octets is None else b2a_base64(octets, newline=False).decode()


def _to_bytes(text: str | None) -> bytes | None:
    return None if text is None else a2b_base64(text)
