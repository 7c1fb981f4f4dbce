"""Dead letters: a record that no retry can save, kept as it came, with why and where it failed.

The router and the agents build them here alike, so that whoever reads `agent_errors` meets one shape.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from pointsman.envelope import Record, to_rfc3339
from pointsman.errors import ErrorReason
from pointsman.topics import ERRORS

PREFIX: Final = "x_error_"


def dead_letter(
    record: Record,
    *,
    reason: ErrorReason,
    stage: str,
    detail: str,
    attempts: int,
    first_at: datetime,
    now: datetime,
    catalog: str | None,
) -> Record:
    """`record` on its way to `agent_errors`: original key, bytes and headers, and `x_error_*` headers beside them.

    Args:
        record: the record as it was read; its topic, partition and offset are what the dead letter points back to.
        reason: the typed reason.
        stage: who gave up: `router`, `agent/<name>`, `leads`.
        detail: one sentence for a person; no payload, no address, no secret.
        attempts: how often it was tried, from 1.
        first_at: when it was tried first.
        now: when it was given up.
        catalog: version of the agent catalog in use; None when none was.
    """
    texts = {
        "reason": reason.value,
        "stage": stage,
        "message": detail,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "attempts": str(attempts),
        "first_at": to_rfc3339(first_at),
        "at": to_rfc3339(now),
        "catalog": catalog or "",
    }
    why = {f"{PREFIX}{name}": text.encode(errors="replace") for name, text in texts.items()}
    return replace(record, topic=ERRORS, headers={**record.headers, **why}, partition=-1, offset=-1, timestamp_ms=0)
