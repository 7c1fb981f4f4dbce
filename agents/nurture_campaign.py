"""Nurture campaign: a series of mails over weeks to a lead that is not ready, and what the lead wishes about them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import Field, field_validator

from agents.sdr import series
from agents.sdr.campaigns import drafted
from agents.sdr.declared import declared
from agents.sdr.drafts import DraftSettings, write_draft
from agents.sdr.indexes import Indexes
from agents.sdr.profiles import load_profile
from agents.sdr.suppressions import is_suppressed, suppress
from pointsman.envelope import Envelope, Payload, derived_id, to_rfc3339
from pointsman.errors import ModelAnswerError, ModelRefusedError, StoreUnavailableError, TransientError
from pointsman.plaintext import one_line, without_addresses
from pointsman.runtime import AgentContext, Reply
from pointsman.runtime.asking import check_instructions, question
from pointsman.runtime.metering import measured
from pointsman.store import Document
from pointsman.suppressions import SuppressionReason
from pointsman.telemetry.context import trace_headers

_LEASE_S: Final = 60.0
"""Seconds that a due step belongs to the instance that took it; longer than a draft lasts.

An instance that comes back takes up its own at once; another one waits for their end.
"""

_AT_ONCE: Final = 20
_MOST_TRIES: Final = 5
_WISH_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "action": {
            "type": "string",
            "enum": ["stop", "pause", "continue"],
            "description": "stop: no more e-mails, unsubscribe. pause: not now, ask later. continue: all else.",
        },
        "reason": {"type": "string", "description": "One short sentence that rests on the note."},
    },
    "required": ["action", "reason"],
    "additionalProperties": False,
}


class NurtureSettings(DraftSettings):
    """What `agent_definitions/nurture_campaign.yaml` sets."""

    pause_days: float = Field(default=60, gt=0, le=730)
    sequences: list[series.Series] = Field(min_length=1, max_length=50)

    @field_validator("sequences")
    @classmethod
    def _last_is_for_everybody(cls, sequences: list[series.Series]) -> list[series.Series]:
        if not sequences[-1].is_for_everybody:
            message = "the last sequence names no sources and no interests: it is for everybody else"
            raise ValueError(message)
        return sequences


def build(context: AgentContext) -> NurtureCampaign:
    """The agent, as its definition declares it."""
    check_instructions(context.definition)
    indexes = Indexes(context.store, {"campaigns": ["state", "next_due_at"]})
    return NurtureCampaign(context=context, settings=declared(NurtureSettings, context.definition), indexes=indexes)


@dataclass(frozen=True, kw_only=True)
class NurtureCampaign:
    """Answers `lead.scored` with the first mail of a series, and wishes about the mails with what they changed.

    Later mails of a series leave by the clock; see `pointsman.runtime.agent.Scheduled`.
    """

    context: AgentContext
    settings: NurtureSettings
    indexes: Indexes
    has_taken_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Begin a series, or hear what a note says about the running one.

        Raises:
            InvalidPayloadError: the note is on a lead that nobody profiled.
            TransientError: the model or the store did not answer.
            ModelAnswerError: what the model wrote is of no use.
        """
        await self.indexes.ensure()
        if message.event_type == "lead.activity_noted":
            return [await self._heed(message)]
        return [await self._begin(message)]

    async def due(self, now: datetime) -> Sequence[Envelope]:
        """The mails that are due at `now`, and the end of series that must not go on."""
        await self.indexes.ensure()
        await self._take_up(now)
        criteria = {"state": "running", "next_due_at": {"$lte": now}}
        campaigns = await self.context.store.find("campaigns", criteria, sort="next_due_at", limit=_AT_ONCE)
        found = await asyncio.gather(*(self._measured(campaign, now) for campaign in campaigns))
        return [message for message in found if message is not None]

    async def emitted(self, message: Envelope) -> None:
        """Note that `message`, one that `due` gave, has left."""
        if message.event_type != "campaign.drafted":
            return
        campaign = await self.context.store.get("campaigns", str(message.payload["campaign_id"]))
        if campaign and campaign["state"] == "running":
            changes = series.left(campaign, message.payload["step"])
            await self._change(campaign, changes)

    async def _take_up(self, now: datetime) -> None:
        """What this instance had taken when its process ended is due again; looked for once per process."""
        if self.has_taken_up.is_set():
            return
        criteria = {"state": "running", "taken_by": self.context.owner, "next_due_at": {"$gt": now}}
        for campaign in await self.context.store.find("campaigns", criteria):
            await self._change(campaign, {"next_due_at": now})
        self.has_taken_up.set()

    async def _begin(self, message: Envelope) -> Reply:
        scored = message.payload
        lead_id = str(scored["lead_id"])
        campaign = await self.context.store.get("campaigns", f"{lead_id}:nurture")
        if campaign is None:
            campaign = await self.context.store.insert_once("campaigns", await self._campaign(message))
        if campaign["message_id"] != message.id:
            emitted = sum(step["state"] == "emitted" for step in campaign["steps"])
            reason = f"the series is {campaign['state']}: {emitted} of {len(campaign['steps'])} mails have left"
            return _changed("campaign.unchanged", lead_id, campaign, reason)
        return Reply(event_type="campaign.drafted", payload=drafted(campaign, step=1))

    async def _campaign(self, message: Envelope) -> Document:
        scored, now = message.payload, self.context.now()
        chosen = series.choose(self.settings.sequences, scored["profile"])
        steps = series.begin(chosen, now=now, day_s=self.context.settings.nurture_day_s)
        campaign: Document = {
            "_id": f"{scored['lead_id']}:nurture",
            "lead_id": scored["lead_id"],
            "kind": "nurture",
            "sequence": chosen.name,
            "state": "running",
            "message_id": message.id,
            "workflow_id": message.workflow_id,
            "hop": message.hop,
            "trace": {name: octets.decode("ascii", "replace") for name, octets in trace_headers(message.extra).items()},
            "score": scored["score"],
            "next_step": scored["next_step"],
            "scored": scored,
            "steps": steps,
            "tries": 0,
            "started_at": now,
        }
        campaign["steps"] = series.with_text(campaign, 1, await self._text(campaign, steps[0]))
        return {**campaign, **series.left(campaign, 1)}

    async def _text(self, campaign: Document, step: Document) -> Document:
        email = {"number": step["step"], "of": len(campaign["steps"]), "angle": step["angle"]}
        draft = await write_draft(
            self.context, self.settings, campaign["scored"], event_type="lead.scored", more={"email": email}
        )
        return asdict(draft)

    async def _heed(self, message: Envelope) -> Reply:
        lead_id = str(message.payload["lead_id"])
        profile = await load_profile(self.context.store, lead_id)
        campaign = await self.context.store.get("campaigns", f"{lead_id}:nurture")
        wish = await self._wish(str(message.payload["text"]), campaign)
        reason = without_addresses(one_line(wish["reason"], 300))
        if wish["action"] == "stop":
            await suppress(self.context.store, profile, reason=SuppressionReason.ASKED, now=self.context.now())
            if campaign and campaign["state"] == "running":
                await self._change(campaign, series.stopped(reason))
            return _changed("campaign.stopped", lead_id, campaign, reason)
        if campaign is None or campaign["state"] != "running":
            return _changed("campaign.unchanged", lead_id, campaign, f"no series is running: {reason}"[:300])
        if wish["action"] == "continue":
            return _changed("campaign.unchanged", lead_id, campaign, reason)
        return await self._pause(message, campaign, reason)

    async def _wish(self, note: str, campaign: Document | None) -> dict[str, Any]:
        steps = campaign["steps"] if campaign else []
        gone = sum(step["state"] == "emitted" for step in steps)
        data = {
            "note": without_addresses(one_line(note, 4000)),
            "series": {"state": campaign["state"] if campaign else "none", "sent": gone, "to_come": len(steps) - gone},
        }
        answer = await self.context.model.complete(
            question(
                self.context.definition,
                "lead.activity_noted",
                user=json.dumps(data, ensure_ascii=False),
                schema=_WISH_SCHEMA,
                name="wish",
            )
        )
        return answer.content

    async def _pause(self, message: Envelope, campaign: Document, reason: str) -> Reply:
        # From the note's own time: a redelivery must not push the series further away.
        until = message.time + timedelta(seconds=self.settings.pause_days * self.context.settings.nurture_day_s)
        if await self._change(campaign, series.paused(campaign, until)) is None:
            raise StoreUnavailableError("a mail of the series fell due at the same moment")
        return _changed("campaign.stopped", str(campaign["lead_id"]), campaign, reason, resumes_at=to_rfc3339(until))

    async def _measured(self, campaign: Document, now: datetime) -> Envelope | None:
        with measured() as meter:
            message = await self._due(campaign, now)
        return replace(message, usage=meter.used) if message else None

    async def _due(self, found: Document, now: datetime) -> Envelope | None:
        """The message that `found` owes at `now`; None when another instance took it, or its draft has to wait."""
        lease = {"next_due_at": now + timedelta(seconds=_LEASE_S), "taken_by": self.context.owner}
        expected = {"state": "running", "next_due_at": found["next_due_at"]}
        campaign = await self.context.store.update_if("campaigns", found["_id"], expected, lease)
        step = series.next_step(campaign) if campaign else None
        if campaign is None or step is None:
            return None
        objection = await self._objection(campaign)
        if objection:
            await self._change(campaign, series.stopped(objection))
            reply = _changed("campaign.stopped", str(campaign["lead_id"]), campaign, objection)
            return self._message(campaign, reply.event_type, reply.payload, now, part="stopped")
        if step["state"] == "waiting":
            campaign = await self._written(campaign, step, now)
        if campaign is None:
            return None
        payload = drafted(campaign, step=step["step"])
        return self._message(campaign, "campaign.drafted", payload, now, part=str(step["step"]))

    async def _objection(self, campaign: Document) -> str | None:
        """Why no further mail of a series may leave, if so."""
        if campaign["tries"] >= _MOST_TRIES:
            return "the model wrote no draft that may be sent"
        profile = await self.context.store.get("profiles", str(campaign["lead_id"]))
        if profile is None:
            return "the lead's profile is gone"
        if await is_suppressed(self.context.store, profile):
            return "the lead gets no more mail"
        scores = await self.context.store.get("scores", str(campaign["lead_id"]))
        latest = scores["next_step"] if scores else campaign["next_step"]
        if latest == "disqualify":
            return "the lead was disqualified"
        if latest == "engage" and campaign["next_step"] != "engage":
            return "the lead is ready to talk: a person or the outreach takes over"
        return None

    async def _written(self, campaign: Document, step: Document, now: datetime) -> Document | None:
        """The campaign with the text of `step`; None, and another try later, when there is none."""
        try:
            steps = series.with_text(campaign, step["step"], await self._text(campaign, step))
        except TransientError:
            await self._change(campaign, {"next_due_at": now + timedelta(seconds=_LEASE_S)})
            return None
        except ModelAnswerError:
            tries = campaign["tries"] + 1
            await self._change(campaign, {"tries": tries, "next_due_at": now + timedelta(seconds=_LEASE_S * tries)})
            return None
        except ModelRefusedError:
            # It would decline again: the series ends, and says so, when it is looked at next.
            await self._change(campaign, {"tries": _MOST_TRIES, "next_due_at": now})
            return None
        return await self._change(campaign, {"steps": steps, "tries": 0, "taken_by": self.context.owner})

    async def _change(self, campaign: Document, changes: series.Changes) -> Document | None:
        """Apply `changes`, which end a lease, unless somebody stopped or moved the series meanwhile."""
        expected = {"state": campaign["state"], "next_due_at": campaign["next_due_at"]}
        return await self.context.store.update_if("campaigns", campaign["_id"], expected, {"taken_by": None, **changes})

    def _message(self, campaign: Document, event_type: str, payload: Payload, now: datetime, *, part: str) -> Envelope:
        definition = self.context.definition
        return Envelope(
            id=derived_id(campaign["_id"], campaign["message_id"], part),
            source=f"/agents/{definition.name}",
            event_type=event_type,
            workflow_id=campaign["workflow_id"],
            payload=payload,
            time=now,
            subject=f"lead/{campaign['lead_id']}",
            causation_id=campaign["message_id"],
            hop=campaign["hop"],
            # A series that began before traces were kept has none.
            extra={name: text.encode() for name, text in campaign.get("trace", {}).items()},
            agent_version=definition.version,
        )


def _changed(
    event_type: str, lead_id: str, campaign: Document | None, reason: str, *, resumes_at: str | None = None
) -> Reply:
    payload: Payload = {"lead_id": lead_id, "reason": reason}
    if campaign:
        payload["campaign_id"] = campaign["_id"]
    if resumes_at:
        payload["resumes_at"] = resumes_at
    return Reply(event_type=event_type, payload=payload)
