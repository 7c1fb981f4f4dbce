"""Everything that Kafka and the ledger hold about one workflow, for whoever tells its way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pointsman.archive.options import ARCHIVED
from pointsman.archive.reading import read_topic
from pointsman.decision_log import read_decision
from pointsman.envelope import Record
from pointsman.kafka import KafkaAdmin
from pointsman.runtime.ledger import EFFECTS
from pointsman.settings import Settings
from pointsman.store import Document, DocumentStore
from pointsman.stores import open_store
from pointsman.topics import AUDIT, DECISIONS, ERRORS, ESCALATIONS, LEADS, MESSAGES, agent_of
from pointsman.workflow_control import belongs_to, header

TOLD_BY: Final = (LEADS, MESSAGES, DECISIONS, ESCALATIONS, ERRORS, AUDIT)
"""Topics that tell of workflows, beside the agents' inboxes."""
_AT_ONCE: Final = 8
_MOST_EFFECTS: Final = 1000


@dataclass(frozen=True, kw_only=True)
class WorkflowRecords:
    """What is known of one workflow.

    Attributes:
        workflow_id: its id.
        records: its records on Kafka, of any topic, in no order.
        effects: the ledger's documents about it.
    """

    workflow_id: str
    records: Sequence[Record]
    effects: Sequence[Document]


def load_workflow(workflow_id: str, settings: Settings, archive: Path | None = None) -> WorkflowRecords:
    """Read what Kafka, the archive (where one is given) and the ledger hold about a workflow.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
        StoreUnavailableError: MongoDB does not answer.
        ConfigurationError: access is refused.
    """
    records = read_topics(settings.kafka_bootstrap, workflow_id, archive)
    return WorkflowRecords(
        workflow_id=workflow_id, records=records, effects=asyncio.run(_effects(records, workflow_id, settings))
    )


def read_topics(bootstrap: str, workflow_id: str, archive: Path | None = None) -> list[Record]:
    """The workflow's records on every topic, topics side by side.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
    """
    existing = KafkaAdmin(bootstrap).topics()
    names = [name for name in sorted(existing) if name in TOLD_BY or agent_of(name)]

    def read_one(name: str) -> list[Record]:
        found = read_topic(bootstrap, name, archive=archive if name in ARCHIVED else None)
        return [one for one in found if concerns(workflow_id, one)]

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        read = pool.map(read_one, names)
        return [record for records in read for record in records]


def concerns(workflow_id: str, record: Record) -> bool:
    """Whether `record`, of any topic, tells of the workflow."""
    if record.topic == LEADS:
        return workflow_id.encode() in (record.value or b"")
    decision = read_decision(record)
    return decision.workflow_id == workflow_id if decision else belongs_to(workflow_id, record)


async def effects_of(store: DocumentStore, records: Iterable[Record], workflow_id: str) -> list[Document]:
    """The ledger's documents that were made for one of `records` or carry the workflow's id as lead."""
    ids = sorted({header(record, "ce_id") for record in records if record.topic == MESSAGES})
    made_for = await store.find(EFFECTS, {"facts.message": {"$in": ids}}, limit=_MOST_EFFECTS)
    of_lead = await store.find(EFFECTS, {"facts.lead_id": workflow_id}, limit=_MOST_EFFECTS)
    return list({document["_id"]: document for document in [*of_lead, *made_for]}.values())


async def _effects(records: Sequence[Record], workflow_id: str, settings: Settings) -> list[Document]:
    store = open_store(settings)
    try:
        return await effects_of(store, records, workflow_id)
    finally:
        await store.close()
