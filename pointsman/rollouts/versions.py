"""Keeps a process that runs one version of an agent in step with the rollouts that name that version. Pure."""

from __future__ import annotations

from dataclasses import replace

from pointsman.catalog import ROLLOUT_KEY, Catalog, CatalogReader
from pointsman.catalog_history import parse_catalog
from pointsman.definitions.model import AgentDefinition
from pointsman.rollouts.model import Rollout, parse_rollout


class VersionReader:
    """As `CatalogReader`, but gives catalogs in which one agent has the version that is wanted.

    The definition comes from a rollout, from either side of it, or from the catalog in force while it has that version.

    Args:
        name: the agent.
        version: its version.
    """

    def __init__(self, name: str, version: str) -> None:
        self._name = name
        self._version = version
        self._reader = CatalogReader()
        self._in_force = Catalog()
        self._given = 0

    def accept(self, key: bytes | None, value: bytes | None) -> Catalog | None:
        """Take one record over; a catalog with the version that is wanted, if this record brings one, else None.

        Raises:
            PermanentError: the record is no definition, manifest or rollout.
        """
        if key == ROLLOUT_KEY.encode() and value is not None:
            return self._of_rollout(parse_rollout(value))
        catalog = self._reader.accept(key, value)
        if catalog is None:
            return None
        self._in_force = catalog
        return self._with(catalog.definitions.get(self._name))

    def _of_rollout(self, rollout: Rollout) -> Catalog | None:
        for side in (rollout.candidate, rollout.baseline):
            if side.agents is not None and self._name in side.agents:
                found = self._with(parse_catalog({self._name: side.agents[self._name]}).definitions[self._name])
                if found is not None:
                    return found
        return None

    def _with(self, definition: AgentDefinition | None) -> Catalog | None:
        if definition is None or definition.version != self._version:
            return None
        self._given += 1
        known = {**self._in_force.definitions, definition.name: definition}
        return replace(Catalog.of(known.values()), sequence=self._given)


def versions_of(rollout: Rollout | None) -> list[tuple[str, str]]:
    """Agents, each with the version that needs processes of its own while both sides of `rollout` decide."""
    if rollout is None:
        return []
    sides = (rollout.baseline, rollout.candidate)
    has_two = rollout.stage.is_active or rollout.stage.has_two_arms
    return sorted({one for side in sides for one in side.inboxes.items()}) if has_two else []
