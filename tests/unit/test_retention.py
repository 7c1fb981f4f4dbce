"""How long each tier keeps what: what is older goes, and the rest stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from pointsman.cli import retention as command
from pointsman.doctor import judging
from pointsman.envelope import to_rfc3339
from pointsman.kafka import KafkaAdmin
from pointsman.retention import ARCHIVE_DAYS, DOCUMENTS, RECORD_DAYS
from pointsman.retention_work import delete_overdue, differing, overdue, table
from pointsman.testing import InMemoryStore
from pointsman.topics import ALL, DECISIONS, MESSAGES
from tests.archived import record, write

NOW = datetime(2030, 1, 2, 12, tzinfo=UTC)
LEADS, *_ = DOCUMENTS
LIMITED = [kept for kept in DOCUMENTS if kept.days is not None]


@dataclass
class Topics:
    """The part of `KafkaAdmin` that is asked here."""

    configs: dict[str, dict[str, str]] = field(default_factory=dict)

    def describe(self, names: Iterable[str]) -> dict[str, tuple[int, dict[str, str]]]:
        return {name: (4, self.configs[name]) for name in names if name in self.configs}

    def configure(self, topic: str, config: Mapping[str, str]) -> None:
        self.configs[topic] |= config


async def filled(kept: Any, age_days: float, how: Any) -> InMemoryStore:
    store = InMemoryStore()
    await store.put(kept.collection, {"_id": "a", kept.field: how(NOW - timedelta(days=age_days))})
    return store


@pytest.mark.parametrize("kept", LIMITED, ids=lambda kept: str(kept.collection))
@pytest.mark.parametrize("how", [lambda time: time, to_rfc3339], ids=["time", "text"])
async def test_a_document_goes_when_it_is_older_than_its_collection_allows(kept: Any, how: Any) -> None:
    young = await filled(kept, kept.days - 0.1, how)
    old = await filled(kept, kept.days + 0.1, how)
    assert (await delete_overdue(young, kept, NOW), await delete_overdue(old, kept, NOW)) == (0, 1)
    assert await young.get(kept.collection, "a")
    assert await old.get(kept.collection, "a") is None


async def test_what_is_kept_for_ever_stays() -> None:
    for kept in DOCUMENTS:
        if kept.days is None:
            store = await filled(kept, 100_000, to_rfc3339)
            assert await delete_overdue(store, kept, NOW) == 0
            assert await overdue(store, kept, NOW, 1) == []


async def test_a_document_without_a_time_stays() -> None:
    store = InMemoryStore()
    await store.put("leads", {"_id": "a"})
    assert await overdue(store, LEADS, NOW, 10) == []


async def test_more_than_fit_in_one_go_are_deleted_too() -> None:
    store = InMemoryStore()
    for number in range(1100):
        await store.put("scores", {"_id": str(number), "scored_at": NOW - timedelta(days=9999)})
    (scores,) = (kept for kept in DOCUMENTS if kept.collection == "scores")
    assert await delete_overdue(store, scores, NOW) == 1100


async def test_a_dry_run_deletes_no_document() -> None:
    store = await filled(LEADS, 9999, to_rfc3339)
    assert await command.warm(store, NOW, dry_run=True) == ["warm  leads  1 would be deleted"]
    assert await command.warm(store, NOW, dry_run=False) == ["warm  leads  1 deleted"]
    assert await command.warm(store, NOW, dry_run=False) == []


def test_topics_are_told_once_how_long_to_keep_records() -> None:
    topics = Topics({topic.name: dict(topic.config) for topic in ALL if topic.name != MESSAGES})
    topics.configs[DECISIONS]["retention.ms"] = "-1"
    admin = cast("KafkaAdmin", topics)
    assert [topic.name for topic in differing(admin, ALL)] == [DECISIONS]
    assert list(command.hot(admin, ALL, dry_run=True)) == [
        f"hot   {DECISIONS}  cleanup.policy=delete, retention.ms={RECORD_DAYS * 86_400_000} would be set"
    ]
    assert len(list(command.hot(admin, ALL, dry_run=False))) == 1
    assert list(command.hot(admin, ALL, dry_run=False)) == []


def test_archived_days_go_and_where_no_archive_is_nothing_happens(tmp_path: Path) -> None:
    kept = write(tmp_path, [record(1, NOW - timedelta(days=ARCHIVE_DAYS))])
    old = write(tmp_path, [record(1, NOW - timedelta(days=ARCHIVE_DAYS + 1))])
    (line,) = command.cold(tmp_path, NOW, dry_run=True)
    assert line.endswith("would be deleted")
    assert old.exists()
    assert len(list(command.cold(tmp_path, NOW, dry_run=False))) == 1
    assert kept.exists()
    assert not old.exists()
    assert list(command.cold(tmp_path, NOW, dry_run=False)) == []
    assert list(command.cold(tmp_path / "nowhere", NOW, dry_run=False)) == []
    assert list(command.cold(None, NOW, dry_run=False)) == []


def test_the_doctor_names_what_is_kept_too_long_and_the_command_that_mends_it() -> None:
    wrong = judging.kept_too_long("warm", "leads", "a document", 730)
    assert (wrong.verdict.value, wrong.detail) == ("wrong", "a document is older than 730 days")
    assert "pointsman retention apply" in wrong.fix
    assert judging.kept_too_long("cold", "archive", None, 365).verdict.value == "ok"


def test_every_topic_collection_and_the_archive_stand_in_the_table() -> None:
    told = [(one.tier, one.what) for one in table(ALL)]
    assert len(told) == len(set(told)) == len(ALL) + len(DOCUMENTS) + 1
