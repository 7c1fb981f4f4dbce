"""Active outreach: one personal mail to a lead that is ready to talk, resting on facts of its profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from agents.sdr.campaigns import drafted
from agents.sdr.declared import declared
from agents.sdr.drafts import Draft, DraftSettings, write_draft
from pointsman.envelope import Envelope
from pointsman.runtime import AgentContext, Reply
from pointsman.runtime.asking import check_instructions
from pointsman.store import Document


class OutreachSettings(DraftSettings):
    """What `agent_definitions/active_outreach.yaml` sets."""


def build(context: AgentContext) -> ActiveOutreach:
    """The agent, as its definition declares it."""
    check_instructions(context.definition)
    return ActiveOutreach(context=context, settings=declared(OutreachSettings, context.definition))


@dataclass(frozen=True, kw_only=True)
class ActiveOutreach:
    """Answers `lead.scored` with `campaign.drafted`: always the same draft for the same lead."""

    context: AgentContext
    settings: OutreachSettings

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Draft the mail to the lead in `message`; a lead that already has its draft gets no second one.

        Raises:
            TransientError: the model or the store did not answer.
            ModelAnswerError: what the model wrote may not be sent.
        """
        lead_id = str(message.payload["lead_id"])
        campaign_id = f"{lead_id}:outreach"
        campaign = await self.context.store.get("campaigns", campaign_id)
        if campaign is None:
            draft = await write_draft(
                self.context, self.settings, message.payload, event_type=message.event_type, more={}
            )
            campaign = await self.context.store.insert_once("campaigns", self._document(campaign_id, message, draft))
        return [Reply(event_type="campaign.drafted", payload=drafted(campaign, step=1))]

    def _document(self, campaign_id: str, message: Envelope, draft: Draft) -> Document:
        return {
            "_id": campaign_id,
            "lead_id": message.payload["lead_id"],
            "kind": "outreach",
            "state": "finished",
            "message_id": message.id,
            "score": message.payload["score"],
            "steps": [{"step": 1, "state": "emitted", **asdict(draft)}],
            "started_at": self.context.now(),
        }
