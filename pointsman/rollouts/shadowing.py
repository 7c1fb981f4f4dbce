"""What is written about a message on which the candidate decided beside the one that acts. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pointsman.envelope import Envelope, Record, derived_id, to_rfc3339
from pointsman.routing.decision import Decision
from pointsman.topics import SHADOW_DECISIONS


@dataclass(frozen=True, kw_only=True)
class ShadowDecision:
    """A decision that nobody acts on.

    Attributes:
        release: the candidate, as `Rollout.release` calls it.
        message: the message.
        record: as it was read.
        live: the decision that was acted on.
        shadow: what the candidate decided.
        inputs: what that was made from beside message and catalog.
        skipped: messages that the candidate did not look at since the last one, because it was busy.
        at: when it was made, UTC.
    """

    release: str
    message: Envelope
    record: Record
    live: Decision
    shadow: Decision
    inputs: Mapping[str, Any]
    skipped: int
    at: datetime

    def to_record(self) -> Record:
        """This decision for `agent_shadow_decisions`: as in the decision log, with the live one beside it."""
        message, live = self.message, self.live
        entry = {
            "message_id": message.id,
            "workflow_id": message.workflow_id,
            "event_type": message.event_type,
            "source": message.source,
            "topic": self.record.topic,
            "partition": self.record.partition,
            "offset": self.record.offset,
            "release": self.release,
            "skipped": self.skipped,
            "live": {name: getattr(live, name) for name in ("outcome", "agent", "how", "reason_code", "catalog")},
            "decided_at": to_rfc3339(self.at),
            "inputs": dict(self.inputs),
            **self.shadow.to_json(),
        }
        headers = {
            "ce_specversion": "1.0",
            "ce_id": derived_id(message.id, message.source, "shadow", self.release, str(message.attempt)),
            "ce_source": "/router",
            "ce_type": "routing.shadowed",
            "ce_time": to_rfc3339(self.at),
            "content-type": "application/json",
            "ce_causationid": message.id,
        }
        value = json.dumps(entry, ensure_ascii=False, separators=(",", ":"), default=str)
        return Record(
            topic=SHADOW_DECISIONS,
            key=message.id.encode(errors="replace"),
            value=value.encode(errors="replace"),
            headers={name: text.encode(errors="replace") for name, text in headers.items()},
        )
