"""The port of an index: documents in passages, each with its words and its vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pointsman.errors import ConfigurationError
from pointsman.knowledge.chunking import Chunk
from pointsman.knowledge.port import Passage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pointsman.knowledge.embedding import Embedder

    Vectors = NDArray[np.float32]
    Vector = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """A document as an index knows it.

    Attributes:
        collection: where it belongs.
        source: its path below the folder that was added, with slashes.
        digest: a hash of its bytes and of how it was cut; the same digest needs no reading again.
        passages: number of its passages.
        added_at: when it was last written, UTC.
    """

    collection: str
    source: str
    digest: str
    passages: int
    added_at: datetime


class Index(Protocol):
    """Keeps passages and finds them. Blocks; callers run it in a worker thread. Safe for several threads."""

    def documents(self, collection: str | None = None) -> list[Indexed]:
        """What is there, by collection and source."""
        ...

    def vectors(self, collection: str, source: str) -> Mapping[str, Vector]:
        """The vectors of one document, by the ids of its passages."""
        ...

    def replace(self, document: Indexed, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Write one document: all of it or nothing."""
        ...

    def remove(self, collection: str, source: str) -> bool:
        """Take one document out; whether it was there."""
        ...

    def nearest(self, collection: str, vector: Vector, limit: int) -> list[Passage]:
        """The passages with the nearest vectors, nearest first."""
        ...

    def matching(self, collection: str, query: str, limit: int) -> list[Passage]:
        """The passages that share words with `query`, best first."""
        ...

    def embedded_by(self) -> str | None:
        """The name of the embedder whose vectors are there; None when nothing is."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


def check_embedder(index: Index, embedder: Embedder) -> None:
    """See that vectors of `embedder` may be compared with those in `index`.

    Raises:
        ConfigurationError: they come from another one.
    """
    known = index.embedded_by()
    if known is not None and known != embedder.name:
        what = f"the index was made with the embedding {known}, and POINTSMAN_EMBEDDINGS says {embedder.name}"
        raise ConfigurationError(what, "set it back, or `pointsman knowledge rm --all` and add the documents again")


def passage(row: Mapping[str, Any], score: float = 0.0) -> Passage:
    """A row of an index as a passage."""
    return Passage(source=row["source"], heading=row["heading"], text=row["text"], id=row["passage"], score=score)
