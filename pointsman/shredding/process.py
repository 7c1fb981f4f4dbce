"""The keys of this process: the document store of the settings, asked on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pointsman.errors import ConfigurationError, StoreUnavailableError
from pointsman.settings import Settings, settings
from pointsman.shredding.cache import Sealing
from pointsman.shredding.keys import DataKeys, Found
from pointsman.shredding.wrapping import KeyRing

if TYPE_CHECKING:
    from pointsman.store import DocumentStore

_MONGODB: Final = "mongodb"
_ANSWERS_WITHIN_S: Final = 30.0
_Answer = TypeVar("_Answer")


class StoredKeys:
    """Data keys for threads that may wait: the store is asked on an event loop of its own.

    Args:
        open_keys: opens the store; called on that loop, when it is first asked.
    """

    def __init__(self, open_keys: Callable[[], DataKeys]) -> None:
        self._open = open_keys
        self._keys: DataKeys | None = None
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def find(self, workflows: Iterable[bytes]) -> dict[bytes, Found]:
        """As `DataKeys.find`."""
        wanted = list(workflows)
        return self._asked(lambda keys: keys.find(wanted))

    def find_or_make(self, workflow: bytes) -> Found:
        """As `DataKeys.find_or_make`."""
        return self._asked(lambda keys: keys.find_or_make(workflow))

    def _asked(self, ask: Callable[[DataKeys], Coroutine[Any, Any, _Answer]]) -> _Answer:
        async def answer() -> _Answer:
            if self._keys is None:
                self._keys = self._open()
            return await ask(self._keys)

        try:
            return asyncio.run_coroutine_threadsafe(answer(), self._running()).result(_ANSWERS_WITHIN_S)
        except TimeoutError:
            what = f"the store of the keys did not answer within {_ANSWERS_WITHIN_S:g} s"
            raise StoreUnavailableError(what) from None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="data-keys", daemon=True).start()
            return self._loop


def process_sealing(*, writes: bool | None = None) -> Sealing | None:
    """What seals and opens in this process; None where no keys are configured.

    Args:
        writes: whether values are sealed; None leaves that to the settings.

    Raises:
        ConfigurationError: the setting is of no use.
    """
    told = settings()
    return None if not told.encryption_keys else _sealing(writes=told.encryption_writes if writes is None else writes)


def must_encrypt(told: Settings) -> bool:
    """Whether the router job is to encrypt what it writes.

    Raises:
        ConfigurationError: there are keys, and they are of no use.
    """
    if not told.encryption_keys:
        return False
    key_ring(told)
    return told.encryption_writes


def key_ring(told: Settings) -> KeyRing:
    """The key-encryption keys of the settings.

    Raises:
        ConfigurationError: there are none, or they are of no use.
    """
    if not told.encryption_keys:
        remedy = "`pointsman keys new` makes one; set POINTSMAN_ENCRYPTION_KEYS"
        raise ConfigurationError("no encryption keys are configured", remedy)
    return KeyRing(told.encryption_keys.get_secret_value())


def data_keys(store: DocumentStore, told: Settings) -> DataKeys:
    """The data keys in `store`.

    Raises:
        ConfigurationError: as for `key_ring`.
    """
    return DataKeys(store, key_ring(told), _now)


def check_store_is_named(told: Settings) -> None:
    """See that a process that cannot do without keys was told where they are, instead of looking at a default.

    Raises:
        ConfigurationError: there are no keys, they are of no use, or nobody has said where the store is.
    """
    key_ring(told)
    if told.store == _MONGODB and "mongodb_uri" not in told.model_fields_set:
        remedy = "set MONGODB_URI (or POINTSMAN_STORE) for the TaskManagers, as a file or in their environment"
        raise ConfigurationError("values are encrypted, and nobody has said where the data keys are", remedy)


@lru_cache(maxsize=2)
def _sealing(*, writes: bool) -> Sealing:
    told = settings()
    key_ring(told)
    return Sealing(StoredKeys(lambda: _opened(told)), is_writing=writes)


def _opened(told: Settings) -> DataKeys:
    # Here: who has no keys needs no database driver.
    from pointsman.stores import open_store

    return data_keys(open_store(told), told)


def _now() -> datetime:
    return datetime.now(UTC)
