"""Who may get a mail now: the allow-list of this installation, and the day's cap over all leads."""

from __future__ import annotations

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


async def take_slot(store: DocumentStore, effect: str, *, cap: int, now: datetime) -> bool:
    """Take one of the `cap` places of the day (UTC) for `effect`; False when all are taken, exact for any instances.

    An effect that has a place of any day keeps it: a retry does not use up a second one.
    """
    if await store.find(_SLOTS, {"effect": effect}, limit=1):
        return True
    day = now.astimezone(UTC).date().isoformat()
    number = await store.count(_SLOTS, {"day": day})
    while number < cap:
        number += 1
        slot = {"_id": f"{day}/{number}", "day": day, "effect": effect}
        if (await store.insert_once(_SLOTS, slot))["effect"] == effect:
            return True
    return False
