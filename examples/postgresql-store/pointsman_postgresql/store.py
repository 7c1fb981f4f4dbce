"""The document store on PostgreSQL: one table, a row for each document."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from pointsman.errors import ConfigurationError, ErrorReason, InvalidPayloadError, StoreUnavailableError
from pointsman.store import Document, sort_order
from pointsman_postgresql.criteria import Query, order
from pointsman_postgresql.documents import decoded, stored

_TABLE: Final = """
-- Two processes that make the table at the same moment would get in each other's way.
SELECT pg_advisory_xact_lock(hashtext('pointsman.documents'));
CREATE TABLE IF NOT EXISTS documents (
    collection text NOT NULL, id text NOT NULL, doc jsonb NOT NULL, PRIMARY KEY (collection, id)
)"""
_REFUSED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidCatalogNameError,
)


class PostgresStore:
    """A `pointsman.store.DocumentStore`; several writers are kept apart by row locks.

    Args:
        uri: connection string.
        timeout_s: seconds for one operation, connecting included.
    """

    def __init__(self, uri: str, *, timeout_s: float = 10.0) -> None:
        self._uri = uri
        self._timeout_s = timeout_s
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    async def get(self, collection: str, key: str) -> Document | None:
        """The document with `_id` = `key`, or None."""
        async with self._connection() as connection:
            text = await connection.fetchval(
                "SELECT doc::text FROM documents WHERE collection = $1 AND id = $2", collection, key
            )
        return decoded(text) if text is not None else None

    async def find(
        self,
        collection: str,
        criteria: Mapping[str, Any],
        *,
        sort: str | None = None,
        limit: int = 100,
        ids_only: bool = False,
    ) -> list[Document]:
        """Documents that match, sorted by `sort` (descending as `-field`), then by `_id`."""
        query = Query(criteria, collection)
        orders = []
        for name, direction in sort_order(sort) if sort else []:
            query.parameters.append(name.split("."))
            orders.append(order(f"(doc #> ${len(query.parameters)}::text[])", direction))
        by = f" ORDER BY {', '.join(orders)}" if orders else ""
        query.parameters.append(limit)
        wanted = "jsonb_build_object('_id', doc -> '_id')" if ids_only else "doc"
        text = f"SELECT {wanted}::text FROM documents WHERE collection = $1 AND {query.condition}{by}"  # noqa: S608
        async with self._connection() as connection:
            rows = await connection.fetch(f"{text} LIMIT ${len(query.parameters)}", *query.parameters)
        return [decoded(row[0]) for row in rows]

    async def insert_once(self, collection: str, document: Document) -> Document:
        """Insert unless a document with that `_id` is there; the one that is there afterwards."""
        kept, text = stored(document)
        async with self._connection() as connection:
            done = await connection.execute(
                "INSERT INTO documents VALUES ($1, $2, $3::text::jsonb) ON CONFLICT (collection, id) DO NOTHING",
                collection, kept["_id"], text,
            )  # fmt: skip
        return kept if done.endswith(" 1") else (await self.get(collection, kept["_id"]) or kept)

    async def put(self, collection: str, document: Document) -> None:
        """Insert or replace the document with that `_id`."""
        kept, text = stored(document)
        async with self._connection() as connection:
            await connection.execute(
                "INSERT INTO documents VALUES ($1, $2, $3::text::jsonb) "
                "ON CONFLICT (collection, id) DO UPDATE SET doc = excluded.doc",
                collection, kept["_id"], text,
            )  # fmt: skip

    async def update_if(
        self, collection: str, key: str, expected: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> Document | None:
        """Set `changes` if the document still matches `expected`; it afterwards, or None if it did not."""
        query = Query(expected, collection, key)
        where = f"collection = $1 AND id = $2 AND {query.condition}"
        async with self._connection() as connection, connection.transaction():
            select = f"SELECT doc::text FROM documents WHERE {where} FOR UPDATE"  # noqa: S608
            text = await connection.fetchval(select, *query.parameters)
            if text is None:
                return None
            kept, fresh = stored(_changed(decoded(text), changes))
            update = "UPDATE documents SET doc = $3::text::jsonb WHERE collection = $1 AND id = $2"
            await connection.execute(update, collection, key, fresh)
        return kept

    async def delete(self, collection: str, key: str) -> bool:
        """Delete the document with that `_id`; whether there was one."""
        async with self._connection() as connection:
            done: str = await connection.execute(
                "DELETE FROM documents WHERE collection = $1 AND id = $2", collection, key
            )
        return not done.endswith(" 0")

    async def count(self, collection: str, criteria: Mapping[str, Any]) -> int:
        """Number of documents that match."""
        query = Query(criteria, collection)
        select = f"SELECT count(*) FROM documents WHERE collection = $1 AND {query.condition}"  # noqa: S608
        async with self._connection() as connection:
            return int(await connection.fetchval(select, *query.parameters))

    async def ensure_index(
        self, collection: str, fields: Sequence[str], *, unique: bool = False, expire_after_s: int | None = None
    ) -> None:
        """Make an index if it is missing; nothing expires. Documents without a field have the same value in it."""
        paths = ["{" + ",".join(name.split(".")) + "}" for name in fields]
        name = "documents_" + hashlib.sha256(repr((collection, paths, unique)).encode()).hexdigest()[:16]
        async with self._connection() as connection:
            quoted = [
                await connection.fetchval("SELECT quote_literal($1::text)", text) for text in (collection, *paths)
            ]
            columns = ", ".join(f"(coalesce(doc #> {path}, 'null'))" for path in quoted[1:])
            kind = "UNIQUE INDEX" if unique else "INDEX"
            await connection.execute(
                f"CREATE {kind} IF NOT EXISTS {name} ON documents ({columns}) WHERE collection = {quoted[0]}"
            )

    async def close(self) -> None:
        """Give connections back."""
        if self._pool is not None:
            await self._pool.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            async with (await self._opened()).acquire(timeout=self._timeout_s) as connection:
                yield connection
        except asyncpg.UniqueViolationError:
            detail = "another document of the collection has the same values in a unique index"
            raise InvalidPayloadError(ErrorReason.CONTRACT_VIOLATION, detail) from None
        except (*_REFUSED, asyncpg.ClientConfigurationError) as error:
            what = f"PostgreSQL refused the connection or the operation ({type(error).__name__})"
            raise ConfigurationError(what, "check POINTSMAN_STORE_URI and the user's rights") from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # The server's text may quote the document.
            what = f"PostgreSQL does not answer ({type(error).__name__}); see POINTSMAN_STORE_URI"
            raise StoreUnavailableError(what) from None

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                pool = await asyncpg.create_pool(
                    self._uri, min_size=1, max_size=8, timeout=self._timeout_s, command_timeout=self._timeout_s
                )
                async with pool.acquire() as connection:
                    await connection.execute(_TABLE)
                self._pool = pool
            return self._pool


def _changed(document: Document, changes: Mapping[str, Any]) -> Document:
    for path, value in changes.items():
        inner = document
        *parents, last = path.split(".")
        for name in parents:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return document
