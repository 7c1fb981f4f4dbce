"""Profiles of leads as MongoDB keeps them, and the part of them that messages carry."""

from __future__ import annotations

from typing import Any, Final

from agents.sdr.facts import Fact
from pointsman.envelope import Payload
from pointsman.errors import ErrorReason, InvalidPayloadError, StoreUnavailableError
from pointsman.plaintext import one_line, without_addresses
from pointsman.store import Document, DocumentStore

_FIELDS: Final = (
    "lead_id", "email_domain", "first_name", "title", "company", "industry", "source", "interest", "summary", "facts",
)  # fmt: skip
_MAX_FACTS: Final = 30


def profile_of(payload: Payload) -> Payload:
    """The fields of a profile in `payload`, and no others: no producer can smuggle an address along."""
    return {name: payload[name] for name in _FIELDS if name in payload}


async def load_profile(store: DocumentStore, lead_id: str) -> Document:
    """The profile document of a lead.

    Raises:
        InvalidPayloadError: nobody profiled that lead.
    """
    document = await store.get("profiles", lead_id)
    if document is None:
        raise InvalidPayloadError(ErrorReason.CONTRACT_VIOLATION, "lead_id names a lead that has no profile")
    return document


async def add_note(store: DocumentStore, lead_id: str, text: str) -> Payload:
    """Add a note to the facts of a lead's profile, once, and give the profile.

    Raises:
        InvalidPayloadError: nobody profiled that lead.
        StoreUnavailableError: somebody else changed the profile at the same moment.
    """
    document = await load_profile(store, lead_id)
    profile: dict[str, Any] = document["profile"]
    note: Fact = {"fact": without_addresses(one_line(f"Noted: {text}", 540)), "source": "note"}
    if note in profile["facts"]:
        return profile
    # The newest notes say most of what a lead wants now; what the form said first stays.
    facts = [*profile["facts"][: _MAX_FACTS // 2], *profile["facts"][_MAX_FACTS // 2 :][-(_MAX_FACTS // 2 - 1) :], note]
    noted = {**profile, "facts": facts}
    expected = {"message_id": document["message_id"], "profile.facts": profile["facts"]}
    if await store.update_if("profiles", lead_id, expected, {"profile": noted}) is None:
        raise StoreUnavailableError("the profile was changed by somebody else at the same moment")
    return noted
