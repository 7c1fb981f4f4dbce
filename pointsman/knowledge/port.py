"""What agents see of knowledge: a question goes in, passages come out. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A piece of a document that may answer a question.

    Attributes:
        source: the document: its path below the folder that was added.
        heading: the headings above it, outermost first; empty where there are none.
        text: its words.
        id: names this text in this document; another text has another id.
        score: sum of reciprocal ranks; compares passages of one answer, and says nothing by itself.
    """

    source: str
    heading: str
    text: str
    id: str
    score: float = 0.0


class Retriever(Protocol):
    """Finds passages. Never holds the event loop up."""

    async def search(self, query: str, *, collection: str, passages: int) -> Sequence[Passage]:
        """The passages of `collection` that fit `query` best, best first; none where nothing was added.

        Args:
            query: what they should be about.
            collection: where to look.
            passages: how many at most.

        Raises:
            StoreUnavailableError: the index does not answer, or all of it took too long.
            ModelUnavailableError: the embedding server does not answer.
            ModelAnswerError: the embedding server refuses the question.
            ConfigurationError: the index was made with another embedding, or what it needs is not installed.
        """
        ...

    async def close(self) -> None:
        """Give connections and threads back."""
        ...


class _NoKnowledge:
    async def search(self, query: str, *, collection: str, passages: int) -> Sequence[Passage]:
        return ()

    async def close(self) -> None:
        pass


NO_KNOWLEDGE: Final[Retriever] = _NoKnowledge()
"""Nothing was ever added."""
