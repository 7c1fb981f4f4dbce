"""Who may get a mail now: the allow-list of this installation, and the day's cap over all leads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from pointsman.store import DocumentStore

_SLOTS: Final = "mail_slots"


def is_allowed(mailbox: str, allow: Sequence[str]) -> bool:
    """Whether `allow` names the mailbox, its `@domain`, or everybody (`*`); an empty list names nobody."""
    address = mailbox.lower()
    domain = f"@{address.rpartition('@')[2]}"
    return any(entry in ("*", address, domain) for entry in (text.strip().lower() for text in allow))


class DailyCap:
    """The places of a day, over all leads and all instances.

    Args:
        store: where the places that are taken stand.
    """

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        # Mails of one instance that raced each other for every place would have only one winner per round: of 32 under
        # way, some would lose for minutes.
        self._in_turn = asyncio.Lock()

    async def take(self, effect: str, *, cap: int, now: datetime) -> bool:
        """Take one of the `cap` places of the day (UTC) for `effect`; False when none is left, exact for any instances.

        An effect that has a place of any day keeps it: a retry does not use up a second one.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        if await self._store.find(_SLOTS, {"effect": effect}, limit=1):
            return True
        day = now.astimezone(UTC).date().isoformat()
        async with self._in_turn:
            number = await self._store.count(_SLOTS, {"day": day})
            while number < cap:
                number += 1
                slot = {"_id": f"{day}/{number}", "day": day, "effect": effect}
                if (await self._store.insert_once(_SLOTS, slot))["effect"] == effect:
                    return True
        return False
