"""Which offsets of one partition are done: a contiguous low-watermark, and what is done beyond it.

A slow message must not hold back the results of its neighbours. So the committed position is the first offset that is
not done, and the ones done beyond it travel in the commit's metadata text; after a restart they are skipped. (The same
idea as in Confluent's Parallel Consumer.)

Done offsets are a bit mask relative to the watermark. Control records and aborted records leave gaps in the offsets;
a gap is never delivered and never waited for.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

WINDOW: Final = 20_000
"""Offsets beyond the watermark that the metadata can speak of: 20,000 bits are 3,336 characters."""

METADATA_LIMIT: Final = 4096
"""The broker's default for `offset.metadata.max.bytes`."""

_FORMAT: Final = "pointsman/1:"


class OffsetTracker:
    """What is delivered and what is done in one partition.

    Args:
        committed: the committed position; None when there is none.
        metadata: the text that was committed with it; anything not written by `position` counts as empty.
    """

    def __init__(self, committed: int | None = None, metadata: str = "") -> None:
        self._low = committed
        self._next = committed or 0
        self._done = 0 if committed is None else _decode(metadata)
        self._in_flight: dict[int, None] = {}  # in the order of delivery, which is that of the offsets

    @property
    def in_flight(self) -> int:
        """Number of offsets that are delivered and not done."""
        return len(self._in_flight)

    @property
    def is_full(self) -> bool:
        """Whether deliveries must wait until the oldest offset in flight is done."""
        return self._low is not None and self._next - self._low >= WINDOW

    def deliver(self, offset: int) -> bool:
        """Take `offset` on; False when it is done or in flight already, and must be skipped."""
        if offset < self._next:
            return False
        if self._low is None:
            self._low = offset
        self._next = offset + 1
        if self._is_done(offset):
            self._advance()
            return False
        self._in_flight[offset] = None
        self._advance()
        return True

    def reached(self, offset: int) -> None:
        """Nothing before `offset` remains to be delivered: it is where the partition ends."""
        if self._low is None:
            self._low = offset
        self._next = max(self._next, offset)
        self._advance()

    def may_complete(self, offset: int) -> bool:
        """Whether `position` could tell that `offset` is done; if not, its results must wait."""
        return self._low is not None and offset - self._low < WINDOW

    def complete(self, offset: int) -> None:
        """`offset`, delivered before, is done."""
        if offset in self._in_flight and self._low is not None:
            del self._in_flight[offset]
            self._done |= 1 << (offset - self._low)
            self._advance()

    def position(self) -> tuple[int, str] | None:
        """What to commit: the first offset that is not done, and the metadata; None before anything is known."""
        return None if self._low is None else (self._low, _encode(self._done))

    def _is_done(self, offset: int) -> bool:
        return self._low is not None and bool(self._done >> (offset - self._low) & 1)

    def _advance(self) -> None:
        """Move the watermark to the oldest offset in flight, or to the next one to be delivered."""
        low = next(iter(self._in_flight), self._next)
        if self._low is not None and low > self._low:
            self._done >>= low - self._low
            self._low = low


def _encode(done: int) -> str:
    if not done:
        return ""
    bits = done.to_bytes((done.bit_length() + 7) // 8, "little")
    return _FORMAT + base64.b64encode(bits).decode()


def _decode(metadata: str) -> int:
    if not metadata.startswith(_FORMAT):
        return 0
    try:
        return int.from_bytes(base64.b64decode(metadata[len(_FORMAT) :], validate=True), "little")
    except binascii.Error:
        return 0
