"""The document-store port and its MongoDB adapter: the only module that imports pymongo.

Documents are plain JSON-like dictionaries, readable by a person; `_id` is always a string that we derive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import bson
from bson.codec_options import CodecOptions
from bson.errors import InvalidDocument, InvalidStringData
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, ReturnDocument
from pymongo.errors import ConfigurationError as PyMongoConfigurationError
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, InvalidURI, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from pointsman.errors import ConfigurationError, ErrorReason, InvalidPayloadError, StoreUnavailableError

Document = dict[str, Any]

_CODEC: Final[CodecOptions[Document]] = CodecOptions(tz_aware=True, tzinfo=UTC)
_NOT_ALLOWED: Final = frozenset({13, 18, 8000})
"""Server codes: Unauthorized, AuthenticationFailed, AtlasError (login)."""


class DocumentStore(Protocol):
    """What agents and the effect ledger need of a document store. Every write is acknowledged by a majority."""

    async def get(self, collection: str, key: str) -> Document | None:
        """The document with `_id` = `key`, or None."""
        ...

    async def find(
        self,
        collection: str,
        criteria: Mapping[str, Any],
        *,
        sort: str | None = None,
        limit: int = 100,
        ids_only: bool = False,
    ) -> list[Document]:
        """Documents that match: `{field: value}` equality, or `{field: {"$lte": value}}` and the like; dotted names.

        Operators: `$eq $ne $lt $lte $gt $gte $in $exists`. Sorted by `sort` (descending: `-field`). With `ids_only`
        they hold nothing but their `_id`.
        """
        ...

    async def insert_once(self, collection: str, document: Document) -> Document:
        """Insert unless a document with that `_id` is there; the one that is there afterwards."""
        ...

    async def put(self, collection: str, document: Document) -> None:
        """Insert or replace the document with that `_id`."""
        ...

    async def update_if(
        self, collection: str, key: str, expected: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> Document | None:
        """Set `changes` if the document still matches `expected`; it afterwards, or None if it did not."""
        ...

    async def delete(self, collection: str, key: str) -> bool:
        """Delete the document with that `_id`, also where a driver made it an ObjectId; whether there was one."""
        ...

    async def count(self, collection: str, criteria: Mapping[str, Any]) -> int:
        """Number of documents that match."""
        ...

    async def ensure_index(
        self, collection: str, fields: Sequence[str], *, unique: bool = False, expire_after_s: int | None = None
    ) -> None:
        """Make an ascending index if it is missing.

        Args:
            collection: the collection.
            fields: what it is over.
            unique: whether two documents may not have the same values there.
            expire_after_s: documents may go so many seconds after the time in its field. A store that deletes nothing
                by itself keeps them.
        """
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class MongoStore:
    """The document store on MongoDB.

    Args:
        uri: connection string.
        database: name of the database.
        timeout_s: seconds for one operation, finding a server included.
    """

    def __init__(self, uri: str, database: str, *, timeout_s: float = 10.0) -> None:
        milliseconds = int(timeout_s * 1000)
        with _translated():
            self._client: AsyncMongoClient[Document] = AsyncMongoClient(
                uri,
                w="majority",
                readConcernLevel="majority",
                tz_aware=True,
                timeoutMS=milliseconds,
                serverSelectionTimeoutMS=milliseconds,
                appname="pointsman",
            )
        self._database = self._client[database]

    async def get(self, collection: str, key: str) -> Document | None:
        """The document with `_id` = `key`, or None."""
        with _translated():
            return await self._database[collection].find_one({"_id": key})

    async def find(
        self,
        collection: str,
        criteria: Mapping[str, Any],
        *,
        sort: str | None = None,
        limit: int = 100,
        ids_only: bool = False,
    ) -> list[Document]:
        """Documents that match, sorted by the field `sort` (descending as `-field`), then by `_id`."""
        with _translated():
            cursor = self._database[collection].find(criteria, {"_id": True} if ids_only else None).limit(limit)
            return await (cursor.sort(sort_order(sort)) if sort else cursor).to_list()

    async def insert_once(self, collection: str, document: Document) -> Document:
        """Insert unless a document with that `_id` is there; the one that is there afterwards."""
        stored = as_stored(document)
        with _translated():
            try:
                await self._database[collection].insert_one(stored)
            except DuplicateKeyError as error:
                existing: Document | None = await self._database[collection].find_one({"_id": document["_id"]})
                if existing is None:
                    raise _in_the_way(collection, error) from None
                return existing
        return stored

    async def put(self, collection: str, document: Document) -> None:
        """Insert or replace the document with that `_id`."""
        stored = as_stored(document)
        with _translated():
            try:
                await self._database[collection].replace_one({"_id": stored["_id"]}, stored, upsert=True)
            except DuplicateKeyError:
                raise _not_unique(collection) from None

    async def update_if(
        self, collection: str, key: str, expected: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> Document | None:
        """Set `changes` if the document still matches `expected`; it afterwards, or None if it did not."""
        with _translated():
            updated: Document | None = await self._database[collection].find_one_and_update(
                {**expected, "_id": key}, {"$set": dict(changes)}, return_document=ReturnDocument.AFTER
            )
        return updated

    async def delete(self, collection: str, key: str) -> bool:
        """Delete the document with that `_id`, also where a driver made it an ObjectId; whether there was one."""
        names: list[Any] = [key, bson.ObjectId(key)] if bson.ObjectId.is_valid(key) else [key]
        with _translated():
            done = await self._database[collection].delete_many({"_id": {"$in": names}})
        return done.deleted_count > 0

    async def count(self, collection: str, criteria: Mapping[str, Any]) -> int:
        """Number of documents that match."""
        with _translated():
            return await self._database[collection].count_documents(dict(criteria))

    async def ensure_index(
        self, collection: str, fields: Sequence[str], *, unique: bool = False, expire_after_s: int | None = None
    ) -> None:
        """Make an ascending index if it is missing; documents expire so many seconds after the time in its field."""
        expiry: dict[str, Any] = {} if expire_after_s is None else {"expireAfterSeconds": expire_after_s}
        keys = [(name, ASCENDING) for name in fields]
        with _translated():
            await self._database[collection].create_index(keys, unique=unique, **expiry)

    async def close(self) -> None:
        """Give connections back."""
        await self._client.close()


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """What a MongoDB server says of itself.

    Attributes:
        version: its version.
        replica_set: the name of its replica set; None when it stands alone.
        oplog_hours: hours that its log of changes reaches back; None when it may not be read.
        time: its clock, UTC.
        hosts: where it was looked for.
        is_encrypted: whether the connection was.
        has_login: whether somebody logged in.
    """

    version: str
    replica_set: str | None
    oplog_hours: float | None
    time: datetime
    hosts: tuple[str, ...]
    is_encrypted: bool
    has_login: bool


async def server_facts(uri: str, *, timeout_s: float = 10.0) -> ServerFacts:
    """Ask the server at `uri` about itself.

    Args:
        uri: connection string.
        timeout_s: seconds for one operation.

    Raises:
        StoreUnavailableError: it does not answer.
        ConfigurationError: the connection string or the login is wrong.
    """
    milliseconds = int(timeout_s * 1000)
    with _translated():
        client: AsyncMongoClient[Document] = AsyncMongoClient(
            uri, tz_aware=True, timeoutMS=milliseconds, serverSelectionTimeoutMS=milliseconds, appname="pointsman"
        )
        try:
            hello = await client.admin.command("hello")
            version = (await client.admin.command("buildInfo"))["version"]
            replica_set = hello.get("setName")
            hours = await _oplog_hours(client) if replica_set else None
            known = (await client.admin.command("connectionStatus"))["authInfo"]["authenticatedUsers"]
        finally:
            await client.close()
        told = parse_uri(uri, validate=False)
    return ServerFacts(
        version=version, replica_set=replica_set, oplog_hours=hours, time=_in_utc(hello["localTime"]),
        hosts=tuple(host for host, _ in told["nodelist"]), is_encrypted=bool(told["options"].get("tls")),
        has_login=bool(known),
    )  # fmt: skip


def _in_utc(time: datetime) -> datetime:
    # Answers to commands come without a zone, whatever the client was told.
    return time if time.tzinfo else time.replace(tzinfo=UTC)


async def _oplog_hours(client: AsyncMongoClient[Document]) -> float | None:
    log = client.local["oplog.rs"]
    try:
        first = await log.find_one({}, {"ts": 1}, sort=[("$natural", ASCENDING)])
        last = await log.find_one({}, {"ts": 1}, sort=[("$natural", DESCENDING)])
    except OperationFailure:
        return None
    return (last["ts"].time - first["ts"].time) / 3600 if first and last else 0.0


def sort_order(sort: str) -> list[tuple[str, int]]:
    """`name` or `-name` as the fields and directions to sort by; `_id` last, so that the order is total."""
    return [(sort.removeprefix("-"), -1 if sort.startswith("-") else 1), ("_id", 1)]


def as_stored(document: Document) -> Document:
    """`document` as it comes back from the store: times in UTC and milliseconds, no shared parts.

    Raises:
        InvalidPayloadError: it holds something that the store cannot keep.
    """
    if any(str(name).startswith("$") for name in document):
        raise _not_kept()
    with _translated():
        return bson.decode(bson.encode(document), _CODEC)


def id_made_at(time: datetime) -> Any:
    """The smallest id that MongoDB itself gives to a document inserted at `time`; such ids sort by time."""
    return bson.ObjectId.from_datetime(time)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (InvalidURI, PyMongoConfigurationError) as error:
        raise ConfigurationError("MONGODB_URI is no usable connection string", "correct MONGODB_URI") from error
    except OperationFailure as error:
        if error.code in _NOT_ALLOWED:
            raise ConfigurationError(
                f"MongoDB refused the operation (code {error.code})", "check user, password and roles in MONGODB_URI"
            ) from None
        # The server's text may quote the document; its code says enough.
        raise StoreUnavailableError(f"MongoDB refused the operation (code {error.code})") from None
    except (InvalidDocument, InvalidStringData, DocumentTooLarge, OverflowError, UnicodeEncodeError):
        raise _not_kept() from None
    except PyMongoError as error:
        raise StoreUnavailableError(f"MongoDB does not answer ({type(error).__name__}); see MONGODB_URI") from error


def _not_kept() -> InvalidPayloadError:
    detail = "a document holds something that MongoDB cannot keep, or is too large"
    return InvalidPayloadError(ErrorReason.CONTRACT_VIOLATION, detail)


def _in_the_way(collection: str, error: DuplicateKeyError) -> InvalidPayloadError | StoreUnavailableError:
    if (error.details or {}).get("keyPattern") == {"_id": 1}:
        # Somebody else is inserting it at this moment, and a majority does not have it yet.
        return StoreUnavailableError(f"a document of {collection} is being inserted by another process")
    return _not_unique(collection)


def _not_unique(collection: str) -> InvalidPayloadError:
    detail = f"another document of {collection} has the same values in a unique index"
    return InvalidPayloadError(ErrorReason.CONTRACT_VIOLATION, detail)
