"""One suite for both indexes: the SQLite file and PostgreSQL with pgvector, a real server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from bench.postgres import own_postgres
from pointsman.errors import ConfigurationError, StoreUnavailableError
from pointsman.knowledge.chunking import Chunk
from pointsman.knowledge.embedding import HashedNgrams
from pointsman.knowledge.index import Index, Indexed, check_embedder
from pointsman.knowledge.ingestion import ingest
from pointsman.knowledge.measures import measured, read_questions
from pointsman.knowledge.pgvector_index import PgvectorIndex
from pointsman.knowledge.port import Passage
from pointsman.knowledge.retrieval import Way, search
from pointsman.knowledge.sqlite_index import SqliteIndex

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
EMBEDDER = HashedNgrams()
EXAMPLES = Path("examples/knowledge")
TEXTS = {
    "prices": "The plan Coast costs 1,450 euros a month.",
    "trucks": "Late deliveries are announced to the customer.",
    "training": "Storekeepers are trained for two hours.",
}


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of the tests' own."""
    with own_postgres() as address:
        yield address


@pytest.fixture(params=["sqlite", "pgvector"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    made: Index
    if request.param == "sqlite":
        made = SqliteIndex(tmp_path / "with a space" / "knowledge.db", EMBEDDER.name, may_write=True)
    else:
        address = request.getfixturevalue("postgres")
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS pointsman_documents, pointsman_passages")
        made = PgvectorIndex(address, EMBEDDER.name, may_write=True)
    yield made
    made.close()


def put(index: Index, source: str, texts: dict[str, str], collection: str = "product", digest: str = "d") -> None:
    chunks = [Chunk(id=name, heading=name.title(), text=text) for name, text in texts.items()]
    document = Indexed(collection=collection, source=source, digest=digest, passages=len(chunks), added_at=AT)
    index.replace(document, chunks, EMBEDDER.embed([chunk.embedded for chunk in chunks]))


def ids(found: Any) -> list[str]:
    return [passage.id for passage in found]


def test_what_was_written_is_listed(index: Index) -> None:
    assert index.documents() == []
    put(index, "b.md", TEXTS)
    put(index, "a.md", {"x": "other"}, collection="other")
    assert [(one.collection, one.source, one.passages, one.added_at) for one in index.documents()] == [
        ("other", "a.md", 1, AT),
        ("product", "b.md", 3, AT),
    ]
    assert [one.source for one in index.documents("product")] == ["b.md"]


def test_passages_are_found_by_words_and_by_vectors(index: Index) -> None:
    put(index, "b.md", TEXTS)
    assert ids(index.matching("product", "delivery late?", 3)) == ["trucks"]
    assert ids(index.nearest("product", EMBEDDER.embed([TEXTS["prices"]])[0], 1)) == ["prices"]
    best = search(index, EMBEDDER, "what does the plan Coast cost", collection="product", passages=2)[0]
    assert (best.source, best.heading, best.text) == ("b.md", "Prices", TEXTS["prices"])


def test_words_find_what_the_shipped_questions_ask_for(index: Index) -> None:
    for _ in ingest(EXAMPLES / "documents", "product", index, EMBEDDER, lambda: AT):
        pass

    def ask(query: str) -> Sequence[Passage]:
        return search(index, EMBEDDER, query, collection="product", passages=10, way=Way.WORDS)

    found = measured(read_questions(EXAMPLES / "questions.jsonl"), ask)
    assert found.mrr >= 0.46, "docs/evaluation.md says how good each index is"


def test_other_collections_stay_out(index: Index) -> None:
    put(index, "b.md", TEXTS)
    assert search(index, EMBEDDER, "late deliveries", collection="other", passages=3) == []


def test_writing_again_replaces(index: Index) -> None:
    put(index, "b.md", TEXTS)
    put(index, "b.md", {"prices": "Nothing costs anything."}, digest="e")
    assert [(one.digest, one.passages) for one in index.documents()] == [("e", 1)]
    assert index.matching("product", "deliveries", 3) == []
    assert ids(index.nearest("product", EMBEDDER.embed(["late"])[0], 9)) == ["prices"]


def test_a_removed_document_is_not_found(index: Index) -> None:
    put(index, "b.md", TEXTS)
    assert index.remove("product", "b.md")
    assert not index.remove("product", "b.md")
    assert search(index, EMBEDDER, "late deliveries", collection="product", passages=3) == []
    assert index.embedded_by() is None


def test_vectors_come_back_as_they_were_written(index: Index) -> None:
    put(index, "b.md", TEXTS)
    expected = EMBEDDER.embed([f"Trucks\n{TEXTS['trucks']}"])[0]
    assert np.allclose(index.vectors("product", "b.md")["trucks"], expected, atol=1e-6)


def test_a_write_that_fails_leaves_the_document_as_it_was(index: Index) -> None:
    put(index, "b.md", TEXTS)
    chunks = [Chunk(id=str(number), heading="", text="x") for number in range(2)]
    broken = Indexed(collection="product", source="b.md", digest="new", passages=2, added_at=AT)
    with pytest.raises(ValueError, match="zip"):
        index.replace(broken, chunks, EMBEDDER.embed(["one"]))
    assert [one.digest for one in index.documents()] == ["d"]
    assert len(index.vectors("product", "b.md")) == 3


@pytest.mark.parametrize("query", ["", "   ", "?!", '" OR *', "zz' OR 9=9 --", "NEAR(x y)", "or", "x" * 5000, "\0"])
def test_no_query_is_a_command(index: Index, query: str) -> None:
    put(index, "b.md", TEXTS)
    assert index.matching("product", query, 3) == []


def test_vectors_of_another_embedding_are_not_compared(index: Index) -> None:
    class Other(HashedNgrams):
        name = "other"

    check_embedder(index, Other())
    put(index, "b.md", TEXTS)
    check_embedder(index, EMBEDDER)
    with pytest.raises(ConfigurationError, match="hashed"):
        check_embedder(index, Other())


def test_a_reader_sees_what_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.db"
    writer = SqliteIndex(path, EMBEDDER.name, may_write=True)
    reader = SqliteIndex(path, EMBEDDER.name)
    vector = EMBEDDER.embed(["late deliveries"])[0]
    put(writer, "a.md", {"prices": TEXTS["prices"]})
    assert ids(reader.nearest("product", vector, 9)) == ["prices"]
    put(writer, "b.md", {"trucks": TEXTS["trucks"]})
    assert ids(reader.nearest("product", vector, 1)) == ["trucks"]
    with pytest.raises(StoreUnavailableError, match="cannot be written"):
        reader.remove("product", "a.md")
    reader.close()
    writer.close()


def test_a_file_that_is_no_index_is_named(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.db"
    path.write_bytes(b"no database at all, but long enough to look like one" * 20)
    with pytest.raises(ConfigurationError, match=r"knowledge\.db"):
        SqliteIndex(path, EMBEDDER.name, may_write=True)


def test_a_server_that_has_no_tables_yet_holds_nothing(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS pointsman_documents, pointsman_passages")
    index = PgvectorIndex(postgres, EMBEDDER.name)
    assert search(index, EMBEDDER, "late deliveries", collection="product", passages=3) == []
    index.close()


def test_a_lost_connection_is_made_anew(postgres: str) -> None:
    index = PgvectorIndex(postgres, EMBEDDER.name, may_write=True)
    assert index.documents("nothing") == []
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'idle'"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(end)
    with pytest.raises(StoreUnavailableError):
        index.documents("nothing")
    assert index.documents("nothing") == []
    index.close()


def test_a_server_that_is_away_is_unavailable_and_its_address_stays_hidden(tmp_path: Path) -> None:
    index = PgvectorIndex(f"host='{tmp_path}' user=secretive dbname=x", EMBEDDER.name)
    with pytest.raises(StoreUnavailableError) as caught:
        index.documents()
    assert "secretive" not in str(caught.value)
