"""The document-store port and its MongoDB adapter: the only module that imports pymongo.

Documents are plain JSON-like dictionaries, readable by a person; `_id` is always a string that we derive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Document = dict[str, Any]


class DocumentStore(Protocol):
    """What agents and the effect ledger need of a document store. Every write is acknowledged by a majority."""

    async def get(self, collection: str, key: str) -> Document | None:
        """The document with `_id` = `key`, or None."""
        ...

    async def find(
        self, collection: str, criteria: Mapping[str, Any], *, sort: str | None = None, limit: int = 100
    ) -> list[Document]:
        """Documents that match: `{field: value}` equality, or `{field: {"$lte": value}}` and the like; dotted names."""
        ...

    async def insert_once(self, collection: str, document: Document) -> Document:
        """Insert unless a document with that `_id` is there; the one that is there afterwards."""
        ...

    async def put(self, collection: str, document: Document) -> None:
        """Insert or replace the document with that `_id`."""
        ...

    async def update_if(
        self, collection: str, key: str, expected: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> Document | None:
        """Set `changes` if the document still matches `expected`; it afterwards, or None if it did not."""
        ...

    async def count(self, collection: str, criteria: Mapping[str, Any]) -> int:
        """Number of documents that match."""
        ...

    async def ensure_index(self, collection: str, fields: Sequence[str], *, unique: bool = False) -> None:
        """Make an ascending index if it is missing."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...
