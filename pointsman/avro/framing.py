"""Payloads as Avro in Confluent's framing: a zero byte, the schema's id in four bytes, the Avro body."""

from __future__ import annotations

import json
import struct
from io import BytesIO
from typing import Any, Final

from pointsman.avro.values import Reading, UnfitError, UnusableSchemaError, Writing
from pointsman.envelope import Payload, encode_payload
from pointsman.errors import ErrorReason, InvalidEnvelopeError

MAGIC: Final = b"\x00"
"""First byte of every framed value; no JSON text begins with it."""
_FRAME: Final = struct.Struct(">bI")


def schema_id(value: bytes) -> int | None:
    """The id of the schema that a framed `value` was written with; None when it is not framed."""
    if not value.startswith(MAGIC) or len(value) < _FRAME.size:
        return None
    return int(_FRAME.unpack_from(value)[1])


def framed(number: int, body: bytes) -> bytes:
    """`body`, written with the schema of that id, as a record's value."""
    return _FRAME.pack(0, number) + body


class PayloadSchema:
    """An Avro schema that payloads are written and read with.

    Args:
        text: the schema, as the registry holds it.

    Raises:
        UnusableSchemaError: it is no schema of a payload.
    """

    def __init__(self, text: str) -> None:
        # Heavy, and of no use where no registry is configured.
        import fastavro

        try:
            schema = json.loads(text)
            self._parsed: Any = fastavro.parse_schema(schema)
            self._reading = Reading(self._parsed)
            self._writing = Writing(self._parsed)
        except UnusableSchemaError:
            raise
        except Exception as error:
            raise UnusableSchemaError(f"it is no Avro schema of a payload ({type(error).__name__})") from None
        self._read, self._write = fastavro.schemaless_reader, fastavro.schemaless_writer

    def write(self, payload: Payload) -> bytes | None:
        """The Avro body; None where the payload cannot be said in this schema."""
        body = BytesIO()
        try:
            self._write(body, self._parsed, self._writing(payload))
        except (UnfitError, UnicodeEncodeError):
            return None
        return body.getvalue()

    def read(self, value: bytes) -> Payload:
        """The payload in a framed `value`.

        Raises:
            InvalidEnvelopeError: the body was not written with this schema, or holds what JSON cannot say.
        """
        body = BytesIO(value)
        body.seek(_FRAME.size)
        try:
            payload: Payload = self._reading(self._read(body, self._parsed, None))
            # Also says whether it is JSON at all: no NaN, no bytes, no half of a surrogate pair.
            encode_payload(payload)
        except Exception as error:
            detail = f"the Avro value cannot be read with its schema ({type(error).__name__})"
            raise InvalidEnvelopeError(ErrorReason.INVALID_AVRO, detail) from None
        if body.read(1):
            raise InvalidEnvelopeError(ErrorReason.INVALID_AVRO, "bytes are left over behind the Avro value")
        return payload
