"""The served index: PostgreSQL with the extension pgvector, shared by all machines.

Words are compared by PostgreSQL's own full-text search (`ts_rank_cd`), which is not BM25: it knows no rarity of words.
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

if TYPE_CHECKING:
    import psycopg

    from pointsman.knowledge.index import Vector, Vectors

_CONNECT_S: Final = 10
_MOST_WORDS: Final = 64
_WORD: Final = re.compile(r"\w+")
_SCHEMA: Final = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE IF NOT EXISTS pointsman_documents (
    collection text NOT NULL, source text NOT NULL, digest text NOT NULL, passages integer NOT NULL,
    added_at timestamptz NOT NULL, embedder text NOT NULL, PRIMARY KEY (collection, source)
);
CREATE TABLE IF NOT EXISTS pointsman_passages (
    id bigserial PRIMARY KEY, collection text NOT NULL, source text NOT NULL, passage text NOT NULL,
    heading text NOT NULL, text text NOT NULL, vector vector NOT NULL,
    words tsvector GENERATED ALWAYS AS (to_tsvector('simple', heading || ' ' || text)) STORED
);
CREATE INDEX IF NOT EXISTS pointsman_passages_of ON pointsman_passages (collection, source);
CREATE INDEX IF NOT EXISTS pointsman_passages_words ON pointsman_passages USING gin (words);
"""
_LOCK: Final = 7_305_116
"""Two that make the tables at the same moment wait for each other."""
_NEAREST: Final = """
SELECT *, 1 - (vector <=> %(vector)s::vector) AS score FROM pointsman_passages WHERE collection = %(collection)s
ORDER BY vector <=> %(vector)s::vector, id LIMIT %(limit)s
"""
_MATCHING: Final = """
SELECT * FROM pointsman_passages, websearch_to_tsquery('simple', %(query)s) AS asked
WHERE collection = %(collection)s AND words @@ asked ORDER BY ts_rank_cd(words, asked, 1) DESC, id LIMIT %(limit)s
"""
_INSERT: Final = """
INSERT INTO pointsman_passages (collection, source, passage, heading, text, vector)
VALUES (%s, %s, %s, %s, %s, %s::vector)
"""


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
        self._connection: psycopg.Connection[dict[str, Any]] | None = None

    def documents(self, collection: str | None = None) -> list[Indexed]:
        """What is there, by collection and source."""
        query = """SELECT collection, source, digest, passages, added_at FROM pointsman_documents
            WHERE %(collection)s::text IS NULL OR collection = %(collection)s ORDER BY collection, source"""
        return [Indexed(**row) for row in self._rows(query, {"collection": collection})]

    def vectors(self, collection: str, source: str) -> Mapping[str, Vector]:
        """The vectors of one document, by the ids of its passages."""
        query = """SELECT passage, vector::text FROM pointsman_passages
            WHERE collection = %(collection)s AND source = %(source)s"""
        rows = self._rows(query, {"collection": collection, "source": source})
        return {row["passage"]: _vector(row["vector"]) for row in rows}

    def replace(self, document: Indexed, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Write one document: all of it or nothing."""
        where = (document.collection, document.source)
        with self._transaction() as cursor:
            _delete(cursor, where)
            rows = zip(chunks, vectors, strict=True)
            cursor.executemany(
                _INSERT, [(*where, chunk.id, chunk.heading, chunk.text, _literal(vector)) for chunk, vector in rows]
            )
            cursor.execute(
                "INSERT INTO pointsman_documents VALUES (%s, %s, %s, %s, %s, %s)",
                (*where, document.digest, len(chunks), document.added_at, self._embedder),
            )

    def remove(self, collection: str, source: str) -> bool:
        """Take one document out; whether it was there."""
        with self._transaction() as cursor:
            return _delete(cursor, (collection, source))

    def nearest(self, collection: str, vector: Vector, limit: int) -> list[Passage]:
        """The passages with the nearest vectors, nearest first."""
        values = {"collection": collection, "vector": _literal(vector), "limit": limit}
        return [passage(row, float(row["score"])) for row in self._rows(_NEAREST, values)]

    def matching(self, collection: str, query: str, limit: int) -> list[Passage]:
        """The passages that share words with `query`, best first."""
        # Plain words only: nothing in a query is an operator.
        words = [word for word in dict.fromkeys(_WORD.findall(query.lower())) if word != "or"][:_MOST_WORDS]
        values = {"collection": collection, "query": " or ".join(words), "limit": limit}
        return [passage(row) for row in self._rows(_MATCHING, values)] if words else []

    def embedded_by(self) -> str | None:
        """The name of the embedder whose vectors are there; None when nothing is."""
        rows = self._rows("SELECT embedder FROM pointsman_documents LIMIT 1", {})
        return str(rows[0]["embedder"]) if rows else None

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._drop()

    def _rows(self, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        try:
            with self._transaction() as cursor:
                return cursor.execute(query, values).fetchall()
        except _NoTablesError:
            return []

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
            self._connection = psycopg.connect(
                self._address, autocommit=True, row_factory=dict_row, connect_timeout=_CONNECT_S
            )
            if self._may_write:
                with self._connection.transaction():
                    self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                    self._connection.execute(_SCHEMA)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _NoTablesError(StoreUnavailableError):
    """Nothing was ever added."""


def _delete(cursor: psycopg.Cursor[dict[str, Any]], where: tuple[str, str]) -> bool:
    cursor.execute("DELETE FROM pointsman_passages WHERE collection = %s AND source = %s", where)
    cursor.execute("DELETE FROM pointsman_documents WHERE collection = %s AND source = %s", where)
    return cursor.rowcount > 0


def _literal(vector: Vector) -> str:
    return "[" + ",".join(f"{value:.8g}" for value in vector.tolist()) + "]"


def _vector(literal: str) -> Vector:
    import numpy as np

    return np.array([float(value) for value in literal.strip("[]").split(",")], dtype=np.float32)
