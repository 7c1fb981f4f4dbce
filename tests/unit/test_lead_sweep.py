"""Leads that came to nobody's ears: found once they are old enough, and written as the connector would have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pointsman.envelope import Record, to_rfc3339
from pointsman.lead_sweep import Window, as_record, lead_ids_in, paced, unheard_of
from pointsman.store import Document, id_made_at
from pointsman.testing import InMemoryStore
from pointsman.topics import LEADS, WORKFLOW_STATE

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
WINDOW = Window(older_than=timedelta(minutes=10), younger_than=timedelta(days=6), limit=100)


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def record(value: Any, key: bytes | None = None) -> Record:
    return Record(
        topic=LEADS, key=key, value=value if isinstance(value, bytes) else json.dumps(value).encode(), headers={}
    )


async def found(*leads: Document, window: Window = WINDOW) -> list[str]:
    store = InMemoryStore()
    for lead in leads:
        await store.put("leads", lead)
    return sorted(str(lead_id) for lead_id in await lead_ids_in(store, window, NOW))


async def test_a_lead_is_looked_at_when_the_connector_has_had_its_time_and_not_for_ever() -> None:
    leads = [
        {"_id": "new", "created_at": to_rfc3339(ago(minutes=9))},
        {"_id": "due", "created_at": to_rfc3339(ago(minutes=11))},
        {"_id": "long ago", "created_at": to_rfc3339(ago(days=7))},
        {"_id": "of unknown age"},
    ]
    assert await found(*leads) == ["due"]


async def test_a_lead_that_a_form_inserted_without_a_date_has_its_ids_date() -> None:
    new, due = id_made_at(ago(minutes=9)), id_made_at(ago(minutes=11))
    assert await found({"_id": new}, {"_id": due}, {"_id": id_made_at(ago(days=7))}) == [str(due)]


async def test_no_more_leads_are_looked_at_than_allowed_and_the_newest_first() -> None:
    leads = [{"_id": f"{n}", "created_at": to_rfc3339(ago(hours=9 - n))} for n in range(9)]
    few = Window(older_than=WINDOW.older_than, younger_than=WINDOW.younger_than, limit=4)
    assert await found(*leads, window=few) == ["5", "6", "7", "8"]


def test_what_the_connector_brought_or_the_router_knows_is_left_alone() -> None:
    delivered = [record({"_id": "a"}), record(b"no json"), record(b"[]"), record({"no": "id"}), record(b"[" * 9999)]
    states = [Record(topic=WORKFLOW_STATE, key=b"b", value=b"{}", headers={})]
    assert unheard_of(["a", "b", "c"], delivered, states) == ["c"]


def test_a_lead_is_written_as_the_connector_would_have_written_it() -> None:
    own = id_made_at(NOW)
    lead = {"_id": own, "email": "ünal@x.example", "seen": NOW, "tags": [1, {"x": None}]}
    written = as_record(lead, NOW)
    assert (written.topic, written.key) == (LEADS, str(own).encode())
    assert json.loads(written.value or b"") == {**lead, "_id": str(own), "seen": to_rfc3339(NOW)}


def test_of_a_lead_that_is_too_large_only_the_id_goes_on() -> None:
    written = json.loads(as_record({"_id": "big", "message": "x" * 900_000}, NOW).value or b"")
    assert written["_id"] == "big"
    assert set(written) == {"_id", "omitted_bytes"}


@pytest.mark.parametrize(("count", "shares"), [(0, []), (3, [3]), (10, [4, 4, 2])])
def test_no_more_than_the_rate_is_written_in_a_second(count: int, shares: list[int]) -> None:
    published: list[int] = []
    pauses: list[float] = []

    def publish(some: Sequence[Record]) -> None:
        published.append(len(some))

    list(paced([record({"_id": f"{n}"}) for n in range(count)], 4, publish, pauses.append))
    assert published == shares
    assert pauses == [1.0] * (len(shares) - 1 if shares else 0)
