"""Data keys in the document store, in memory and on a real mongod."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from pointsman.errors import ConfigurationError
from pointsman.shredding.keys import COLLECTION, DataKeys, erase_keys, name_of
from pointsman.shredding.wrapping import KeyRing, new_key
from pointsman.store import DocumentStore, MongoStore
from pointsman.testing import InMemoryStore
from tests.contract.test_store_contract import mongod

assert mongod, "a fixture"

NOW = datetime(2030, 1, 1, tzinfo=UTC)
OLD, NEW = new_key("old"), new_key("new")


def keys_in(store: DocumentStore, settings: str = OLD) -> DataKeys:
    return DataKeys(store, KeyRing(settings), lambda: NOW)


class DataKeysContract:
    async def test_a_key_is_made_once_and_everybody_gets_the_same(self, store: DocumentStore) -> None:
        many = await asyncio.gather(*(keys_in(store).find_or_make(b"w") for _ in range(10)))
        sealed = {found.key.encrypt(b"x", [b"w"]) for found in many if found.key}
        assert len(sealed) == 1
        assert (await keys_in(store).find([b"w"]))[b"w"].key is not None

    async def test_workflows_have_keys_of_their_own(self, store: DocumentStore) -> None:
        keys = keys_in(store)
        one, other = [await keys.find_or_make(workflow) for workflow in (b"w", b"v")]
        assert one.key
        assert other.key
        assert other.key.decrypt(one.key.encrypt(b"x", []), []) is None

    async def test_looking_makes_no_key(self, store: DocumentStore) -> None:
        found = await keys_in(store).find([b"w", b"v"])
        assert [(each.key, each.is_erased) for each in found.values()] == [(None, False)] * 2
        assert await store.count(COLLECTION, {}) == 0

    async def test_an_erased_key_is_gone_for_good(self, store: DocumentStore) -> None:
        keys = keys_in(store)
        await keys.find_or_make(b"w")
        assert await erase_keys(store, [b"w", b"never heard of"], NOW) == 1
        assert await erase_keys(store, [b"w"], NOW) == 0
        for workflow in (b"w", b"never heard of"):
            assert (await keys.find_or_make(workflow)).is_erased
            assert (await keys.find([workflow]))[workflow].is_erased
        assert await store.get(COLLECTION, name_of(b"w")) == {"_id": name_of(b"w"), "erased_at": NOW}

    async def test_keys_can_be_wrapped_anew_and_the_old_one_taken_away(self, store: DocumentStore) -> None:
        before = await keys_in(store).find_or_make(b"w")
        await erase_keys(store, [b"gone"], NOW)
        both = keys_in(store, f"{NEW},{OLD}")
        assert await both.not_wrapped_with_first() == 1
        assert await both.rewrap() == 1
        assert await both.not_wrapped_with_first() == 0
        assert await both.rewrap() == 0
        after = (await keys_in(store, NEW).find([b"w"]))[b"w"]
        assert before.key
        assert after.key
        assert after.key.decrypt(before.key.encrypt(b"x", []), []) == b"x"
        with pytest.raises(ConfigurationError, match="'new'"):
            await keys_in(store).find([b"w"])


class TestInMemory(DataKeysContract):
    @pytest.fixture
    async def store(self) -> DocumentStore:
        return InMemoryStore()


class TestMongoDB(DataKeysContract):
    @pytest.fixture
    async def store(self, mongod: str) -> AsyncIterator[DocumentStore]:
        adapter = MongoStore(mongod, f"test_{uuid4().hex[:8]}")
        yield adapter
        await adapter.close()
