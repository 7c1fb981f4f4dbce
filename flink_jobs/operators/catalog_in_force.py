"""The catalog in force inside the operator: built from broadcast records, rebuilt from them after a restore."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Protocol

from pointsman.catalog import MANIFEST_KEY, Catalog, CatalogReader
from pointsman.envelope import Record
from pointsman.routing.local_choice import LocalChooser
from pointsman.routing.router import Router, RoutingOptions
from pointsman.topics import AGENT_NAME_PATTERN

_KEPT: Final = re.compile(rf"{AGENT_NAME_PATTERN}|{re.escape(MANIFEST_KEY)}")


class KeptRecords(Protocol):
    """Broadcast state: the latest record by key."""

    def put(self, key: str, value: bytes) -> None: ...
    def items(self) -> Iterable[tuple[str, bytes]]: ...


class CatalogInForce:
    """Follows the catalog topic and keeps the router of the latest complete catalog.

    Args:
        options: how to route.
        min_sequence: a catalog below this sequence is history and never decides; messages wait for a later one.
        local: decides without a chat model where it is sure, if there is one.

    Attributes:
        router: the router in force; None until the first catalog is complete.
    """

    def __init__(self, options: RoutingOptions, min_sequence: int = 0, local: LocalChooser | None = None) -> None:
        self._options = options
        self._local = local
        self._min_sequence = min_sequence
        self._reader = CatalogReader()
        self.router: Router | None = None

    def restore(self, kept: KeptRecords) -> None:
        """Take over what state holds; the manifest last, as it was written."""
        for key, value in sorted(kept.items(), key=lambda item: item[0] == MANIFEST_KEY):
            self._take_over(self._reader.accept(key.encode(), bytes(value)))

    def accept(self, record: Record, kept: KeptRecords) -> None:
        """Take over one record and keep it.

        Raises:
            PermanentError: it is neither a definition nor a manifest; what was in force stays in force.
        """
        catalog = self._reader.accept(record.key, record.value)
        _keep(record, kept)
        self._take_over(catalog)

    def _take_over(self, catalog: Catalog | None) -> None:
        if catalog is not None and catalog.sequence >= self._min_sequence:
            self.router = Router(catalog, self._options, self._local)


def _keep(record: Record, kept: KeptRecords) -> None:
    name = (record.key or b"").decode(errors="replace")
    if not _KEPT.fullmatch(name):
        return  # a tombstone of something that never was an agent
    # The definition of a removed agent stays: the manifest says who is in force, and what the removed one declared
    # terminal still completes workflows after a restore.
    if record.value is not None:
        kept.put(name, record.value)
