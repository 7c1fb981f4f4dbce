"""Escalations: a message that waits for a person, as it came, with why.

The router and the agents build them here alike, so that whoever reads `agent_escalations` meets one shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pointsman.envelope import Record, to_rfc3339
from pointsman.topics import ESCALATIONS

PREFIX: Final = "x_escalation_"
"""How the headers begin that say why a person is asked."""


def escalation(
    record: Record, *, reason: str, detail: str, stage: str, now: datetime, catalog: str, more: Mapping[str, str]
) -> Record:
    """`record` on its way to `agent_escalations`: original key, bytes and headers, and `x_escalation_*` beside them.

    Args:
        record: the record as it was read.
        reason: why, for programs.
        detail: one sentence for a person; no payload, no address, no secret.
        stage: who asks: `router` or `agent/<name>`.
        now: when.
        catalog: version of the agent catalog in use.
        more: what else the person should know, by the name of its header without the prefix.
    """
    texts = {
        "reason": reason,
        "message": detail,
        "stage": stage,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "at": to_rfc3339(now),
        "catalog": catalog,
        **more,
    }
    why = {f"{PREFIX}{name}": text.encode(errors="replace") for name, text in texts.items()}
    return Record(topic=ESCALATIONS, key=record.key, value=record.value, headers={**record.headers, **why})
