"""Remembers data keys for a while, so that neither a message nor Flink's thread waits for the store each time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from pointsman.envelope import OPERATOR_SOURCE, WORKFLOW_CANCELLED, Record
from pointsman.errors import ErasedError, ErrorReason, InvalidEnvelopeError
from pointsman.shredding.keys import MOST_AT_ONCE, Found
from pointsman.shredding.sealing import is_sealed, opened, sealed, workflow_of
from pointsman.topics import ERRORS, ESCALATIONS, MESSAGES, agent_of

KEPT_FOR_S: Final = 60.0
"""How long a key is used without asking the store again, and so how long after its erasure it may still be in use."""
MOST_KEPT: Final = 10_000
_PRIVATE: Final = frozenset({MESSAGES, ESCALATIONS, ERRORS})

_SPARE_S: Final = 5.0
"""For so long at least a key is still good that was said to be at hand."""
_NEVER: Final = "the value is encrypted, and its workflow has no key"
_GONE: Final = "its workflow was erased: the key that the value was encrypted with is deleted"


class Keys(Protocol):
    """Where keys come from; every method may block, and raises as `pointsman.shredding.keys.DataKeys` does."""

    def find(self, workflows: Iterable[bytes]) -> dict[bytes, Found]: ...
    def find_or_make(self, workflow: bytes) -> Found: ...


@dataclass(frozen=True, kw_only=True)
class _Kept:
    found: Found
    until: float


class Sealing:
    """Seals and opens the values of records. May be used from several threads.

    Args:
        keys: where data keys come from.
        clock: seconds, by a clock that never goes back.
        is_writing: whether values are sealed; otherwise they are only opened.

    Attributes:
        is_writing: the same.
    """

    def __init__(self, keys: Keys, clock: Callable[[], float] = time.monotonic, *, is_writing: bool = True) -> None:
        self._keys = keys
        self._clock = clock
        self.is_writing = is_writing
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def has_key(self, record: Record) -> bool:
        """Whether `record`, and what comes of it, can be opened and sealed without asking the store."""
        workflow = self._needs(record)
        return workflow is None or self._fresh(workflow, makes=self._makes(record), spare_s=_SPARE_S) is not None

    def fetch(self, record: Record) -> None:
        """Ask the store for the key of a record's workflow; make it where values are sealed and there is none.

        Raises:
            StoreUnavailableError: it does not answer.
            ConfigurationError: the login is refused, or a key is wrapped with one that the settings do not hold.
        """
        workflow = self._needs(record)
        if workflow is not None:
            makes = self._makes(record)
            self._keep({workflow: self._keys.find_or_make(workflow)} if makes else self._keys.find([workflow]))

    def fetch_all(self, records: Iterable[Record]) -> None:
        """Ask the store, at once, for every key that opening `records` takes.

        Raises:
            StoreUnavailableError: it does not answer.
            ConfigurationError: as for `fetch`.
        """
        wanted = {workflow_of(record) or b"" for record in records if is_sealed(record.value)}
        missing = [workflow for workflow in wanted if self._fresh(workflow) is None]
        for start in range(0, len(missing), MOST_AT_ONCE):
            self._keep(self._keys.find(missing[start : start + MOST_AT_ONCE]))

    def opened(self, record: Record) -> bytes | InvalidEnvelopeError | None:
        """What the sealed value of `record` held, or why that cannot be said; None: its key must be fetched first."""
        found = self._fresh(workflow_of(record) or b"")
        if found is None:
            return None
        if found.key is None:
            reason, why = (ErrorReason.ERASED, _GONE) if found.is_erased else (ErrorReason.INVALID_ENCRYPTION, _NEVER)
            return InvalidEnvelopeError(reason, why)
        try:
            return opened(record, found.key)
        except InvalidEnvelopeError as error:
            return error

    def sealed(self, record: Record) -> Record | None:
        """`record` as it may lie on its topic; None: its key must be fetched first.

        Raises:
            ErasedError: its workflow is erased, so it must not be written.
        """
        workflow = self._needs(record)
        if workflow is None or is_sealed(record.value):
            return record
        found = self._fresh(workflow, makes=True)
        if found is None:
            return None
        if found.key is None:
            raise ErasedError
        return sealed(record, found.key)

    def _needs(self, record: Record) -> bytes | None:
        """Whose key `record` takes; None when it takes none."""
        if is_sealed(record.value):
            return workflow_of(record) or b""
        return workflow_of(record) if self.is_writing and record.value and _is_private(record) else None

    def _makes(self, record: Record) -> bool:
        # A sealed value without a key is unreadable for good; a new key would not change that.
        return self.is_writing and not is_sealed(record.value)

    def _fresh(self, workflow: bytes, *, makes: bool = False, spare_s: float = 0.0) -> Found | None:
        with self._lock:
            kept = self._kept.get(workflow)
        if kept is None or self._clock() + spare_s >= kept.until:
            return None
        is_missing = kept.found.key is None and not kept.found.is_erased
        return None if makes and is_missing else kept.found

    def _keep(self, found: dict[bytes, Found]) -> None:
        now = self._clock()
        with self._lock:
            for workflow, each in found.items():
                self._kept.pop(workflow, None)
                self._kept[workflow] = _Kept(found=each, until=now + KEPT_FOR_S)
            # In the order in which they were fetched, which is the one in which they become old.
            while self._kept and (len(self._kept) > MOST_KEPT or next(iter(self._kept.values())).until <= now):
                self._kept.popitem(last=False)


def _is_private(record: Record) -> bool:
    """Whether the value of a record on that topic is a message's, which is about somebody."""
    if record.topic not in _PRIVATE and agent_of(record.topic) is None:
        return False
    # A person's word that ends a workflow must be read when the key is gone, and is about nobody.
    is_cancellation = record.headers.get("ce_type") == WORKFLOW_CANCELLED.encode()
    return not (is_cancellation and record.headers.get("ce_source", b"").startswith(OPERATOR_SOURCE.encode()))
