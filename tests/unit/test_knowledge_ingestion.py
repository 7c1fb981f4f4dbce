"""Adding a folder: what has changed and nothing else, in few calls, and again where it was broken off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pointsman.errors import ConfigurationError, ModelUnavailableError
from pointsman.knowledge.embedding import HashedNgrams
from pointsman.knowledge.ingestion import Done, Outcome, ingest
from pointsman.knowledge.sqlite_index import SqliteIndex
from pointsman.testing import ManualClock


class CountingEmbedder(HashedNgrams):
    """Counts calls and texts; fails when told."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.fail_from: int | None = None

    def embed(self, texts: Sequence[str]) -> Any:
        if self.fail_from is not None and len(self.calls) >= self.fail_from:
            raise ModelUnavailableError("away")
        self.calls.append(len(texts))
        return super().embed(texts)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqliteIndex]:
    made = SqliteIndex(tmp_path / "knowledge.db", HashedNgrams.name, may_write=True)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "our documents"
    (made / "below").mkdir(parents=True)
    (made / "a.md").write_text("# A\n\nfirst\n\n# B\n\nsecond\n")
    (made / "below" / "c.txt").write_text("third")
    (made / ".hidden.md").write_text("nobody's business")
    (made / "picture.png").write_bytes(b"\x89PNG")
    return made


def run(folder: Path, index: SqliteIndex, embedder: CountingEmbedder, **options: Any) -> dict[str, Done]:
    return {done.source: done for done in ingest(folder, "product", index, embedder, ManualClock(), **options)}


def test_documents_are_added_in_one_call_and_not_again(folder: Path, index: SqliteIndex) -> None:
    embedder = CountingEmbedder()
    first = run(folder, index, embedder)
    again = run(folder, index, embedder)
    assert {name: done.outcome for name, done in first.items()} == dict.fromkeys(("a.md", "below/c.txt"), Outcome.ADDED)
    assert {done.outcome for done in again.values()} == {Outcome.UNCHANGED}
    assert embedder.calls == [3]


def test_of_a_changed_document_only_new_passages_are_embedded(folder: Path, index: SqliteIndex) -> None:
    embedder = CountingEmbedder()
    run(folder, index, embedder)
    (folder / "a.md").write_text("# A\n\nfirst\n\n# B\n\nanother second\n")
    changed = run(folder, index, embedder)["a.md"]
    assert (changed.outcome, changed.passages, changed.embedded) == (Outcome.CHANGED, 2, 1)
    assert [passage.text for passage in index.matching("product", "second", 5)] == ["another second"]


def test_a_document_that_is_gone_stays_unless_it_is_to_be_pruned(folder: Path, index: SqliteIndex) -> None:
    embedder = CountingEmbedder()
    run(folder, index, embedder)
    (folder / "below" / "c.txt").unlink()
    assert "below/c.txt" not in run(folder, index, embedder)
    assert [one.source for one in index.documents()] == ["a.md", "below/c.txt"]
    assert run(folder, index, embedder, prune=True)["below/c.txt"].outcome is Outcome.REMOVED
    assert [one.source for one in index.documents()] == ["a.md"]


def test_a_document_of_no_use_does_not_stop_the_others(folder: Path, index: SqliteIndex) -> None:
    (folder / "aa.pdf").write_bytes(b"%PDF-1.4\nbroken")
    done = run(folder, index, CountingEmbedder())
    assert done["aa.pdf"].outcome is Outcome.FAILED
    assert "PDF" in done["aa.pdf"].problem
    assert len(index.documents()) == 2


def test_what_was_broken_off_goes_on_where_it_stopped(folder: Path, index: SqliteIndex) -> None:
    for number in range(3):
        (folder / f"d{number}.txt").write_text("\n\n".join(f"{number} {part} " + "x" * 800 for part in range(64)))
    embedder = CountingEmbedder()
    embedder.fail_from = 1
    with pytest.raises(ModelUnavailableError):
        run(folder, index, embedder)
    written = {one.source for one in index.documents()}
    embedder.fail_from = None
    done = run(folder, index, embedder)
    assert written
    assert {name for name, each in done.items() if each.outcome is Outcome.UNCHANGED} == written
    assert {one.source for one in index.documents()} == set(done)


def test_a_link_that_leads_out_of_the_folder_is_left_out(folder: Path, index: SqliteIndex, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("not ours to show")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    assert "link.txt" not in run(folder, index, CountingEmbedder())


def test_a_folder_without_documents_is_named(tmp_path: Path, index: SqliteIndex) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ConfigurationError, match="holds no documents"):
        run(tmp_path / "nothing", index, CountingEmbedder())
    with pytest.raises(ConfigurationError, match="is no folder"):
        run(tmp_path / "missing", index, CountingEmbedder())
