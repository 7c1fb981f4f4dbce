"""People who get no mail, whatever an agent drafts: kept in MongoDB `suppressions` by person."""

from __future__ import annotations

from datetime import datetime

from pointsman.store import Document, DocumentStore


async def is_suppressed(store: DocumentStore, profile: Document) -> bool:
    """Whether the person of a profile document, or its whole mail domain (`@domain`), gets no mail."""
    for key in (profile["person"], f"@{profile['email_domain']}"):
        if await store.get("suppressions", key) is not None:
            return True
    return False


async def suppress(store: DocumentStore, profile: Document, *, reason: str, now: datetime) -> None:
    """See that the person of a profile document gets no mail any more; the first reason stands."""
    entry: Document = {"_id": profile["person"], "lead_id": profile["_id"], "reason": reason, "since": now}
    await store.insert_once("suppressions", entry)
