"""Retrieval: both rankings together, measured, and never in the way of other messages."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pointsman.errors import ConfigurationError
from pointsman.knowledge.embedding import HashedNgrams
from pointsman.knowledge.fusion import fused
from pointsman.knowledge.ingestion import ingest
from pointsman.knowledge.measures import Question, measured, read_questions
from pointsman.knowledge.port import Passage
from pointsman.knowledge.retrieval import FILE, IndexRetriever, Way, search
from pointsman.knowledge.sqlite_index import SqliteIndex
from pointsman.settings import Settings
from pointsman.testing import ManualClock

EXAMPLES = Path("examples/knowledge")


def passage(name: str, source: str = "a.md", heading: str = "") -> Passage:
    return Passage(source=source, heading=heading, text=name, id=name)


def filled(path: Path) -> SqliteIndex:
    index = SqliteIndex(path, HashedNgrams.name, may_write=True)
    for _ in ingest(EXAMPLES / "documents", "product", index, HashedNgrams(), ManualClock()):
        pass
    return index


def test_what_both_rankings_know_stands_first() -> None:
    words = [passage("w1"), passage("both"), passage("w3")]
    vectors = [passage("v1"), passage("v2"), passage("both")]
    assert [each.id for each in fused([(words, 1.0), (vectors, 1.0)], 3)] == ["both", "w1", "v1"]
    assert [each.id for each in fused([(words, 1.0), (vectors, 5.0)], 2)] == ["both", "v1"]


def test_the_same_text_in_two_documents_is_two_passages() -> None:
    assert len(fused([([passage("x", "a.md"), passage("x", "b.md")], 1.0)], 5)) == 2


def test_recall_and_mean_reciprocal_rank() -> None:
    answers = {
        "first": [passage("1", "a.md")],
        "second": [passage("1", "b.md"), passage("2", "a.md", "Top > Part")],
        "never": [passage("1", "b.md")],
    }
    questions = [
        Question(query="first", relevant=["a.md"]),
        Question(query="second", relevant=["a.md#Part"]),
        Question(query="never", relevant=["a.md"]),
    ]
    found = measured(questions, answers.__getitem__)
    assert found.recall == {1: 0.3333, 3: 0.6667, 5: 0.6667, 10: 0.6667}
    assert found.mrr == 0.5
    assert found.missed == ["never"]


def test_the_shipped_questions_find_the_shipped_documents(tmp_path: Path) -> None:
    index = filled(tmp_path / FILE)
    questions = read_questions(EXAMPLES / "questions.jsonl")

    def by(way: Way) -> float:
        def ask(query: str) -> Sequence[Passage]:
            return search(index, HashedNgrams(), query, collection="product", passages=10, way=way)

        return measured(questions, ask).mrr

    figures = {way: by(way) for way in Way}
    index.close()
    assert figures[Way.HYBRID] > figures[Way.VECTORS]
    assert figures[Way.HYBRID] >= 0.55, "docs/evaluation.md says how good hashed n-grams are"


@pytest.mark.parametrize("line", ["no json", "[]", '{"query": "q"}', '{"query": "", "relevant": ["a"]}'])
def test_a_wrong_question_is_named_by_file_and_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"query": "q", "relevant": ["a.md"]}\n' + line)
    with pytest.raises(ConfigurationError, match=r"questions\.jsonl:2"):
        read_questions(path)


async def test_nothing_is_found_where_nothing_was_added_and_what_is_added_later_is_found(tmp_path: Path) -> None:
    retriever = IndexRetriever.of(Settings(data_dir=tmp_path))
    assert await retriever.search("late deliveries", collection="product", passages=3) == []
    filled(tmp_path / FILE).close()
    found = await retriever.search("late deliveries", collection="product", passages=3)
    assert found[0].heading.endswith("Late deliveries")
    await retriever.close()


async def test_other_work_goes_on_while_the_embedding_server_is_slow(tmp_path: Path) -> None:
    class Slow(HashedNgrams):
        asked, answers = threading.Event(), threading.Event()

        def embed(self, texts: Sequence[str]) -> Any:
            self.asked.set()
            assert self.answers.wait(20)
            return super().embed(texts)

    index, slow = filled(tmp_path / FILE), Slow()
    retriever = IndexRetriever(lambda: (index, slow))
    asking = asyncio.create_task(retriever.search("late deliveries", collection="product", passages=3))
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(slow.asked.wait, 20)
    longest = 0.0
    for _ in range(200):
        began = loop.time()
        await asyncio.sleep(0.001)
        longest = max(longest, loop.time() - began)
    assert not asking.done()
    assert longest < 1.0  # 1 ms but for a busy machine; the embedding would hold it up for as long as it takes
    slow.answers.set()
    assert len(await asking) == 3
    await retriever.close()
