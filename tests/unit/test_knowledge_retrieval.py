"""Retrieval: both rankings together, measured, and never in the way of other messages."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pointsman.definitions.model import Limits
from pointsman.errors import ConfigurationError, StoreUnavailableError
from pointsman.knowledge.embedding import HashedNgrams
from pointsman.knowledge.fusion import fused
from pointsman.knowledge.ingestion import ingest
from pointsman.knowledge.measures import Question, measured, read_questions
from pointsman.knowledge.port import Passage
from pointsman.knowledge.retrieval import FILE, IndexRetriever, Way, search
from pointsman.knowledge.sqlite_index import SqliteIndex
from pointsman.runtime.grounding import passages_for
from pointsman.settings import Settings
from pointsman.testing import ManualClock
from tests import sdr

EXAMPLES = Path("examples/knowledge")
SLOW = "slow deliveries"


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


class Slow(HashedNgrams):
    """Answers at once, but what is asked `SLOW` only when it is let go."""

    def __init__(self) -> None:
        self.asked, self.answers = threading.Semaphore(0), threading.Event()
        self.closed = False

    def embed(self, texts: Sequence[str]) -> Any:
        if SLOW in texts:
            self.asked.release()
            assert self.answers.wait(20)
        return super().embed(texts)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.answers.set()


async def test_other_work_goes_on_while_the_embedding_server_is_slow(tmp_path: Path, slow: Slow) -> None:
    retriever = over(filled(tmp_path / FILE), slow)
    (asking,) = await slow_searches(1, retriever, slow)
    loop = asyncio.get_running_loop()
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


async def test_as_many_are_searched_for_at_once_as_an_agent_usually_has_in_flight(tmp_path: Path, slow: Slow) -> None:
    retriever = over(filled(tmp_path / FILE), slow)
    waiting = await slow_searches(Limits().in_flight - 1, retriever, slow)
    assert len(await retriever.search("late deliveries", collection="product", passages=3)) == 3
    assert not any(each.done() for each in waiting)
    slow.answers.set()
    assert {len(found) for found in await asyncio.gather(*waiting)} == {3}
    await retriever.close()


async def test_a_search_is_given_up_after_its_time_whether_it_is_slow_or_waits_for_others(
    tmp_path: Path, slow: Slow
) -> None:
    retriever = over(filled(tmp_path / FILE), slow, within_s=0.2)
    waiting = [slow_search(retriever) for _ in range(Limits().in_flight)]
    last = asyncio.create_task(retriever.search("late deliveries", collection="product", passages=3))
    for each in (*waiting, last):
        with pytest.raises(StoreUnavailableError, match=r"not searched within 0\.2 s"):
            await each
    slow.answers.set()
    await retriever.close()


async def test_a_message_that_needs_no_documents_waits_for_no_search(tmp_path: Path, slow: Slow) -> None:
    retriever = over(filled(tmp_path / FILE), slow)
    waiting = await slow_searches(Limits().in_flight, retriever, slow)
    needs_none = sdr.context("active_outreach", []).definition.model_copy(update={"knowledge": None})
    assert await passages_for(needs_none, retriever, "late deliveries") == []
    assert not any(each.done() for each in waiting)
    slow.answers.set()
    await asyncio.gather(*waiting)
    await retriever.close()


async def test_what_embeds_is_closed_with_the_index(tmp_path: Path, slow: Slow) -> None:
    retriever = over(filled(tmp_path / FILE), slow)
    await retriever.search("late deliveries", collection="product", passages=3)
    await retriever.close()
    assert slow.closed


def over(index: SqliteIndex, embedder: Slow, **options: float) -> IndexRetriever:
    return IndexRetriever(lambda: (index, embedder), **options)


def slow_search(retriever: IndexRetriever) -> asyncio.Task[Sequence[Passage]]:
    return asyncio.create_task(retriever.search(SLOW, collection="product", passages=3))


async def slow_searches(number: int, retriever: IndexRetriever, slow: Slow) -> list[asyncio.Task[Sequence[Passage]]]:
    """So many searches that have come to the embedding server, which does not answer."""
    made = [slow_search(retriever) for _ in range(number)]
    for _ in made:
        assert await asyncio.to_thread(slow.asked.acquire, timeout=20)
    return made
