"""What an operator and its model process send each other: pickled, with the length before it.

Both ends are code of the same job, and nobody else can write to the socket between them.
"""

from __future__ import annotations

import asyncio
import pickle  # nosec B403
import struct
from dataclasses import fields
from functools import lru_cache
from typing import Any, BinaryIO, Final, NamedTuple

from pointsman.models.port import ChatAnswer, ChatRequest

_LENGTH: Final = struct.Struct("!I")
_PROTOCOL: Final = 5
_PLAIN_FIELDS: Final = tuple(one.name for one in fields(ChatRequest) if one.name != "schema")


class Ask(NamedTuple):
    """A question.

    Attributes:
        number: the call's, for its answer.
        told: the request, without its schema.
        schema: the schema, pickled.
        trace: trace headers of the span that it belongs to; empty where nobody traces.
    """

    number: int
    told: dict[str, Any]
    schema: bytes
    trace: dict[str, bytes]

    @staticmethod
    def of(number: int, request: ChatRequest, schema: bytes, trace: dict[str, bytes]) -> Ask:
        """The question of `request`, whose schema is pickled already."""
        return Ask(number, {name: getattr(request, name) for name in _PLAIN_FIELDS}, schema, trace)

    @property
    def request(self) -> ChatRequest:
        """What was asked. Equal schemas are one object, since a model compiles each object that it has not seen."""
        return ChatRequest(**self.told, schema=_schema(self.schema))


class Stop(NamedTuple):
    """Nobody waits for the answer to that call any more."""

    number: int


class Answered(NamedTuple):
    """What a call came to: the answer, or why there is none."""

    number: int
    outcome: ChatAnswer | Exception


class Retried(NamedTuple):
    """A call failed with an error of this name and is tried again."""

    error_type: str


def pickled(schema: dict[str, Any]) -> bytes:
    """`schema` for `Ask`."""
    return pickle.dumps(schema, _PROTOCOL)


def framed(message: object) -> bytes:
    """`message` as it is sent.

    Raises:
        Exception: it cannot be pickled; what is raised depends on what it holds.
    """
    octets = pickle.dumps(message, _PROTOCOL)
    return _LENGTH.pack(len(octets)) + octets


def received(stream: BinaryIO) -> object | None:
    """The next message; None when the other side has ended."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    octets = stream.read(length)
    return _message(octets) if len(octets) == length else None


async def next_of(reader: asyncio.StreamReader) -> object | None:
    """The same, without blocking."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return _message(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def _message(octets: bytes) -> object:
    found: object = pickle.loads(octets)  # nosec B301  # noqa: S301 (by our own other half, over a socket of the two)
    return found


@lru_cache(maxsize=256)
def _schema(octets: bytes) -> dict[str, Any]:
    schema: dict[str, Any] = pickle.loads(octets)  # nosec B301  # noqa: S301 (as above)
    return schema
