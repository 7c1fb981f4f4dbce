"""Records of messages and of the router's decisions on them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.envelope import Envelope, Record, to_rfc3339
from pointsman.escalations import PREFIX
from pointsman.topics import DECISIONS, ESCALATIONS, MESSAGES

START = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def message(workflow: str, number: int, event_type: str, payload: dict[str, Any] | None = None) -> Record:
    envelope = Envelope(
        id=f"{workflow}-{number}",
        source="/agents/lead_scoring",
        event_type=event_type,
        workflow_id=workflow,
        payload=payload or {},
        time=START + timedelta(seconds=number),
    )
    record = envelope.to_record(MESSAGES)
    return Record(
        topic=MESSAGES, key=record.key, value=record.value, headers=record.headers, partition=1, offset=number
    )


def decision(workflow: str, number: int, event_type: str, /, **told: Any) -> Record:
    value = {
        "message_id": f"{workflow}-{number}",
        "workflow_id": workflow,
        "event_type": event_type,
        "source": "/agents/lead_scoring",
        "partition": 1,
        "offset": number,
        "decided_at": to_rfc3339(START + timedelta(seconds=number, milliseconds=200)),
        "outcome": "routed",
        "how": "model",
        "agent": "active_outreach",
        "reason": "It asks for a demo.",
        "candidates": [{"agent": "active_outreach", "version": "1.0.0", "fits": True, "why": "keeps its contract"}],
        "model_call": {"model": "m"},
        "catalog_sequence": 3,
        **told,
    }
    return Record(topic=DECISIONS, key=b"k", value=json.dumps(value).encode(), headers={}, partition=0, offset=number)


def escalated(workflow: str, number: int = 1, *, code: str = "none_fits", candidates: str = "greeter") -> Record:
    original = message(workflow, number, "hello.said", {"text": "mara@nordhafen.example", "company": "Nordhafen"})
    why = {"reason": code, "message": "nobody fits", "candidates": candidates, "proposed": "greeter"}
    headers = {f"{PREFIX}{name}": text.encode() for name, text in why.items()}
    return replace(original, topic=ESCALATIONS, headers={**original.headers, **headers})
