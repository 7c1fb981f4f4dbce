r"""How well passages are found in a file and in PostgreSQL: by words, by vectors and by both, on examples/knowledge.

    python -m bench.knowledge --out bench/results/knowledge.json

The labelled questions are asked of both indexes, with the vectors of each embedding that runs here; PostgreSQL with
pgvector is started for that and ended. What --out holds of an embedding that does not run here (`sentence-model`
without its extra) is kept and marked `kept`, as long as it is of the same documents and questions (`digest`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from bench.postgres import own_postgres
from pointsman.errors import ConfigurationError
from pointsman.knowledge.embedding import HASHED, SENTENCE_MODEL, Embedder, embedder_of
from pointsman.knowledge.index import Index
from pointsman.knowledge.ingestion import files_of, ingest
from pointsman.knowledge.measures import DEPTHS, measured, read_questions
from pointsman.knowledge.pgvector_index import PgvectorIndex
from pointsman.knowledge.retrieval import Way, search
from pointsman.knowledge.sqlite_index import SqliteIndex
from pointsman.settings import Settings

DOCUMENTS = Path("examples/knowledge/documents")
QUESTIONS = Path("examples/knowledge/questions.jsonl")
COLLECTION = "product"
EMBEDDINGS = (HASHED, SENTENCE_MODEL)


def main() -> None:
    """Run it and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    before = json.loads(options.out.read_text(encoding="utf-8")) if options.out and options.out.exists() else {}
    with own_postgres() as address:
        result: dict[str, Any] = {
            "digest": digest(),
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
            "versions": {"sqlite": sqlite3.sqlite_version, **_versions(address)},
            "indexes": _measured(address),
        }
    keep(before, result)
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def digest() -> str:
    """Names the documents and the questions: figures of others are not to be compared."""
    held = hashlib.sha256()
    for path in (*files_of(DOCUMENTS), QUESTIONS):
        held.update(path.name.encode() + b"\0" + path.read_bytes())
    # Short: what looks for secrets takes a longer one for a key.
    return held.hexdigest()[:8]


def _measured(address: str) -> dict[str, Any]:
    found: dict[str, Any] = {"embedded": {}, "pgvector": {}}
    for name in EMBEDDINGS:
        try:
            embedder = embedder_of(Settings(embeddings=name))
        except ConfigurationError as error:
            sys.stderr.write(f"{name} is not measured: {error}\n")
            continue
        with _embedded(embedder) as index:
            found["embedded"][name] = _asked(index, embedder)
        with _pgvector(address, embedder) as index:
            found["pgvector"][name] = _asked(index, embedder)
    return found


@contextmanager
def _embedded(embedder: Embedder) -> Iterator[Index]:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(SqliteIndex(Path(folder) / "knowledge.db", embedder.name, may_write=True)) as index,
    ):
        yield index


@contextmanager
def _pgvector(address: str, embedder: Embedder) -> Iterator[Index]:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS pointsman_documents, pointsman_passages")
    with closing(PgvectorIndex(address, embedder.name, may_write=True)) as index:
        yield index


def _asked(index: Index, embedder: Embedder) -> dict[str, Any]:
    for done in ingest(DOCUMENTS, COLLECTION, index, embedder, lambda: datetime.now(UTC)):
        if done.problem:
            raise ConfigurationError(f"{done.source}: {done.problem}", "mend examples/knowledge")
    return {"embedding": embedder.name, **{way.value: _by(way, index, embedder) for way in Way}}


def _by(way: Way, index: Index, embedder: Embedder) -> dict[str, Any]:
    asked = read_questions(QUESTIONS)
    deepest = DEPTHS[-1]
    found = measured(
        asked, lambda query: search(index, embedder, query, collection=COLLECTION, passages=deepest, way=way)
    )
    return {"questions": found.questions, "recall": found.recall, "mrr": found.mrr, "missed": found.missed}


def _versions(address: str) -> dict[str, str]:
    with psycopg.connect(address) as connection:
        server = connection.execute("SHOW server_version").fetchone()
        vector = connection.execute(
            "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
        ).fetchone()
    return {"postgresql": str(server and server[0]), "pgvector": str(vector and vector[0])}


def keep(before: dict[str, Any], result: dict[str, Any]) -> None:
    """Take over, marked, what was measured before on the same documents and could not be measured now."""
    if before.get("digest") != result["digest"]:
        return
    for index, rows in before["indexes"].items():
        for name, row in rows.items():
            if name not in result["indexes"][index]:
                kept = row.get("kept", f"measured before, on {before['machine']}")
                result["indexes"][index][name] = {**row, "kept": kept}


if __name__ == "__main__":
    main()
