"""`pointsman leads erase`: ends what is under way for a lead and erases what is kept about it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from pointsman import erasure
from pointsman.archive.erasing import is_about
from pointsman.archive.files import Archive
from pointsman.audit import Action, AuditEntry
from pointsman.decision_log import parsed_object
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError
from pointsman.kafka import publish, read_all
from pointsman.people import AddressError, read_address
from pointsman.retention import RECORD_DAYS
from pointsman.shredding.keys import COLLECTION as DATA_KEYS
from pointsman.shredding.keys import erase_keys
from pointsman.store import DocumentStore
from pointsman.topics import LEADS, MESSAGES
from pointsman.workflow_control import cancellation

COLLECTIONS: Final = ("leads", "people", "profiles", "scores", "campaigns")
"""Where the shipped agents keep what they know of a lead; beside the ledger, which keeps no name."""

AFTERWARDS: Final = (
    f"run it again in a minute: an agent may have had the lead in hand; Kafka forgets within {RECORD_DAYS} days"
)
ARCHIVED_AFTERWARDS: Final = "and once more after the archive job's next checkpoint: what is under way lands there"

_REASON: Final = "the lead is erased"


@dataclass(frozen=True, kw_only=True)
class Found:
    """Whom a request is about.

    Attributes:
        lead_ids: the leads.
        people: the addresses that they are known under.
    """

    lead_ids: Sequence[str]
    people: frozenset[str]


class Kafka(Protocol):
    """What erasing does on Kafka."""

    def lead_keys(self, lead_ids: Collection[str]) -> dict[str, set[bytes]]:
        """Under which record keys the leads topic has each of the leads."""
        ...

    def publish(self, records: Iterable[Record]) -> None:
        """Write all or none."""
        ...


@dataclass(frozen=True, kw_only=True)
class KafkaCluster:
    """A Kafka cluster.

    Attributes:
        bootstrap: the broker's address.
    """

    bootstrap: str

    def lead_keys(self, lead_ids: Collection[str]) -> dict[str, set[bytes]]:
        return keys_in(read_all(self.bootstrap, LEADS), lead_ids)

    def publish(self, records: Iterable[Record]) -> None:
        publish(self.bootstrap, records, f"pointsman.erasure.{uuid.uuid4()}")


async def look_for(store: DocumentStore, lead_id: str | None, email: str | None) -> Found:
    """The leads that a request names by one id, or by an address.

    Raises:
        ConfigurationError: neither or both are given, or the address is none.
    """
    if (lead_id is None) == (email is None):
        raise ConfigurationError("either --id or --email", "give one of them")
    if lead_id is not None:
        return Found(lead_ids=[lead_id], people=frozenset(await erasure.people_of(store, lead_id, COLLECTIONS)))
    typed = email or ""
    try:
        address = read_address(typed)
    except AddressError as error:
        raise ConfigurationError(f"--email: {error}", "give the address of the lead") from None
    spellings = [typed, typed.lower(), address.mailbox, address.mailbox.lower(), address.person]
    found = await erasure.subjects_of(store, address.person, spellings, COLLECTIONS)
    return Found(lead_ids=found, people=frozenset({address.person}))


def keys_in(records: Iterable[Record], lead_ids: Collection[str]) -> dict[str, set[bytes]]:
    """Under which keys `records` of the leads topic have each of the leads."""
    found: dict[str, set[bytes]] = {lead_id: set() for lead_id in lead_ids}
    for record in records:
        lead_id = parsed_object(record.value).get("_id")
        if record.key is not None and isinstance(lead_id, str) and lead_id in found:
            found[lead_id].add(record.key)
    return found


async def erase(
    store: DocumentStore, found: Found, now: datetime, record_keys: Mapping[str, set[bytes]] | None = None
) -> list[str]:
    """Erase, and keep the people from mail; a line for each lead. People first: nothing leaves in between.

    Args:
        store: where documents and data keys are.
        found: whom to erase.
        now: the time, UTC.
        record_keys: under which keys the leads topic has the leads; a lead that became a dead letter there was
            encrypted by that name.
    """
    for person in found.people:
        await erasure.keep_from_mail(store, person, now)
    lines = []
    for lead_id in found.lead_ids:
        counts = await erasure.erase(store, lead_id, COLLECTIONS, now)
        workflows = {lead_id.encode(), *(record_keys or {}).get(lead_id, ())}
        if deleted := await erase_keys(store, workflows, now):
            counts[DATA_KEYS] = deleted
        told = ", ".join(f"{number} in {name}" for name, number in counts.items())
        lines.append(f"{lead_id}  {told or 'nothing is kept'}")
    return lines


def erase_from_archive(folder: Path, lead_ids: Collection[str]) -> int:
    """Take every record about the leads out of the archive; how many.

    Raises:
        ConfigurationError: there is none where the settings have it, or a file cannot be replaced.
    """
    return Archive(folder).without(is_about(lead_ids))


def records(
    lead_ids: Iterable[str], who: str, now: datetime, record_keys: Mapping[str, set[bytes]] | None = None
) -> list[Record]:
    """What is written to Kafka: each workflow is cancelled, its lead deleted there, and that a person did it."""
    written = []
    for lead_id in lead_ids:
        written.append(cancellation(lead_id, who, _REASON, now).to_record(MESSAGES))
        entry = AuditEntry(action=Action.LEAD_ERASED, subject=f"lead/{lead_id}", by=who, at=now, workflow_id=lead_id)
        written.append(entry.to_record())
        keys = sorted((record_keys or {}).get(lead_id, ()))
        written += [Record(topic=LEADS, key=key, value=None, headers={}) for key in keys]
    return written


def tell_kafka(kafka: Kafka, lead_ids: Sequence[str], who: str, now: datetime) -> dict[str, set[bytes]]:
    """Cancel the workflows, so that no agent writes the lead's documents anew, and note it in the audit topic.

    The leads topic is compacted: a record without value deletes those with its key, within a day.

    Returns:
        Under which keys the leads topic has each lead.
    """
    keys = kafka.lead_keys(lead_ids)
    kafka.publish(records(lead_ids, who, now, keys))
    return keys
