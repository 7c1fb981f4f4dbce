"""The served index: PostgreSQL with the extension pgvector, shared by all machines.

Words are compared by PostgreSQL's own full-text search (`ts_rank`), which is not BM25: it knows no rarity of words, and
the configuration `simple` no stems.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pointsman.errors import ConfigurationError, StoreUnavailableError
from pointsman.knowledge.chunking import Chunk
from pointsman.knowledge.index import Indexed, passage
from pointsman.knowledge.port import Passage
from pointsman.knowledge.statements import statements

if TYPE_CHECKING:
    import psycopg

    from pointsman.knowledge.index import Vector, Vectors

_LIMITS: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""A server whose machine is gone says nothing: without them, all searches would wait for it for many minutes."""
_READ_WITHIN: Final = "-c statement_timeout=15000"
"""Below the 20 s of a search, which gives up waiting and cannot end the statement that holds the connection."""
_MOST_WORDS: Final = 64
_WORD: Final = re.compile(r"\w+")


class PgvectorIndex:
    """The index in PostgreSQL. Connects when it is first used, and again after the connection was lost.

    Args:
        address: `postgresql://...`; never shown.
        embedder: name of the embedder whose vectors are written.
        may_write: make the tables if they are missing.

    Raises:
        ConfigurationError: psycopg is not installed.
    """

    def __init__(self, address: str, embedder: str, *, may_write: bool = False) -> None:
        try:
            import psycopg  # noqa: F401 - here, so that whoever starts is told at once
        except ImportError:
            raise ConfigurationError("psycopg is not installed", "install pointsman[knowledge]") from None
        self._address = address
        self._embedder = embedder
        self._may_write = may_write
        self._lock = threading.Lock()
        self._sql = statements("pgvector.sql")
        self._connection: psycopg.Connection[dict[str, Any]] | None = None

    def documents(self, collection: str | None = None) -> list[Indexed]:
        """What is there, by collection and source."""
        return [Indexed(**row) for row in self._rows("documents", {"collection": collection})]

    def vectors(self, collection: str, source: str) -> Mapping[str, Vector]:
        """The vectors of one document, by the ids of its passages."""
        rows = self._rows("vectors", {"collection": collection, "source": source})
        return {row["passage"]: _vector(row["vector"]) for row in rows}

    def replace(self, document: Indexed, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Write one document: all of it or nothing."""
        where = {"collection": document.collection, "source": document.source}
        about = {"digest": document.digest, "passages": len(chunks), "added_at": document.added_at}
        rows = [
            {**where, "passage": chunk.id, "heading": chunk.heading, "text": chunk.text, "vector": _literal(vector)}
            for chunk, vector in zip(chunks, vectors, strict=True)
        ]
        with self._transaction() as cursor:
            self._delete(cursor, where)
            cursor.executemany(self._sql["insert_passage"], rows)
            cursor.execute(self._sql["insert_document"], {**where, **about, "embedder": self._embedder})

    def remove(self, collection: str, source: str) -> bool:
        """Take one document out; whether it was there."""
        with self._transaction() as cursor:
            return self._delete(cursor, {"collection": collection, "source": source})

    def nearest(self, collection: str, vector: Vector, limit: int) -> list[Passage]:
        """The passages with the nearest vectors, nearest first."""
        values = {"collection": collection, "vector": _literal(vector), "limit": limit}
        return [passage(row, float(row["score"])) for row in self._rows("nearest", values)]

    def matching(self, collection: str, query: str, limit: int) -> list[Passage]:
        """The passages that share words with `query`, best first."""
        # Plain words only: nothing in a query is an operator.
        words = [word for word in dict.fromkeys(_WORD.findall(query.lower())) if word != "or"][:_MOST_WORDS]
        values = {"collection": collection, "query": " or ".join(words), "limit": limit}
        return [passage(row) for row in self._rows("matching", values)] if words else []

    def embedded_by(self) -> str | None:
        """The name of the embedder whose vectors are there; None when nothing is."""
        rows = self._rows("embedder", {})
        return str(rows[0]["embedder"]) if rows else None

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._drop()

    def _rows(self, statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        try:
            with self._transaction() as cursor:
                return cursor.execute(self._sql[statement], values).fetchall()
        except _NoTablesError:
            return []

    def _delete(self, cursor: psycopg.Cursor[dict[str, Any]], where: Mapping[str, str]) -> bool:
        cursor.execute(self._sql["delete_passages"], where)
        cursor.execute(self._sql["delete_document"], where)
        return cursor.rowcount > 0

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Cursor[dict[str, Any]]]:
        import psycopg

        with self._lock:
            try:
                connection = self._connected()
                with connection.transaction(), connection.cursor() as cursor:
                    yield cursor
            except psycopg.errors.UndefinedTable:
                raise _NoTablesError("PostgreSQL holds no index: `pointsman knowledge add` makes it") from None
            except psycopg.Error as error:
                self._drop()
                # The server's text may quote a document or the address; its code says enough.
                code = error.sqlstate or type(error).__name__
                raise StoreUnavailableError(f"PostgreSQL does not answer as it should ({code})") from None

    def _connected(self) -> psycopg.Connection[dict[str, Any]]:
        import psycopg
        from psycopg.rows import dict_row

        if self._connection is None or self._connection.closed:
            address = _with_limits(self._address, may_write=self._may_write)
            self._connection = psycopg.connect(address, autocommit=True, row_factory=dict_row)
            if self._may_write:
                with self._connection.transaction():
                    self._connection.execute(self._sql["lock"])
                    self._connection.execute(self._sql["schema"])
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _NoTablesError(StoreUnavailableError):
    """Nothing was ever added."""


def _with_limits(address: str, *, may_write: bool) -> str:
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    given = conninfo_to_dict(address)
    if not may_write:  # Whoever writes may have to wait for another who writes a large document.
        given["options"] = f"{_READ_WITHIN} {given.get('options') or ''}".strip()
    return make_conninfo("", **{**_LIMITS, **given})


def _literal(vector: Vector) -> str:
    return "[" + ",".join(f"{value:.8g}" for value in vector.tolist()) + "]"


def _vector(literal: str) -> Vector:
    import numpy as np

    return np.array([float(value) for value in literal.strip("[]").split(",")], dtype=np.float32)
