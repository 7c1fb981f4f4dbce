"""Every topic's name, key, partitions and retention, in one place.

The SQL files, the connector's configuration and the deployment files are tested against this module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from pointsman.retention import AUDIT_DAYS, MESSAGE_DAYS, RECORD_DAYS

DAY_MS: Final = 24 * 60 * 60 * 1000
MAX_RECORD_BYTES: Final = 5 * 1024 * 1024
"""Largest record the broker takes: room for a dead letter, its headers and its original bytes."""

MAX_INBOUND_BYTES: Final = 4 * 1024 * 1024
"""Largest record on a topic that anybody may write to: whatever it holds, a dead letter can carry it on."""


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One topic as it must exist.

    Attributes:
        name: the topic's name.
        key: what the record key is, for people.
        partitions: number of partitions when it is made.
        retention_ms: how long records are kept; ignored when compacted.
        compacted: keep the latest record per key for ever.
        erasable: a record can be deleted by a tombstone with its key, within a day; records need a key.
    """

    name: str
    key: str
    partitions: int = 4
    retention_ms: int = MESSAGE_DAYS * DAY_MS
    compacted: bool = False
    erasable: bool = False
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, str]:
        """The topic-level configuration Kafka wants."""
        kept = {"cleanup.policy": "compact"}
        if not self.compacted:
            kept = {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}
        if self.erasable:
            kept |= {"cleanup.policy": "compact,delete", "max.compaction.lag.ms": str(DAY_MS)}
        return {**kept, "max.message.bytes": str(MAX_RECORD_BYTES), **self.extra}


# Kept uncompressed, so that the broker measures what a record really holds: a few compressed kilobytes can be hundreds
# of megabytes for whoever reads them.
_INBOUND: Final = {"max.message.bytes": str(MAX_INBOUND_BYTES), "compression.type": "uncompressed"}

LEADS: Final = "incoming-leads.sdr.leads"
MESSAGES: Final = "agent_messages"
DEFINITIONS: Final = "agent_definitions"
DECISIONS: Final = "agent_decisions"
ESCALATIONS: Final = "agent_escalations"
ERRORS: Final = "agent_errors"
WORKFLOW_STATE: Final = "workflow_state"
AUDIT: Final = "agent_audit"
CONTROLS: Final = "controls"
CATALOGS: Final = "agent_catalogs"
SHADOW_DECISIONS: Final = "agent_shadow_decisions"

ALL: Final[tuple[Topic, ...]] = (
    Topic(name=LEADS, key="document key", erasable=True, extra=_INBOUND),
    Topic(name=MESSAGES, key="workflow id", extra=_INBOUND),
    # One partition: agents and the manifest that names them must be read in the order in which they were applied.
    Topic(name=DEFINITIONS, key="agent name", partitions=1, compacted=True, extra=_INBOUND),
    Topic(name=DECISIONS, key="message id", retention_ms=RECORD_DAYS * DAY_MS),
    Topic(name=ESCALATIONS, key="workflow id", retention_ms=RECORD_DAYS * DAY_MS),
    Topic(name=ERRORS, key="workflow id", retention_ms=RECORD_DAYS * DAY_MS),
    Topic(name=WORKFLOW_STATE, key="workflow id", compacted=True),
    Topic(name=AUDIT, key="subject", retention_ms=AUDIT_DAYS * DAY_MS),
    # One partition: whoever follows it compares offsets to tell a newer word from an older one.
    Topic(name=CONTROLS, key="control", partitions=1, compacted=True),
    Topic(name=CATALOGS, key="catalog version", partitions=1, compacted=True),
    Topic(name=SHADOW_DECISIONS, key="message id", retention_ms=30 * DAY_MS),
)

READERS: Final = "pointsman.reader."
"""How the groups begin of those who only follow topics; each has a group of its own and commits nothing."""

AGENT_NAME_PATTERN: Final = r"[a-z][a-z0-9_]{0,62}"
VERSION_PATTERN: Final = r"[0-9A-Za-z.+-]{1,60}"
INBOX_PATTERN: Final = rf"agents\.{AGENT_NAME_PATTERN}(\.v[0-9A-Za-z._-]{{1,60}})?\.inbox"
"""Every inbox, those of single versions among them."""
_INBOX: Final = re.compile(rf"agents\.({AGENT_NAME_PATTERN})(?:\.v[0-9A-Za-z._-]{{1,60}})?\.inbox")


def group(agent: str, version: str | None = None) -> str:
    """Consumer group of the agent called `agent`, or of one version of it beside the others."""
    # Kafka allows no plus sign, which a semantic version may hold.
    return f"agents.{agent}.v{version.replace('+', '_')}" if version else f"agents.{agent}"


def inbox(agent: str, version: str | None = None) -> str:
    """Name of the topic that the agent called `agent` reads, or one version of it beside the others."""
    return f"{group(agent, version)}.inbox"


def inbox_topic(agent: str, partitions: int = 4, version: str | None = None) -> Topic:
    """The inbox of `agent` as it must exist."""
    return Topic(name=inbox(agent, version), key="workflow id", partitions=partitions)


def agent_of(topic: str) -> str | None:
    """The agent whose inbox `topic` is, or None."""
    match = _INBOX.fullmatch(topic)
    return match.group(1) if match else None
