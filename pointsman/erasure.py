"""Erases what the document store keeps about one subject, a lead.

What Kafka keeps ends with its retention (docs/adr/0006).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pointsman.runtime.ledger import EFFECTS
from pointsman.store import DocumentStore
from pointsman.suppressions import SuppressionReason, suppress, suppression_key

ERASED: Final = "erased"
_MOST: Final = 10_000


async def subjects_of(
    store: DocumentStore, person: str, spellings: Sequence[str], collections: Sequence[str]
) -> list[str]:
    """Ids of all subjects that are this person.

    Args:
        store: where documents are.
        person: as `pointsman.people.Address.person` writes an address.
        spellings: the address as people may have typed it.
        collections: where to look: documents with `person` or `email`, whose `lead_id` or id is the subject's.
    """
    found: dict[str, None] = {}
    for name in collections:
        for criteria in ({"person": person}, {"email": {"$in": list(spellings)}}):
            for document in await store.find(name, criteria, limit=_MOST):
                found[str(document.get("lead_id", document["_id"]))] = None
    return list(found)


async def people_of(store: DocumentStore, subject_id: str, collections: Sequence[str]) -> set[str]:
    """Under which addresses (see `pointsman.people.Address.person`) a subject is known."""
    documents = [await store.get(name, subject_id) for name in collections]
    return {str(document["person"]) for document in documents if document and "person" in document}


async def erase(store: DocumentStore, subject_id: str, collections: Sequence[str], now: datetime) -> dict[str, int]:
    """Delete the subject's documents and take its name out of the ledger; doing it again erases what came meanwhile.

    The ledger keeps that a mail was sent, and to whom only as the suppression list's keyed hash.

    Args:
        store: where documents are.
        subject_id: the subject's id.
        collections: where to delete: the document with that id, and those that have it as `lead_id`.
        now: the time, UTC.

    Returns:
        Number of documents erased, by collection; those without any are left out.
    """
    counts: dict[str, int] = {}
    for name in collections:
        related = [str(one["_id"]) for one in await store.find(name, {"lead_id": subject_id}, limit=_MOST)]
        keys = dict.fromkeys([subject_id, *related])
        counts[name] = sum([await store.delete(name, key) for key in keys])
    counts[EFFECTS] = await _erase_from_ledger(store, subject_id, now)
    return {name: number for name, number in counts.items() if number}


async def keep_from_mail(store: DocumentStore, person: str, now: datetime) -> None:
    """See that an erased person is not written to when the address comes in again."""
    await suppress(store, await suppression_key(store, person), reason=SuppressionReason.ERASED, now=now)


async def _erase_from_ledger(store: DocumentStore, subject_id: str, now: datetime) -> int:
    effects = await store.find(EFFECTS, {"facts.lead_id": subject_id}, limit=_MOST)
    for effect in effects:
        changes = {"facts.lead_id": ERASED, "facts.campaign_id": ERASED, "facts.content": {}, "erased_at": now}
        await store.update_if(EFFECTS, str(effect["_id"]), {}, changes)
    return len(effects)
