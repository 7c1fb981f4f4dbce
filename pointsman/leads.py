"""A lead as somebody from outside hands it in, and how it gets into MongoDB once."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, EmailStr, Field, StringConstraints

from pointsman.envelope import derived_id, to_rfc3339
from pointsman.errors import RefusedError
from pointsman.plaintext import many_lines, one_line
from pointsman.store import Document, DocumentStore
from pointsman.telemetry.spans import Spans

COLLECTION: Final = "leads"
_NOT_SAID: Final = frozenset({"_id", "created_at", "traceparent"})
"""What of a stored lead did not come from whoever handed it in."""


def _line(value: Any) -> Any:
    return one_line(value, 5_000) if isinstance(value, str) else value


def _lines(value: Any) -> Any:
    return many_lines(value, 20_000) if isinstance(value, str) else value


_Short = Annotated[str, BeforeValidator(_line), StringConstraints(max_length=120)]
_Web = Annotated[str, BeforeValidator(_line), StringConstraints(max_length=400)]
_Long = Annotated[str, BeforeValidator(_lines), StringConstraints(max_length=4_000)]
_Address = Annotated[EmailStr, BeforeValidator(_line), Field(max_length=254)]


class Lead(BaseModel):
    """Somebody who wants to hear from us.

    Attributes:
        email: where to write to.
        first_name: first name.
        last_name: last name.
        title: job title.
        company: company.
        website: the company's site.
        message: what they wrote.
        source: where the lead comes from.
        consent: whether we may write to them.
    """

    model_config = ConfigDict(extra="forbid")

    email: _Address = Field(examples=["dana@customer.example"])
    first_name: _Short = ""
    last_name: _Short = ""
    title: _Short = Field(default="", description="Job title.")
    company: _Short = ""
    website: _Web = ""
    message: _Long = ""
    source: _Short = Field(default="api", description="Where the lead comes from.")
    consent: bool = Field(strict=True, description="Whether they agree to be written to.")

    def document(self) -> Document:
        """The lead as MongoDB keeps it; what was not said is left out."""
        return {name: value for name, value in self.model_dump().items() if value != ""}


async def hand_in(
    store: DocumentStore, lead: Lead, *, sender: str, key: str | None, now: datetime, spans: Spans
) -> tuple[str, bool]:
    """Insert `lead` unless it is there; its id, and whether it was inserted now.

    Args:
        store: where leads live; the write is acknowledged by a majority.
        lead: the lead.
        sender: who hands it in; keys of different senders have nothing to do with each other.
        key: the sender's `Idempotency-Key`: the same key means the same lead.
        now: the time, UTC.
        spans: begin the lead's trace, which its field `traceparent` carries on.

    Raises:
        RefusedError: `key` was used for another lead.
        StoreUnavailableError: MongoDB does not answer; the lead may or may not be there.
    """
    identity = derived_id("lead", sender, key) if key else secrets.token_hex(12)
    with spans.insert(COLLECTION) as traced:
        document = {"_id": identity, "created_at": to_rfc3339(now), **traced, **lead.document()}
        stored = await store.insert_once(COLLECTION, document)
    if {name: value for name, value in stored.items() if name not in _NOT_SAID} != lead.document():
        raise RefusedError("this Idempotency-Key was used for another lead", "use a new key for each lead")
    return identity, stored == document
