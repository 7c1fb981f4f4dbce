"""Data keys in the document store: one for each workflow, made on first use, gone for good once erased."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pointsman.shredding.sealing import Key, random_key
from pointsman.shredding.wrapping import KeyRing, Wrapped

if TYPE_CHECKING:
    from pointsman.store import Document, DocumentStore

COLLECTION: Final = "data_keys"
MOST_AT_ONCE: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the store says of a workflow's key.

    Attributes:
        key: the key; None when there is none.
        is_erased: there was one, or would have been: it is never made again.
    """

    key: Key | None = None
    is_erased: bool = False


class DataKeys:
    """Makes, finds and erases data keys.

    Args:
        store: where they are; its writes are acknowledged by a majority.
        ring: what they are wrapped with.
        now: the clock, UTC.
    """

    def __init__(self, store: DocumentStore, ring: KeyRing, now: Callable[[], datetime]) -> None:
        self._store = store
        self._ring = ring
        self._now = now

    async def find(self, workflows: Iterable[bytes]) -> dict[bytes, Found]:
        """What is known of each of `workflows`, at most `MOST_AT_ONCE` of them.

        Raises:
            StoreUnavailableError: the store does not answer.
            ConfigurationError: a key is wrapped with one that the settings do not hold.
        """
        names = {name_of(workflow): workflow for workflow in workflows}
        documents = await self._store.find(COLLECTION, {"_id": {"$in": list(names)}}, limit=len(names) or 1)
        found = {names[str(document["_id"])]: self._read(document) for document in documents}
        return {workflow: found.get(workflow, Found()) for workflow in names.values()}

    async def find_or_make(self, workflow: bytes) -> Found:
        """The workflow's key, made if there never was one; who comes second gets the first one's.

        Raises:
            StoreUnavailableError: the store does not answer.
            ConfigurationError: the key is wrapped with one that the settings do not hold.
        """
        name = name_of(workflow)
        there = await self._store.get(COLLECTION, name)
        if there is not None:
            return self._read(there)
        wrapped = self._ring.wrap(random_key(), name)
        made = {"_id": name, "by": wrapped.by, "key": wrapped.text, "made_at": self._now()}
        return self._read(await self._store.insert_once(COLLECTION, made))

    async def rewrap(self) -> int:
        """Wrap with the first key of the settings what is wrapped with another; how many there were.

        Raises:
            StoreUnavailableError: the store does not answer; run it again.
            ConfigurationError: a key is wrapped with one that the settings do not hold.
        """
        count = 0
        while documents := await self._store.find(COLLECTION, self._of_others, limit=MOST_AT_ONCE):
            for document in documents:
                name, old = str(document["_id"]), _wrapped(document)
                new = self._ring.wrap(self._ring.unwrap(old, name), name)
                await self._store.update_if(COLLECTION, name, {"key": old.text}, {"by": new.by, "key": new.text})
            count += len(documents)
        return count

    async def not_wrapped_with_first(self) -> int:
        """How many keys `rewrap` would wrap anew.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        return await self._store.count(COLLECTION, self._of_others)

    @property
    def _of_others(self) -> dict[str, Any]:
        return {"by": {"$exists": True, "$ne": self._ring.first}}

    def _read(self, document: Document) -> Found:
        if "key" not in document:
            return Found(is_erased=True)
        return Found(key=Key(self._ring.unwrap(_wrapped(document), str(document["_id"]))))


async def erase_keys(store: DocumentStore, workflows: Iterable[bytes], now: datetime) -> int:
    """Delete the keys of `workflows`, and say how many there were.

    What stays in their place keeps anybody from making new ones.

    Raises:
        StoreUnavailableError: the store does not answer; perhaps not all are gone.
    """
    count = 0
    for name in map(name_of, workflows):
        count += "key" in (await store.get(COLLECTION, name) or {})
        await store.put(COLLECTION, {"_id": name, "erased_at": now})
    return count


def name_of(workflow: bytes) -> str:
    """What a workflow's key is kept under: a hash, since ids may be of any length and any bytes."""
    return hashlib.sha256(workflow).hexdigest()


def _wrapped(document: Document) -> Wrapped:
    return Wrapped(by=str(document["by"]), text=str(document["key"]))
