"""One claim per message, across all agents: whoever claims first acts, every other copy of the message is left alone.

A router that is fast instead of exactly once may write a message again after a restart, at another place of the inbox,
or, when it decided otherwise this time, into another agent's. A claim names the place of the copy that it was made for:
the same copy, delivered again because its agent crashed, goes on, and any other one is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from pointsman.envelope import Envelope, Record, derived_id
from pointsman.store import DocumentStore

CLAIMS: Final = "claims"
KEPT: Final = timedelta(days=30)
"""Longer than messages stay in inboxes, and than any state that a router may be started from."""


class ClaimedElsewhereError(Exception):
    """Another copy of the message has been claimed.

    Attributes:
        topic: the inbox that this copy is in.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.topic = topic


class Claims:
    """Who acts on a message. Claims hold ids and places, nothing of the message.

    Args:
        store: where claims are kept; the same for all agents.
        now: the clock, UTC.
    """

    def __init__(self, store: DocumentStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._is_ready = False

    async def take(self, message: Envelope, record: Record) -> None:
        """Claim `message` for the copy that is in `record`; nothing to do where the router writes each once.

        Raises:
            ClaimedElsewhereError: another copy was claimed before: this one is not acted on.
            StoreUnavailableError: the store did not answer; nobody knows yet whose it is.
        """
        if not message.must_claim:
            return
        await self._expire()
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        claim = {"_id": claim_id(message), **place, "claimed_at": self._now()}
        held = await self._store.insert_once(CLAIMS, claim)
        if any(held[name] != value for name, value in place.items()):
            raise ClaimedElsewhereError(record.topic)

    async def _expire(self) -> None:
        if not self._is_ready:
            await self._store.ensure_index(CLAIMS, ["claimed_at"], expire_after_s=int(KEPT.total_seconds()))
            self._is_ready = True


def claim_id(message: Envelope) -> str:
    """What is claimed: a message as the router's guard tells them apart; sent again by a person, it is another one."""
    return derived_id("claim", message.source, message.id, str(message.attempt))
