"""Catalog and rollout in force inside the operator: built from broadcast records, rebuilt from them after a restore."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Protocol

from pointsman.catalog import MANIFEST_KEY, ROLLOUT_KEY, Catalog, CatalogReader
from pointsman.envelope import Record
from pointsman.errors import PermanentError
from pointsman.rollouts.arms import Arms, arms
from pointsman.rollouts.model import Rollout, parse_rollout
from pointsman.routing.local_choice import LocalChooser
from pointsman.routing.router import RoutingOptions
from pointsman.topics import AGENT_NAME_PATTERN

_KEPT: Final = re.compile(rf"{AGENT_NAME_PATTERN}|{re.escape(MANIFEST_KEY)}|{re.escape(ROLLOUT_KEY)}")


class KeptRecords(Protocol):
    """Broadcast state: the latest record by key."""

    def put(self, key: str, value: bytes) -> None: ...
    def items(self) -> Iterable[tuple[str, bytes]]: ...


class CatalogInForce:
    """Follows the catalog topic and keeps who decides by the latest complete catalog and the latest rollout.

    Args:
        options: how to route.
        min_sequence: a catalog below this sequence is history and never decides; messages wait for a later one.
        local: decides without a chat model where it is sure, if there is one.

    Attributes:
        arms: who decides; None until the first catalog is complete.
    """

    def __init__(self, options: RoutingOptions, min_sequence: int = 0, local: LocalChooser | None = None) -> None:
        self._options = options
        self._local = local
        self._min_sequence = min_sequence
        self._reader = CatalogReader()
        self._rollout: Rollout | None = None
        self._catalog: Catalog | None = None
        self.arms: Arms | None = None

    def restore(self, kept: KeptRecords) -> None:
        """Take over what state holds; the manifest last, as it was written."""
        records = {key: bytes(value) for key, value in kept.items()}
        rollout = records.pop(ROLLOUT_KEY, None)
        # One of another version of this code, which cannot be read, must not keep the catalog from coming back.
        with suppress(PermanentError):
            self._rollout = parse_rollout(rollout) if rollout else None
        for key, value in sorted(records.items(), key=lambda item: item[0] == MANIFEST_KEY):
            self._take_over(self._reader.accept(key.encode(), value))

    def accept(self, record: Record, kept: KeptRecords) -> None:
        """Take over one record and keep it.

        Raises:
            PermanentError: it is no definition, manifest or rollout; what was in force stays in force.
        """
        if record.key == ROLLOUT_KEY.encode() and record.value is not None:
            self._turn_to(parse_rollout(record.value))
            _keep(record, kept)
            return
        catalog = self._reader.accept(record.key, record.value)
        _keep(record, kept)
        self._take_over(catalog)

    def _take_over(self, catalog: Catalog | None) -> None:
        if catalog is not None and catalog.sequence >= self._min_sequence:
            self.arms = arms(catalog, self._options, self._rollout, self._local)
            self._catalog = catalog

    def _turn_to(self, rollout: Rollout) -> None:
        if self._catalog is not None:
            self.arms = arms(self._catalog, self._options, rollout, self._local)
        self._rollout = rollout


def _keep(record: Record, kept: KeptRecords) -> None:
    name = (record.key or b"").decode(errors="replace")
    if not _KEPT.fullmatch(name):
        return  # a tombstone of something that never was an agent
    # The definition of a removed agent stays: the manifest says who is in force, and what the removed one declared
    # terminal still completes workflows after a restore.
    if record.value is not None:
        kept.put(name, record.value)
