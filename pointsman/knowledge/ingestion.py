"""Adds a folder of documents to an index: what has changed since last time, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointsman.errors import ConfigurationError, RefusedError
from pointsman.knowledge import chunking
from pointsman.knowledge.chunking import Chunk, chunks_of
from pointsman.knowledge.embedding import BATCH, Embedder
from pointsman.knowledge.index import Index, Indexed, check_embedder
from pointsman.knowledge.reading import READERS, sections_of

if TYPE_CHECKING:
    from pointsman.knowledge.index import Vectors


class Outcome(StrEnum):
    """What became of one document."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Done:
    """One document that ingestion is through with.

    Attributes:
        source: its path below the folder.
        outcome: what became of it.
        passages: number of its passages.
        embedded: how many of them needed a new vector.
        problem: why it failed.
    """

    source: str
    outcome: Outcome
    passages: int = 0
    embedded: int = 0
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class _Read:
    document: Indexed
    chunks: Sequence[Chunk]
    known: dict[str, Any]
    is_new: bool

    @property
    def missing(self) -> list[Chunk]:
        return [chunk for chunk in self.chunks if chunk.id not in self.known]

    @property
    def done(self) -> Done:
        outcome = Outcome.ADDED if self.is_new else Outcome.CHANGED
        return Done(source=self.document.source, outcome=outcome, passages=len(self.chunks), embedded=len(self.missing))


def files_of(folder: Path) -> list[Path]:
    """The documents below `folder`, hidden ones left out.

    Raises:
        ConfigurationError: it is no folder, or holds none.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder", "name the folder of your documents")
    found = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in READERS and _is_shown(path, folder)]
    if not found:
        raise ConfigurationError(f"{folder} holds no documents", f"they end in {', '.join(READERS)}")
    return found


def ingest(
    folder: Path,
    collection: str,
    index: Index,
    embedder: Embedder,
    now: Callable[[], datetime],
    *,
    prune: bool = False,
) -> Iterator[Done]:
    """Bring `collection` up to date with `folder`; each document is reported when it is written.

    Doing it again does nothing; one that was broken off goes on where it stopped. Of a document that has changed, only
    passages with other words are embedded. Passages of several documents are embedded in one call.

    Args:
        folder: where the documents are.
        collection: where they go.
        index: what to write.
        embedder: makes the vectors.
        now: the clock, UTC.
        prune: also take documents out that are in the collection and not in the folder.

    Raises:
        ConfigurationError: it is no folder of documents, or the index was made with another embedding.
        StoreUnavailableError: the index does not answer.
        ModelUnavailableError: the embedding server does not answer.
        ModelAnswerError: the embedding server refuses the texts.
    """
    check_embedder(index, embedder)
    files = files_of(folder)
    known = {document.source: document for document in index.documents(collection)}
    waiting: list[_Read] = []
    for path in files:
        source = path.relative_to(folder).as_posix()
        read = _read(path, source, collection, known.get(source), index, now())
        if isinstance(read, Done):
            yield read
            continue
        waiting.append(read)
        if sum(len(each.missing) for each in waiting) >= BATCH:
            yield from _written(waiting, index, embedder)
            waiting = []
    yield from _written(waiting, index, embedder)
    if prune:
        yield from _pruned(known.keys() - {path.relative_to(folder).as_posix() for path in files}, collection, index)


def previewed(
    folder: Path, collection: str, index: Index | None, now: Callable[[], datetime], *, prune: bool = False
) -> Iterator[Done]:
    """What `ingest` would do; nothing is embedded or written. `index` is None where there is none yet.

    Raises:
        ConfigurationError: it is no folder of documents.
        StoreUnavailableError: the index does not answer.
    """
    files = files_of(folder)
    known = {document.source: document for document in index.documents(collection)} if index else {}
    for path in files:
        source = path.relative_to(folder).as_posix()
        read = _read(path, source, collection, known.pop(source, None), index, now())
        yield read if isinstance(read, Done) else read.done
    for source in sorted(known) if prune else ():
        yield Done(source=source, outcome=Outcome.REMOVED)


def _is_shown(path: Path, folder: Path) -> bool:
    # A link may lead out of the folder.
    inside = path.resolve().is_relative_to(folder.resolve())
    return path.is_file() and inside and not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _read(
    path: Path, source: str, collection: str, known: Indexed | None, index: Index | None, now: datetime
) -> _Read | Done:
    try:
        content = path.read_bytes()
        digest = hashlib.sha256(chunking.VERSION.encode() + content).hexdigest()
        if known and known.digest == digest:
            return Done(source=source, outcome=Outcome.UNCHANGED, passages=known.passages)
        chunks = chunks_of(sections_of(source, content))
    except OSError as error:
        return Done(source=source, outcome=Outcome.FAILED, problem=error.strerror or type(error).__name__)
    except RefusedError as error:
        return Done(source=source, outcome=Outcome.FAILED, problem=str(error))
    document = Indexed(collection=collection, source=source, digest=digest, passages=len(chunks), added_at=now)
    vectors = dict(index.vectors(collection, source)) if known and index else {}
    return _Read(document=document, chunks=chunks, known=vectors, is_new=known is None)


def _written(waiting: Sequence[_Read], index: Index, embedder: Embedder) -> Iterator[Done]:
    missing = [chunk for read in waiting for chunk in read.missing]
    made = iter(embedder.embed([chunk.embedded for chunk in missing])) if missing else iter(())
    for read in waiting:
        new = {chunk.id: next(made) for chunk in read.missing}
        index.replace(read.document, read.chunks, _stacked([{**read.known, **new}[each.id] for each in read.chunks]))
        yield read.done


def _stacked(vectors: Sequence[Any]) -> Vectors:
    import numpy as np

    return np.stack(vectors)


def _pruned(sources: set[str], collection: str, index: Index) -> Iterator[Done]:
    for source in sorted(sources):
        index.remove(collection, source)
        yield Done(source=source, outcome=Outcome.REMOVED)
