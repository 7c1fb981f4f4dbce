"""How long each tier keeps what: the one place where this is said.

Hot is Kafka (and Flink's state), warm the document store, cold the archive. `pointsman retention apply` brings about
what stands here, `pointsman doctor` checks it, and the table in docs/operations.md is tested against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MESSAGE_DAYS: Final = 7
"""Hot: leads, messages and inboxes."""

RECORD_DAYS: Final = 30
"""Hot: decisions, escalations, dead letters: within the month in which a request for erasure must be answered."""

AUDIT_DAYS: Final = 90
"""Hot: who did what by hand. Longer than dead letters, because it says which of them are dealt with."""

ARCHIVE_DAYS: Final = 365
"""Cold: every topic of the archive, by whole days."""


@dataclass(frozen=True, kw_only=True)
class Documents:
    """How long the documents of a collection are kept.

    Attributes:
        collection: its name.
        field: the field with the time from which the days count; a lead that has none counts from the time in its id.
        days: how many days; None is for ever.
    """

    collection: str
    field: str
    days: int | None


DOCUMENTS: Final = (
    Documents(collection="leads", field="created_at", days=730),
    Documents(collection="profiles", field="profiled_at", days=730),
    Documents(collection="accounts", field="profiled_at", days=730),
    Documents(collection="scores", field="scored_at", days=730),
    Documents(collection="campaigns", field="started_at", days=730),
    Documents(collection="people", field="since", days=730),
    # As long as a campaign may be asked about: without its line in the ledger a mail could be sent a second time.
    Documents(collection="effects", field="reserved_at", days=1095),
    Documents(collection="mail_slots", field="day", days=1095),
    # Who wants no mail wants none for ever, and the key makes the list readable.
    Documents(collection="suppressions", field="since", days=None),
    Documents(collection="keys", field="", days=None),
    # What is left of an erased key says that it was: nothing may be encrypted for that workflow again.
    Documents(collection="data_keys", field="", days=None),
)
"""Warm."""
