"""Readers take over whole catalogs only, whatever order and garbage the topic holds."""

import json

import pytest

from pointsman.catalog import MANIFEST_KEY, Catalog, CatalogReader, definition_json, diff
from pointsman.definitions import Accepts, AgentDefinition, Emits
from pointsman.envelope import Record
from pointsman.errors import PermanentError


def agent(name: str, description: str = "Does something.", *, terminal: bool = True) -> AgentDefinition:
    return AgentDefinition(
        name=name,
        version="1.0.0",
        description=description,
        accepts=[Accepts(type="thing.made", contract={"type": "object"})],
        emits=[Emits(type=f"{name}.done", contract={"type": "object"}, terminal=terminal)],
    )


def feed(reader: CatalogReader, records: list[Record]) -> list[Catalog | None]:
    return [reader.accept(record.key, record.value) for record in records]


def test_a_catalog_is_in_force_only_when_its_whole_set_has_arrived() -> None:
    catalog = Catalog.of([agent("a"), agent("b")])
    *early, last = feed(CatalogReader(), catalog.records(Catalog()))
    assert early == [None, None]
    assert last is not None
    assert (last.version, last.sequence, list(last.definitions)) == (catalog.version, 1, ["a", "b"])


def test_a_manifest_that_comes_first_waits_for_its_agents() -> None:
    reader = CatalogReader()
    *agents, manifest = Catalog.of([agent("a"), agent("b")]).records(Catalog())
    results = feed(reader, [manifest, *agents])
    assert [result is not None for result in results] == [False, False, True]


def test_only_changes_are_written_and_the_reader_still_ends_with_the_new_catalog() -> None:
    old = Catalog.of([agent("a"), agent("b"), agent("c")])
    new = Catalog.of([agent("a"), agent("b", "Does something else.")], sequence=2)
    reader = CatalogReader()
    feed(reader, old.records(Catalog()))
    records = new.records(old)
    assert [record.key for record in records] == [b"b", b"c", MANIFEST_KEY.encode()]
    assert records[1].value is None
    last = feed(reader, records)[-1]
    assert last == new


def test_a_changed_agent_alone_does_not_change_the_catalog_in_force() -> None:
    old = Catalog.of([agent("a")])
    reader = CatalogReader()
    feed(reader, old.records(Catalog()))
    changed = Catalog.of([agent("a", "New.")], sequence=2).records(old)[0]
    assert reader.accept(changed.key, changed.value) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"a", b"not json"),
        (b"a", b"{}"),
        (b"a", b"\xff\xfe"),
        (None, b"{}"),
        (b"@manifest", b"[]"),
        (b"@manifest", None),
        (b"@manifest", b'{"agents": {"a": 1}, "sequence": 1}'),
        (b"@manifest", b"[" * 100_000),
    ],
)
def test_garbage_is_a_typed_error_and_changes_nothing(key: bytes | None, value: bytes | None) -> None:
    reader = CatalogReader()
    catalog = Catalog.of([agent("a")])
    *agents, manifest = catalog.records(Catalog())
    feed(reader, agents)
    with pytest.raises(PermanentError):
        reader.accept(key, value)
    assert reader.accept(manifest.key, manifest.value) == catalog


def test_a_definition_under_another_agents_key_is_refused() -> None:
    record = Catalog.of([agent("a")]).records(Catalog())[0]
    with pytest.raises(PermanentError, match="key"):
        CatalogReader().accept(b"b", record.value)


def test_the_version_depends_on_content_not_on_order_or_sequence() -> None:
    assert Catalog.of([agent("a"), agent("b")]).version == Catalog.of([agent("b"), agent("a")], sequence=9).version
    assert Catalog.of([agent("a")]).version != Catalog.of([agent("a", "Other.")]).version


def test_diff_names_what_happened_to_each_agent() -> None:
    changes = diff(Catalog.of([agent("a"), agent("b")]), Catalog.of([agent("b", "Other."), agent("c")]))
    assert (changes.added, changes.changed, changes.removed) == (("c",), ("b",), ("a",))
    assert not diff(Catalog.of([agent("a")]), Catalog.of([agent("a")]))


def test_types_declared_terminal_are_known() -> None:
    catalog = Catalog.of([agent("a"), agent("b", terminal=False)])
    assert catalog.terminal_types == {"a.done"}
    assert [definition.name for definition in catalog.accepting("thing.made")] == ["a", "b"]


def test_the_last_definition_of_a_removed_agent_is_kept_for_what_is_queued() -> None:
    old = Catalog.of([agent("a"), agent("b")])
    new = Catalog.of([agent("a")], sequence=2)
    reader = CatalogReader()
    feed(reader, old.records(Catalog()))
    last = feed(reader, new.records(old))[-1]
    assert last is not None
    assert last.retired == {"b": agent("b")}
    assert last.terminal_types == {"a.done", "b.done"}
    assert last.accepting("thing.made") == [agent("a")]
    back = Catalog.of([agent("a"), agent("b")], sequence=3)
    again = feed(reader, back.records(new))[-1]
    assert again is not None
    assert again.retired == {}


def test_a_definition_that_uses_nothing_new_keeps_its_digest() -> None:
    """Else a catalog on Kafka from an older version would never be complete, and the job would wait for ever."""
    plain = AgentDefinition.model_validate(
        {
            "name": "scorer", "version": "1.0.0", "description": "Scores.",
            "accepts": [{"type": "lead.profiled", "contract": {}}], "emits": [{"type": "lead.scored", "contract": {}}],
        }
    )  # fmt: skip
    said = json.loads(definition_json(plain))
    assert sorted(said) == [
        "accepts", "approval", "counter_examples", "description", "emits", "examples", "instructions", "limits",
        "model", "name", "settings", "version",
    ]  # fmt: skip
    assert sorted(said["model"]) == ["max_output_tokens", "name", "temperature", "timeout_s"]
