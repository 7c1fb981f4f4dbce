"""What waits for a person, what nobody knows of an effect, and the kill switch."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body
from fastapi.concurrency import run_in_threadpool

from pointsman.audit import Action, AuditEntry
from pointsman.console.desk import Desk
from pointsman.console.sessions import Operator, TheDesk, Viewer
from pointsman.console.view import key_of
from pointsman.console.waiting import Waiting
from pointsman.controls import EffectsControl
from pointsman.envelope import Record, payload_of, to_rfc3339
from pointsman.errors import InvalidEnvelopeError
from pointsman.escalations import PREFIX
from pointsman.masking import masked, masked_line
from pointsman.runtime.ledger import EFFECTS, EffectLedger, EffectState
from pointsman.shredding.values import shown_to_people
from pointsman.store import Document
from pointsman.workflow_control import header

router = APIRouter(prefix="/api", include_in_schema=False)

_MOST_SHOWN: Final = 200

Reason = Annotated[str, Body(max_length=300)]


@router.get("/waiting")
async def waiting(desk: TheDesk, session: Viewer) -> dict[str, Any]:
    """Everything that a person is to decide, the oldest first."""
    unmask = session.is_unlocked(desk.now())
    messages = desk.view.waiting()
    unknown = {"state": EffectState.UNKNOWN.value}
    effects = await desk.store.find(EFFECTS, unknown, sort="reserved_at", limit=_MOST_SHOWN)
    shown = await run_in_threadpool(lambda: [_message(desk, one, unmask=unmask) for one in messages[:_MOST_SHOWN]])
    return {
        "messages": shown,
        "left_out": max(0, len(messages) - _MOST_SHOWN),
        "effects": [_effect(one, unmask=unmask) for one in effects],
        "agents": sorted(desk.view.catalog.definitions),
        "is_unlocked": unmask,
    }


@router.post("/effects/{effect_id}/resolve", status_code=202)
async def resolve(
    effect_id: str, desk: TheDesk, session: Operator, verdict: Annotated[Literal["sent", "rejected"], Body(embed=True)]
) -> dict[str, str]:
    """Say what became of an effect that nobody could know about; it is not carried out again either way."""
    ledger = EffectLedger(desk.store, now=desk.now, owner=f"operator.{session.name}")
    if verdict == "sent":
        effect = await ledger.resolve(effect_id, EffectState.SENT, session.name)
    else:
        effect = await ledger.resolve(effect_id, EffectState.REJECTED, session.name)
    entry = AuditEntry(
        action=Action.EFFECT_RESOLVED, subject=effect.id, by=session.name, at=desk.now(), details={"as": verdict}
    )
    await _publish(desk, [entry.to_record()])
    return {"state": effect.state.value}


@router.post("/effects/switch", status_code=202)
async def switch(
    desk: TheDesk, session: Operator, is_allowed: Annotated[bool, Body()], reason: Reason = ""
) -> dict[str, bool]:
    """Stop all effects, or let them begin again."""
    control = EffectsControl(is_allowed=is_allowed, by=session.name, at=desk.now(), reason=reason)
    await _publish(desk, control.records())
    return {"is_allowed": is_allowed}


async def _publish(desk: Desk, records: list[Record]) -> None:
    # An id of its own: nobody can fence out whoever stops effects, and the latest word counts.
    await run_in_threadpool(desk.topics.publish, records, f"pointsman.effects.{uuid.uuid4()}")


def _message(desk: Desk, one: Waiting, *, unmask: bool) -> dict[str, Any]:
    return {
        "message_id": one.message_id,
        "key": key_of(one.workflow_id),
        "title": desk.view.title(one.workflow_id),
        "kind": one.kind,
        "event_type": masked_line(header(one.record, "ce_type")),
        "from": masked_line(header(one.record, "ce_source")),
        "reason_code": one.reason_code,
        "reason": masked_line(one.reason),
        "at": header(one.record, f"{PREFIX}at"),
        "candidates": one.candidates,
        "proposed": one.proposed or None,
        "payload": _payload(one.record, unmask=unmask),
    }


def _payload(record: Record, *, unmask: bool) -> Any:
    try:
        payload = payload_of(shown_to_people(record))
    except InvalidEnvelopeError:
        return None
    return payload if unmask else masked(payload)


def _effect(document: Document, *, unmask: bool) -> dict[str, Any]:
    facts = dict(document["facts"])
    return {
        "effect_id": document["_id"],
        "at": to_rfc3339(document.get("finished_at") or document["reserved_at"]),
        "message_id": str(facts.get("message_id") or ""),
        "facts": facts if unmask else masked(facts),
    }
