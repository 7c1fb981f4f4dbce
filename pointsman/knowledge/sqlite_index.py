"""The embedded index: one SQLite file. Vectors are compared exactly, with numpy; words by SQLite's own BM25 (FTS5).

Exact search over some ten thousand passages takes a few milliseconds, and a file needs no server; what is larger or
has to be shared between machines belongs into PostgreSQL (`pgvector_index`).
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pointsman.envelope import from_rfc3339, to_rfc3339
from pointsman.errors import ConfigurationError, StoreUnavailableError
from pointsman.knowledge.chunking import Chunk
from pointsman.knowledge.index import Indexed, passage
from pointsman.knowledge.port import Passage
from pointsman.knowledge.statements import statements

if TYPE_CHECKING:
    from pointsman.knowledge.index import Vector, Vectors

_WAIT_S: Final = 10.0
_MOST_WORDS: Final = 64
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class _Matrix:
    """All vectors of one collection, as of one version of the file."""

    version: int
    ids: list[int]
    rows: Vectors


class SqliteIndex:
    """The index in a file.

    Args:
        path: the file.
        embedder: name of the embedder whose vectors are written.
        may_write: make the file if it is missing; else it is only read.

    Raises:
        ConfigurationError: the file cannot be opened or is no index.
    """

    def __init__(self, path: Path, embedder: str, *, may_write: bool = False) -> None:
        self._path = path
        self._embedder = embedder
        self._lock = threading.Lock()
        self._matrices: dict[str, _Matrix] = {}
        self._written = 0
        self._sql = statements("sqlite.sql")
        try:
            if may_write:
                path.parent.mkdir(parents=True, exist_ok=True)
            address = f"{path.resolve().as_uri()}?mode={'rwc' if may_write else 'ro'}"
            self._db = sqlite3.connect(
                address, uri=True, timeout=_WAIT_S, check_same_thread=False, isolation_level=None
            )
            self._db.row_factory = sqlite3.Row
            if may_write:
                self._db.executescript(self._sql["schema"])
        except (sqlite3.Error, OSError) as error:
            what = f"{path} cannot be opened as an index ({type(error).__name__})"
            raise ConfigurationError(what, "remove the file and add the documents again") from None

    def documents(self, collection: str | None = None) -> list[Indexed]:
        """What is there, by collection and source."""
        return [_indexed(row) for row in self._rows("documents", {"collection": collection})]

    def vectors(self, collection: str, source: str) -> Mapping[str, Vector]:
        """The vectors of one document, by the ids of its passages."""
        found = self._rows("vectors", {"collection": collection, "source": source})
        return {row["passage"]: _vector(row["vector"]) for row in found}

    def replace(self, document: Indexed, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Write one document: all of it or nothing."""
        where = {"collection": document.collection, "source": document.source}
        about = {"digest": document.digest, "passages": len(chunks), "added_at": to_rfc3339(document.added_at)}
        with self._writing() as db:
            self._delete(db, where)
            for chunk, vector in zip(chunks, vectors, strict=True):
                words = {"heading": chunk.heading, "text": chunk.text}
                stored = {**where, **words, "passage": chunk.id, "vector": vector.astype("<f4").tobytes()}
                done = db.execute(self._sql["insert_passage"], stored)
                db.execute(self._sql["insert_words"], {**words, "id": done.lastrowid})
            db.execute(self._sql["insert_document"], {**where, **about, "embedder": self._embedder})

    def remove(self, collection: str, source: str) -> bool:
        """Take one document out; whether it was there."""
        with self._writing() as db:
            return self._delete(db, {"collection": collection, "source": source})

    def nearest(self, collection: str, vector: Vector, limit: int) -> list[Passage]:
        """The passages with the nearest vectors, nearest first."""
        import numpy as np

        with self._reading() as db:
            matrix = self._matrix(db, collection)
            if not matrix.ids:
                return []
            scores = matrix.rows @ vector
            best = np.argsort(-scores, kind="stable")[:limit]
            found = [db.execute(self._sql["passage"], {"id": matrix.ids[at]}).fetchone() for at in best]
        return [passage(dict(row), float(scores[at])) for row, at in zip(found, best, strict=True) if row is not None]

    def matching(self, collection: str, query: str, limit: int) -> list[Passage]:
        """The passages that share words with `query`, best first."""
        words = list(dict.fromkeys(_WORD.findall(query.lower())))[:_MOST_WORDS]
        if not words:
            return []
        # Quoted: a word of the query is never an operator of FTS5.
        asked = " OR ".join(f'"{word}"' for word in words)
        return [
            passage(dict(row))
            for row in self._rows("matching", {"asked": asked, "collection": collection, "limit": limit})
        ]

    def embedded_by(self) -> str | None:
        """The name of the embedder whose vectors are there; None when nothing is."""
        rows = self._rows("embedder", {})
        return str(rows[0]["embedder"]) if rows else None

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._db.close()

    def _matrix(self, db: sqlite3.Connection, collection: str) -> _Matrix:
        """The vectors of `collection`, read again when somebody has written."""
        import numpy as np

        # data_version tells of other connections' writes only.
        version = int(db.execute("PRAGMA data_version").fetchone()[0]) + self._written
        known = self._matrices.get(collection)
        if known is not None and known.version == version:
            return known
        rows = db.execute(self._sql["matrix"], {"collection": collection}).fetchall()
        vectors = np.stack([_vector(row["vector"]) for row in rows]) if rows else np.zeros((0, 0), dtype=np.float32)
        made = _Matrix(version=version, ids=[int(row["id"]) for row in rows], rows=vectors)
        self._matrices[collection] = made
        return made

    def _rows(self, statement: str, values: Mapping[str, Any]) -> list[sqlite3.Row]:
        with self._reading() as db:
            return db.execute(self._sql[statement], values).fetchall()

    def _delete(self, db: sqlite3.Connection, where: Mapping[str, str]) -> bool:
        db.execute(self._sql["delete_words"], where)
        db.execute(self._sql["delete_passages"], where)
        return db.execute(self._sql["delete_document"], where).rowcount > 0

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                what = f"the index {self._path} cannot be read ({type(error).__name__})"
                raise StoreUnavailableError(what) from None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                what = f"the index {self._path} cannot be written ({type(error).__name__})"
                raise StoreUnavailableError(what) from None
            self._written += 1


def _indexed(row: sqlite3.Row) -> Indexed:
    return Indexed(
        collection=row["collection"],
        source=row["source"],
        digest=row["digest"],
        passages=row["passages"],
        added_at=from_rfc3339(row["added_at"]),
    )


def _vector(blob: bytes) -> Vector:
    import numpy as np

    return np.frombuffer(blob, dtype="<f4").astype(np.float32)
