"""Leads who get no mail, by their profile."""

from __future__ import annotations

from datetime import datetime

from pointsman import suppressions
from pointsman.store import Document, DocumentStore
from pointsman.suppressions import SuppressionReason


async def is_suppressed(store: DocumentStore, profile: Document) -> bool:
    """Whether the person of a profile document, or its whole mail domain, gets no mail."""
    return await suppressions.is_suppressed(store, profile["person"])


async def suppress(store: DocumentStore, profile: Document, *, reason: SuppressionReason, now: datetime) -> None:
    """See that the person of a profile document gets no mail any more; the first reason stands."""
    key = await suppressions.suppression_key(store, profile["person"])
    await suppressions.suppress(store, key, reason=reason, now=now)
