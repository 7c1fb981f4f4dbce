"""The catalog moves in one step, inboxes first, and never over what somebody else applied meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pointsman.audit import read_entry
from pointsman.catalog import MANIFEST_KEY, Catalog
from pointsman.catalog_history import Author, kept_catalogs, named
from pointsman.definitions import AgentDefinition
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError, InvalidDefinitionsError
from pointsman.publish import apply, planned, remove
from pointsman.topics import AUDIT, CATALOGS, DEFINITIONS, inbox
from tests.definitions import MemoryCatalogTopic


def agent(name: str, description: str = "Does it.", **emits: Any) -> AgentDefinition:
    return AgentDefinition.model_validate({
        "name": name,
        "version": "1.0.0",
        "description": description,
        "accepts": [{"type": "a.b", "contract": {}}],
        "emits": [{"type": "c.d", "contract": {}, **emits}],
    })  # fmt: skip


def test_inboxes_exist_before_anything_is_published_and_the_set_in_force_is_read_inside_the_transaction() -> None:
    topic = MemoryCatalogTopic()
    move = apply(topic, [agent("one")])
    assert topic.log == ["topics", "begin", "load", "register", "commit"]
    assert topic.topics == {DEFINITIONS, CATALOGS, AUDIT, inbox("one")}
    assert move.topics_made == tuple(sorted(topic.topics))
    assert topic.load() == move.after
    assert move.after.sequence == 1


def test_applying_the_same_again_writes_nothing() -> None:
    topic = MemoryCatalogTopic()
    apply(topic, [agent("one")])
    written = len(topic.records)
    move = apply(topic, [agent("one")])
    assert not move.changes
    assert move.after.sequence == 1
    assert len(topic.records) == written


def test_only_what_changed_is_written_and_the_manifest_last() -> None:
    topic = MemoryCatalogTopic()
    apply(topic, [agent("one"), agent("two")])
    before = len(topic.records)
    move = apply(topic, [agent("one"), agent("two", "Does it better.")])
    written = [record for record in topic.records[before:] if record.topic == DEFINITIONS]
    assert [record.key for record in written] == [b"two", MANIFEST_KEY.encode()]
    assert move.changes.changed == ("two",)
    assert topic.load().sequence == 2


def test_agents_that_the_folder_does_not_hold_stay_unless_pruned() -> None:
    topic = MemoryCatalogTopic()
    apply(topic, [agent("one"), agent("two")])
    assert apply(topic, [agent("one")]).kept == ("two",)
    assert set(topic.load().definitions) == {"one", "two"}
    assert apply(topic, [agent("one")], prune=True).changes.removed == ("two",)
    assert set(topic.load().definitions) == {"one"}


def test_removing_writes_a_tombstone_and_leaves_the_inbox() -> None:
    topic = MemoryCatalogTopic()
    apply(topic, [agent("one"), agent("two")])
    remove(topic, "two")
    assert set(topic.load().definitions) == {"one"}
    assert any(record.key == b"two" and record.value is None for record in topic.records)
    assert inbox("two") in topic.topics


def test_removing_an_unknown_agent_names_the_nearest() -> None:
    topic = MemoryCatalogTopic()
    apply(topic, [agent("greeter")])
    with pytest.raises(ConfigurationError, match="no agent greter: did you mean greeter"):
        remove(topic, "greter")


def test_an_agent_that_another_one_names_as_its_next_is_not_removed() -> None:
    topic = MemoryCatalogTopic()
    apply(topic, [agent("one", type="a.b", next_agent="two"), agent("two")])
    with pytest.raises(InvalidDefinitionsError, match="there is no agent two"):
        remove(topic, "two")
    assert set(topic.load().definitions) == {"one", "two"}


def test_an_apply_that_contradicts_agents_in_force_changes_nothing() -> None:
    topic = MemoryCatalogTopic()
    apply(topic, [agent("one", type="a.b", next_agent="two"), agent("two")])
    other = AgentDefinition.model_validate({
        **agent("two").model_dump(), "accepts": [{"type": "x.y", "contract": {}}]
    })  # fmt: skip
    with pytest.raises(InvalidDefinitionsError, match=r"two does not accept a\.b"):
        apply(topic, [other])
    assert topic.load().sequence == 1


def test_a_plan_without_changes_keeps_the_sequence() -> None:
    before = Catalog.of([agent("one")], 7)
    assert planned(before, [agent("one")]).after is before


ANN = Author(by="ann", at=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_every_catalog_that_was_in_force_is_kept_whole() -> None:
    topic = MemoryCatalogTopic()
    first = apply(topic, [agent("one")]).after
    second = apply(topic, [agent("one", "Does it better."), agent("two")]).after
    kept = kept_catalogs(record for record in topic.records if record.topic == CATALOGS)
    assert {version: dict(catalog.definitions) for version, catalog in kept.items()} == {
        first.version: dict(first.definitions),
        second.version: dict(second.definitions),
    }


def test_a_catalog_from_before_catalogs_were_kept_is_kept_with_the_next_one() -> None:
    topic = MemoryCatalogTopic()
    old = apply(topic, [agent("one")]).after
    topic.records = [record for record in topic.records if record.topic != CATALOGS]
    apply(topic, [agent("two")])
    assert old.version in kept_catalogs(record for record in topic.records if record.topic == CATALOGS)


def test_who_added_changed_and_removed_an_agent_is_on_record() -> None:
    topic = MemoryCatalogTopic()
    apply(topic, [agent("one"), agent("two")], author=ANN)
    apply(topic, [agent("one", "Does it better.")], author=ANN)
    remove(topic, "two", ANN)
    entries = [entry for record in topic.records if (entry := read_entry(record))]
    assert [(entry.action.value, entry.subject, entry.by) for entry in entries] == [
        ("agent.added", "agents/one", "ann"),
        ("agent.added", "agents/two", "ann"),
        ("agent.changed", "agents/one", "ann"),
        ("agent.removed", "agents/two", "ann"),
    ]
    assert entries[2].details["catalog_before"] == entries[0].details["catalog"]
    assert entries[3].details["version"] is None


def test_a_catalog_is_found_by_the_beginning_of_its_version() -> None:
    catalogs = {version: Catalog() for version in ("abc1", "abd2")}
    assert named(catalogs, "abc") is catalogs["abc1"]
    for beginning in ("ab", "x", ""):
        with pytest.raises(ConfigurationError, match="agents history"):
            named(catalogs, beginning)


@pytest.mark.parametrize("value", [None, b"", b"[]", b'{"agents": 1}', b'{"agents": {"a": {}}}', b"\xff"])
def test_what_is_no_catalog_is_left_out_of_the_history(value: bytes | None) -> None:
    assert kept_catalogs([Record(topic=CATALOGS, key=b"v", value=value, headers={})]) == {}
