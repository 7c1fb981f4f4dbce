"""The contract of a document store as tests: whoever brings a store runs them against it.

Needs pytest and pytest-asyncio (`asyncio_mode = "auto"`). Derive a class in a test module and give it the store:

    class TestOurStore(StoreContract):
        @pytest.fixture
        async def store(self):
            opened = OurStore(...)  # with nothing in it
            yield opened
            await opened.close()
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from pointsman.errors import InvalidPayloadError
from pointsman.store import DocumentStore


class StoreContract:
    """What agents and the effect ledger rely on; each test gets a store with nothing in it."""

    async def test_what_was_put_comes_back_and_is_a_copy(self, store: DocumentStore) -> None:
        document: dict[str, Any] = {"_id": "a", "name": "Zoë"}
        document |= {"tags": ["x", {"y": 1}], "at": datetime(2030, 1, 2, 3, 4, 5, 678901, UTC)}
        await store.put("things", document)
        document["tags"].append("later")
        found = await store.get("things", "a")
        expected_time = datetime(2030, 1, 2, 3, 4, 5, 678000, UTC)
        assert found == {"_id": "a", "name": "Zoë", "tags": ["x", {"y": 1}], "at": expected_time}

    async def test_a_missing_document_is_none(self, store: DocumentStore) -> None:
        assert await store.get("things", "nobody") is None

    async def test_put_replaces_the_whole_document(self, store: DocumentStore) -> None:
        await store.put("things", {"_id": "a", "old": 1})
        await store.put("things", {"_id": "a", "new": 2})
        assert await store.get("things", "a") == {"_id": "a", "new": 2}

    async def test_insert_once_keeps_the_first_document(self, store: DocumentStore) -> None:
        assert await store.insert_once("things", {"_id": "a", "owner": 1}) == {"_id": "a", "owner": 1}
        assert await store.insert_once("things", {"_id": "a", "owner": 2}) == {"_id": "a", "owner": 1}

    async def test_of_many_at_once_one_insert_wins_and_all_see_it(self, store: DocumentStore) -> None:
        inserts = (store.insert_once("things", {"_id": "a", "owner": number}) for number in range(20))
        seen = await asyncio.gather(*inserts)
        assert len({document["owner"] for document in seen}) == 1

    async def test_of_many_conditional_updates_one_wins(self, store: DocumentStore) -> None:
        await store.put("things", {"_id": "a", "state": "free"})
        updates = (
            store.update_if("things", "a", {"state": "free"}, {"state": "taken", "by.name": number})
            for number in range(20)
        )
        winners = [document for document in await asyncio.gather(*updates) if document]
        assert winners == [await store.get("things", "a")]
        assert set(winners[0]["by"]) == {"name"}

    async def test_a_conditional_update_of_a_missing_document_does_nothing(self, store: DocumentStore) -> None:
        assert await store.update_if("things", "nobody", {}, {"state": "taken"}) is None
        assert await store.count("things", {}) == 0

    async def test_a_missing_field_matches_none(self, store: DocumentStore) -> None:
        await store.put("things", {"_id": "a"})
        assert await store.update_if("things", "a", {"owner": None}, {"owner": "me"}) == {"_id": "a", "owner": "me"}

    @pytest.mark.parametrize(
        ("criteria", "expected"),
        [
            ({}, ["a", "b", "c", "d"]),
            ({"kind": "x"}, ["a", "b"]),
            ({"kind": None}, ["d"]),
            ({"kind": {"$ne": "x"}}, ["c", "d"]),
            ({"kind": {"$in": ["x", "y"]}}, ["a", "b", "c"]),
            ({"kind": {"$exists": False}}, ["d"]),
            ({"due": {"$lte": datetime(2030, 1, 2, tzinfo=UTC)}}, ["a", "b"]),
            ({"due": {"$gt": datetime(2030, 1, 1, tzinfo=UTC), "$lt": datetime(2030, 1, 3, tzinfo=UTC)}}, ["b"]),
            ({"due": {"$gte": "text"}}, []),
            ({"nested.number": 2}, ["b"]),
            ({"tags": "red"}, ["a"]),
            ({"kind": "x", "nested.number": {"$gte": 2}}, ["b"]),
        ],
    )
    async def test_criteria_find_and_count_the_same(
        self, store: DocumentStore, criteria: dict[str, Any], expected: list[str]
    ) -> None:
        for number, (key, kind) in enumerate([("a", "x"), ("b", "x"), ("c", "y")], start=1):
            day = datetime(2030, 1, number, tzinfo=UTC)
            tags = ["red"] if key == "a" else []
            await store.put(
                "things", {"_id": key, "kind": kind, "due": day, "nested": {"number": number}, "tags": tags}
            )
        await store.put("things", {"_id": "d"})
        assert [document["_id"] for document in await store.find("things", criteria, sort="_id")] == expected
        assert await store.count("things", criteria) == len(expected)

    async def test_sorting_goes_both_ways_with_missing_fields_first_and_ties_by_id(self, store: DocumentStore) -> None:
        for key, rank in (("d", 2), ("c", 1), ("b", 2), ("a", None)):
            await store.put("things", {"_id": key, **({"rank": rank} if rank else {})})
        upwards = [document["_id"] for document in await store.find("things", {}, sort="rank")]
        downwards = [document["_id"] for document in await store.find("things", {}, sort="-rank", limit=3)]
        assert (upwards, downwards) == (["a", "c", "b", "d"], ["b", "d", "c"])

    async def test_of_documents_only_the_ids_can_be_had(self, store: DocumentStore) -> None:
        await store.put("things", {"_id": "a", "kind": "x", "text": "long"})
        assert await store.find("things", {"kind": "x"}, sort="kind", ids_only=True) == [{"_id": "a"}]

    async def test_names_that_a_database_finds_special_survive_inside_a_document(self, store: DocumentStore) -> None:
        document = {"_id": "a", "raw": {"$gt": "", "a.b": 1, "": 2, "__proto__": {}}}
        await store.put("things", document)
        assert await store.insert_once("things", {"_id": "a"}) == document

    @pytest.mark.parametrize("value", [2**63, "\ud800", {1: 2}, object(), {"a\0b": 1}])
    async def test_what_cannot_be_kept_is_a_permanent_error_that_quotes_nothing(
        self, store: DocumentStore, value: Any
    ) -> None:
        with pytest.raises(InvalidPayloadError, match="cannot keep"):
            await store.put("things", {"_id": "a", "value": value})
        assert await store.get("things", "a") is None

    async def test_an_operator_in_a_fields_place_is_refused(self, store: DocumentStore) -> None:
        for write in (store.put, store.insert_once):
            with pytest.raises(InvalidPayloadError, match="cannot keep"):
                await write("things", {"_id": "a", "$set": {"x": 1}})
        assert await store.get("things", "a") is None

    async def test_a_unique_index_refuses_a_second_owner(self, store: DocumentStore) -> None:
        await store.ensure_index("things", ["mail"], unique=True)
        await store.ensure_index("things", ["mail"], unique=True)
        await store.put("things", {"_id": "a", "mail": "m"})
        for write in (store.put, store.insert_once):
            with pytest.raises(InvalidPayloadError, match="unique index"):
                await write("things", {"_id": "b", "mail": "m"})

    async def test_a_deleted_document_is_gone_and_the_others_stay(self, store: DocumentStore) -> None:
        for key in ("one", "two"):
            await store.put("things", {"_id": key})
        assert await store.delete("things", "one")
        assert not await store.delete("things", "one")
        assert await store.get("things", "one") is None
        assert await store.get("things", "two")

    async def test_an_index_may_let_documents_expire(self, store: DocumentStore) -> None:
        for _ in range(2):
            await store.ensure_index("things", ["at"], expire_after_s=3600)
        document = {"_id": "a", "at": datetime.now(UTC).replace(microsecond=0)}
        assert await store.insert_once("things", document) == document
