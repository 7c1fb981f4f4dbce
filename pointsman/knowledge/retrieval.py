"""The retriever that agents get: embeds the question and searches, in worker threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pointsman.errors import ConfigurationError, StoreUnavailableError
from pointsman.knowledge.fusion import fused
from pointsman.knowledge.port import Passage
from pointsman.settings import Settings

if TYPE_CHECKING:
    from pointsman.knowledge.embedding import Embedder
    from pointsman.knowledge.index import Index

FILE: Final = "knowledge.db"
_THREADS: Final = 32
"""As many as messages that an agent usually has in flight: a slow search holds no other up."""
_WITHIN_S: Final = 20.0
"""Well below the time that agents have for a message: it then waits as in an outage and uses up no tries."""
_LONGEST_QUERY: Final = 4_000
_POOL: Final = 4
"""Each ranking goes so many times deeper than what is asked for: a passage that both know stands high."""


class Way(StrEnum):
    """How passages are found."""

    HYBRID = "hybrid"
    """By both, put together by reciprocal ranks."""
    WORDS = "words"
    """By the words that they share with the question."""
    VECTORS = "vectors"
    """By their vectors."""


def search(
    index: Index, embedder: Embedder, query: str, *, collection: str, passages: int, way: Way = Way.HYBRID
) -> list[Passage]:
    """The passages of `collection` that fit `query` best, best first. Blocks."""
    asked, depth = query[:_LONGEST_QUERY], passages * _POOL
    rankings: list[tuple[list[Passage], float]] = []
    if way is not Way.VECTORS:
        rankings.append((index.matching(collection, asked, depth), 1.0))
    if way is not Way.WORDS:
        rankings.append((index.nearest(collection, embedder.embed([asked])[0], depth), embedder.weight))
    return fused(rankings, passages)


class IndexRetriever:
    """A retriever over an index, which is opened at the first question.

    Args:
        opening: opens the index and what its vectors are made with; None as long as nothing was added.
        within_s: seconds after which a search is given up, those included that it waits for others.
    """

    def __init__(self, opening: Callable[[], tuple[Index, Embedder] | None], within_s: float = _WITHIN_S) -> None:
        self._opening = opening
        self._within_s = within_s
        self._lock = threading.Lock()
        self._opened: tuple[Index, Embedder] | None = None
        # Not asyncio's own pool: a slow embedding server must not take the threads that others wait for.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="knowledge")

    @classmethod
    def of(cls, settings: Settings) -> IndexRetriever:
        """The retriever over the index that the settings name."""
        return cls(lambda: _opened(settings))

    async def search(self, query: str, *, collection: str, passages: int) -> Sequence[Passage]:
        """The passages of `collection` that fit `query` best, best first; none where nothing was added.

        Raises:
            StoreUnavailableError: the index does not answer, or all of it took too long.
            ModelUnavailableError: the embedding server does not answer.
            ModelAnswerError: the embedding server refuses the question.
            ConfigurationError: the index was made with another embedding, or what it needs is not installed.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._within_s):
                return await loop.run_in_executor(self._threads, self._search, query, collection, passages)
        except TimeoutError:
            raise StoreUnavailableError(f"the documents were not searched within {self._within_s:g} s") from None

    async def close(self) -> None:
        """Give connections and threads back."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for one in self._opened or ():
                one.close()
            self._opened = None

    def _search(self, query: str, collection: str, passages: int) -> list[Passage]:
        from pointsman.knowledge.index import check_embedder

        opened = self._open()
        if opened is None:
            return []
        index, embedder = opened
        check_embedder(index, embedder)  # Somebody may have made the index anew.
        return search(index, embedder, query, collection=collection, passages=passages)

    def _open(self) -> tuple[Index, Embedder] | None:
        with self._lock:
            if self._opened is None:
                self._opened = self._opening()
            return self._opened


def _opened(settings: Settings) -> tuple[Index, Embedder] | None:
    from pointsman.knowledge.embedding import embedder_of

    if not is_there(settings):
        return None
    embedder = embedder_of(settings, message_waits=True)
    return open_index(settings, embedder), embedder


def is_there(settings: Settings) -> bool:
    """Whether there may be an index: a served one is named, or the file is there."""
    return settings.knowledge_url is not None or index_file(settings).exists()


def index_file(settings: Settings) -> Path:
    """Where the embedded index lies."""
    return settings.data_dir / FILE


def open_index(settings: Settings, embedder: Embedder, *, may_write: bool = False) -> Index:
    """The index that the settings name.

    Args:
        settings: the process's settings.
        embedder: what its vectors are made with.
        may_write: make it if it is missing.

    Raises:
        ConfigurationError: it cannot be opened, or what it needs is not installed.
    """
    try:
        import numpy  # noqa: F401 - here, so that whoever starts is told at once
    except ImportError:
        raise ConfigurationError("numpy is not installed", "install pointsman[knowledge]") from None
    if settings.knowledge_url is not None:
        from pointsman.knowledge.pgvector_index import PgvectorIndex

        return PgvectorIndex(settings.knowledge_url.get_secret_value(), embedder.name, may_write=may_write)
    from pointsman.knowledge.sqlite_index import SqliteIndex

    return SqliteIndex(index_file(settings), embedder.name, may_write=may_write)
