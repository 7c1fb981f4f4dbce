"""Which catalog decides, and what survives a restart."""

import pytest

from flink_jobs.operators.catalog_in_force import CatalogInForce
from pointsman.catalog import MANIFEST_KEY, Catalog
from pointsman.definitions.model import Accepts, AgentDefinition, Emits
from pointsman.envelope import Record
from pointsman.errors import PermanentError
from pointsman.routing.router import RoutingOptions


class Kept(dict[str, bytes]):
    """Broadcast state as a dictionary."""

    def put(self, key: str, value: bytes) -> None:
        self[key] = value


def agent(name: str, version: str = "1.0.0") -> AgentDefinition:
    return AgentDefinition(
        name=name,
        version=version,
        description="d",
        accepts=[Accepts(type="a.b", contract={"type": "object"})],
        emits=[Emits(type="c.d", contract={"type": "object"}, terminal=True)],
    )


FIRST = Catalog.of([agent("one"), agent("two")], 1)
SECOND = Catalog.of([agent("one", "2.0.0")], 2)


def following(min_sequence: int = 0) -> CatalogInForce:
    return CatalogInForce(RoutingOptions(), min_sequence)


def feed(catalog: CatalogInForce, kept: Kept, records: list[Record]) -> None:
    for record in records:
        catalog.accept(record, kept)


def sequence(catalog: CatalogInForce) -> int | None:
    return catalog.arms.baseline.router.catalog.sequence if catalog.arms else None


def test_nothing_decides_before_the_whole_catalog_is_there() -> None:
    catalog, kept = following(), Kept()
    *agents, manifest = FIRST.records(Catalog())

    feed(catalog, kept, agents)
    assert sequence(catalog) is None
    feed(catalog, kept, [manifest])
    assert sequence(catalog) == 1


def test_history_below_the_wanted_sequence_never_decides() -> None:
    catalog, kept = following(min_sequence=2), Kept()

    feed(catalog, kept, FIRST.records(Catalog()))
    assert sequence(catalog) is None
    feed(catalog, kept, SECOND.records(FIRST))
    assert sequence(catalog) == 2


def test_a_restart_decides_with_the_catalog_that_was_in_force() -> None:
    kept = Kept()
    feed(following(), kept, FIRST.records(Catalog()) + SECOND.records(FIRST))

    restarted = following()
    restarted.restore(kept)

    assert sequence(restarted) == 2
    assert restarted.arms is not None
    in_force = restarted.arms.baseline.router.catalog
    assert set(in_force.definitions) == {"one"}
    assert set(in_force.retired) == {"two"}


def test_a_restart_in_the_middle_of_an_apply_waits_for_its_end() -> None:
    kept = Kept()
    *changes, manifest = SECOND.records(FIRST)
    feed(following(), kept, FIRST.records(Catalog()) + changes)

    restarted = following()
    restarted.restore(kept)
    assert sequence(restarted) is None
    restarted.accept(manifest, kept)

    assert sequence(restarted) == 2


@pytest.mark.parametrize(("key", "value"), [(b"one", b"junk"), (MANIFEST_KEY.encode(), b"{}"), (b"x", b"{}")])
def test_garbage_is_refused_and_changes_nothing(key: bytes, value: bytes) -> None:
    catalog, kept = following(), Kept()
    feed(catalog, kept, FIRST.records(Catalog()))
    before = dict(kept)

    with pytest.raises(PermanentError):
        catalog.accept(Record(topic="agent_definitions", key=key, value=value, headers={}), kept)

    assert sequence(catalog) == 1
    assert kept == before


@pytest.mark.parametrize("key", [None, b"", b"\xff", "\N{GRINNING FACE}".encode(), b"not an agent"])
def test_a_tombstone_of_no_agent_is_not_kept(key: bytes | None) -> None:
    catalog, kept = following(), Kept()

    catalog.accept(Record(topic="agent_definitions", key=key, value=None, headers={}), kept)

    assert kept == {}
