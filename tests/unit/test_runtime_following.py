"""The agent in force follows the catalog."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pointsman.catalog import Catalog
from pointsman.definitions import Accepts, AgentDefinition, Emits
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError
from pointsman.runtime import Agent
from pointsman.runtime.declarative import DeclarativeAgent
from pointsman.runtime.following import Following
from pointsman.testing import ScriptedModel

ONE = AgentDefinition(
    name="greeter",
    version="1.0.0",
    description="Greets.",
    accepts=[Accepts(type="guest.arrived", contract={"type": "object"})],
    emits=[Emits(type="guest.greeted", contract={"type": "object"})],
)
TWO = ONE.model_copy(update={"version": "2.0.0"})


class Builder:
    def __init__(self, *broken: str) -> None:
        self.built: list[str] = []
        self._broken = broken

    def __call__(self, what: AgentDefinition) -> Agent:
        if what.version in self._broken:
            raise ConfigurationError("settings are wrong")
        self.built.append(what.version)
        return DeclarativeAgent(definition=what, model=ScriptedModel([]))


def in_force(following: Following) -> str | None:
    return following.active.definition.version if following.active else None


def test_a_new_version_takes_over() -> None:
    following = Following("greeter", Builder())
    following.take(Catalog.of([ONE], 1))
    following.take(Catalog.of([TWO], 2))
    assert in_force(following) == "2.0.0"


def test_an_older_catalog_read_late_changes_nothing() -> None:
    following = Following("greeter", Builder())
    following.take(Catalog.of([TWO], 2))
    following.take(Catalog.of([ONE], 1))
    assert in_force(following) == "2.0.0"


def test_a_change_of_other_agents_does_not_build_this_one_anew() -> None:
    builder = Builder()
    following = Following("greeter", builder)
    following.take(Catalog.of([ONE], 1))
    other = ONE.model_copy(update={"name": "other"})
    following.take(Catalog.of([ONE, other], 2))
    assert builder.built == ["1.0.0"]
    assert following.active is not None
    assert following.active.catalog == Catalog.of([ONE, other]).version


def test_it_waits_until_a_catalog_names_it() -> None:
    following = Following("greeter", Builder())
    following.take(Catalog())
    assert in_force(following) is None
    following.take(Catalog.of([ONE], 1))
    assert in_force(following) == "1.0.0"


def test_a_removed_agent_keeps_working_on_what_is_queued() -> None:
    following = Following("greeter", Builder())
    following.take(Catalog.of([ONE], 1))
    following.take(Catalog.of([], 2))
    assert in_force(following) == "1.0.0"


def test_a_process_started_after_the_removal_still_works_on_what_is_queued() -> None:
    following = Following("greeter", Builder())
    following.take(replace(Catalog.of([], 2), retired={"greeter": ONE}))
    assert in_force(following) == "1.0.0"


def test_a_version_that_cannot_be_built_leaves_the_one_before_in_force() -> None:
    following = Following("greeter", Builder("2.0.0"))
    following.take(Catalog.of([ONE], 1))
    following.take(Catalog.of([TWO], 2))
    assert in_force(following) == "1.0.0"


def test_a_first_version_that_cannot_be_built_is_an_error() -> None:
    with pytest.raises(ConfigurationError):
        Following("greeter", Builder("1.0.0")).take(Catalog.of([ONE], 1))


def routed(version: str, **headers: bytes) -> Record:
    return Record(topic="t", key=b"w", value=b"{}", headers={"ce_agentversion": version.encode(), **headers})


def meant(following: Following, record: Record) -> str | None:
    agent = following.meant_by(record)
    return agent.definition.version if agent else None


def test_what_a_rollout_has_routed_to_the_version_before_is_worked_on_by_that_one() -> None:
    following = Following("greeter", Builder())
    following.take(Catalog.of([ONE], 1))
    assert meant(following, routed("1.0.0", ce_release=b"r/baseline")) == "1.0.0"
    following.take(Catalog.of([TWO], 2))
    assert meant(following, routed("1.0.0", ce_release=b"r/baseline")) == "1.0.0"
    assert meant(following, routed("2.0.0", ce_release=b"r/candidate")) == "2.0.0"
    assert meant(following, routed("0.9.0", ce_release=b"r/baseline")) == "2.0.0"


def test_without_a_rollout_the_version_in_force_works_on_everything() -> None:
    following = Following("greeter", Builder())
    following.take(Catalog.of([ONE], 1))
    following.take(Catalog.of([TWO], 2))
    assert meant(following, routed("1.0.0")) == "2.0.0"


@pytest.mark.parametrize(("broken", "version"), [((), "1.0.0"), (("1.0.0",), "2.0.0")])
def test_a_process_started_after_a_promotion_knows_the_version_before_from_the_topic(
    broken: tuple[str, ...], version: str
) -> None:
    following = Following("greeter", Builder(*broken))
    following.take(replace(Catalog.of([TWO], 2), earlier={"greeter": ONE}))
    assert meant(following, routed("1.0.0", ce_release=b"r/baseline")) == version
