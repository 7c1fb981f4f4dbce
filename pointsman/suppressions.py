"""People who get no mail, whatever an agent drafts: the collection `suppressions`.

An entry that we write is a keyed hash of the person's address, so that the list outlives the erasure of everything else
about the person and names nobody. An entry that a person writes may be an address in lower case, or `@domain`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from enum import StrEnum
from typing import Final

from pointsman.store import DocumentStore

SUPPRESSIONS: Final = "suppressions"
_KEYS: Final = "keys"
_OURS: Final = "suppressions"


class SuppressionReason(StrEnum):
    """Why somebody stands on the list. Lists hold these texts: another wording would lose the labels of old entries."""

    UNSUBSCRIBED = "unsubscribed by link"
    ASKED = "asked for no more mail"
    RETURNED = "the mailbox returned a mail"
    REFUSED = "the mailbox refuses mail"
    COMPLAINED = "complained about a mail"
    ERASED = "erased"


async def suppression_key(store: DocumentStore, person: str) -> str:
    """The name under which `person` stands on the list; says nothing to whoever lacks the store's secret.

    Args:
        store: where the list and its secret are.
        person: an address as `pointsman.people.Address.person` writes it.
    """
    fresh = {"_id": _OURS, "secret": secrets.token_hex(32)}
    kept = await store.get(_KEYS, _OURS) or await store.insert_once(_KEYS, fresh)
    digest = hmac.new(bytes.fromhex(kept["secret"]), person.encode(), hashlib.sha256).hexdigest()
    return f"hmac-sha256:{digest}"


async def is_suppressed(store: DocumentStore, person: str) -> bool:
    """Whether `person`, or everybody at that mail domain, gets no mail."""
    names = [await suppression_key(store, person), person, f"@{person.rpartition('@')[2]}"]
    return bool(await store.find(SUPPRESSIONS, {"_id": {"$in": names}}, limit=1))


async def suppress(store: DocumentStore, key: str, *, reason: SuppressionReason, now: datetime) -> None:
    """See that the person called `key` (see `suppression_key`) gets no mail any more; the first reason stands."""
    await store.insert_once(SUPPRESSIONS, {"_id": key, "reason": reason.value, "since": now})
