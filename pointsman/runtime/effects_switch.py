"""The kill switch as one agent process sees it."""

from __future__ import annotations

import asyncio

import structlog

from pointsman.controls import is_about_effects, read_effects
from pointsman.envelope import Record

_log = structlog.get_logger(__name__)


class EffectsSwitch:
    """Whether effects may begin; not before `controls` was read for the first time.

    All methods belong to the event loop's thread.
    """

    def __init__(self) -> None:
        self._allowed = asyncio.Event()
        self._offset = -1

    def is_allowed(self) -> bool:
        """Whether an effect may begin now."""
        return self._allowed.is_set()

    async def until_allowed(self) -> None:
        """Wait for as long as effects are stopped."""
        await self._allowed.wait()

    def start_with(self, record: Record | None) -> None:
        """`record` is the switch as it stood when reading began; None: nobody has ever touched it."""
        if record is not None:
            self.take(record)
        elif self._offset < 0:
            self._allowed.set()

    def take(self, record: Record) -> None:
        """Follow a record of `controls`, unless a later one was seen: the topic is read again from its beginning."""
        if not is_about_effects(record) or record.offset <= self._offset:
            return
        self._offset = record.offset
        control = read_effects(record)
        if control.is_allowed != self.is_allowed():
            _log.warning("effects are allowed" if control.is_allowed else "effects are stopped", by=control.by)
        if control.is_allowed:
            self._allowed.set()
        else:
            self._allowed.clear()
