"""The indexes that an agent's look-ups need, made with the first message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pointsman.store import DocumentStore


class Indexes:
    """Makes indexes once per process.

    Args:
        store: where they are made.
        wanted: fields of one index per collection.
    """

    def __init__(self, store: DocumentStore, wanted: Mapping[str, Sequence[str]]) -> None:
        self._store = store
        self._missing = dict(wanted)

    async def ensure(self) -> None:
        """Make what is missing.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        for collection, fields in list(self._missing.items()):
            await self._store.ensure_index(collection, fields)
            self._missing.pop(collection, None)
