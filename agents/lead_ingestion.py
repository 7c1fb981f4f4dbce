"""Lead ingestion: checks a new lead, recognises the person, gathers facts and has the model write a profile from them.

The mail address ends here: it is kept in MongoDB with the profile, and no message after `lead.received` carries it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from agents.sdr.declared import DeclaredSettings, declared
from agents.sdr.facts import Fact, LeadForm, account_facts, form_facts, read_form, website_facts
from agents.sdr.indexes import Indexes
from pointsman.envelope import Envelope, Payload
from pointsman.fetch import SafeFetcher
from pointsman.people import Address, AddressError, read_address
from pointsman.plaintext import one_line, without_addresses
from pointsman.runtime import AgentContext, Reply
from pointsman.runtime.asking import check_instructions, question
from pointsman.store import Document


class IngestionSettings(DeclaredSettings):
    """What `agent_definitions/lead_ingestion.yaml` sets."""

    website_timeout_s: float = Field(default=5, gt=0, le=30)
    website_max_bytes: int = Field(default=2_000_000, ge=1, le=20_000_000)
    website_max_redirects: int = Field(default=3, ge=0, le=10)
    website_also_allow: list[str] = Field(default_factory=list)
    require_consent: bool = False
    free_mail_domains: list[str] = Field(default_factory=list)
    industries: list[str] = Field(min_length=1)


def build(context: AgentContext) -> LeadIngestion:
    """The agent, as its definition declares it."""
    check_instructions(context.definition)
    settings = declared(IngestionSettings, context.definition)
    fetcher = SafeFetcher(
        timeout_s=settings.website_timeout_s,
        max_bytes=settings.website_max_bytes,
        max_redirects=settings.website_max_redirects,
        also_allow=tuple(settings.website_also_allow),
    )
    indexes = Indexes(context.store, {"profiles": ["email_domain"]})
    return LeadIngestion(context=context, settings=settings, fetcher=fetcher, indexes=indexes)


@dataclass(frozen=True, kw_only=True)
class LeadIngestion:
    """Answers `lead.received` with `lead.profiled`, `lead.merged` or `lead.rejected`."""

    context: AgentContext
    settings: IngestionSettings
    fetcher: SafeFetcher
    indexes: Indexes

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Profile the lead in `message`.

        Raises:
            TransientError: the model or the store did not answer.
            ModelAnswerError: the model's profile is of no use.
        """
        await self.indexes.ensure()
        lead_id = message.workflow_id
        form = read_form(message.payload)
        if self._is_refused(form):
            return [_rejected(lead_id, "consent_refused", "the lead does not agree to be written to")]
        if not form.email:
            return [_rejected(lead_id, "no_address", "the lead has no mail address")]
        try:
            address = read_address(form.email)
        except AddressError as error:
            return [_rejected(lead_id, "invalid_address", str(error))]
        owner = await self._owner(address, lead_id)
        if owner != lead_id:
            return [Reply(event_type="lead.merged", payload={"lead_id": lead_id, "into": owner})]
        return [Reply(event_type="lead.profiled", payload=await self._profiled(message, form, address))]

    def _is_refused(self, form: LeadForm) -> bool:
        return form.consent is False or (form.consent is None and self.settings.require_consent)

    async def _owner(self, address: Address, lead_id: str) -> str:
        """The lead that stands for the person at `address`: the first one that came."""
        claim: Document = {"_id": address.person, "lead_id": lead_id, "since": self.context.now()}
        return str((await self.context.store.insert_once("people", claim))["lead_id"])

    async def _profiled(self, message: Envelope, form: LeadForm, address: Address) -> Payload:
        known = await self.context.store.get("profiles", message.workflow_id)
        if known and known["message_id"] == message.id:
            return dict(known["profile"])
        facts = await self._facts(message.workflow_id, form, address)
        profile = _profile(message.workflow_id, form, address, facts, await self._judgement(facts, message.event_type))
        await self.context.store.put("profiles", self._document(message, form, address, profile))
        return profile

    async def _facts(self, lead_id: str, form: LeadForm, address: Address) -> list[Fact]:
        own_domain = "" if address.domain in self.settings.free_mail_domains else address.domain
        facts = form_facts(form, address)
        facts += await website_facts(self.fetcher, form.website or own_domain)
        if own_domain:
            facts += await account_facts(self.context.store, own_domain, lead_id)
        return [{"fact": without_addresses(fact["fact"]), "source": fact["source"]} for fact in facts]

    async def _judgement(self, facts: list[Fact], event_type: str) -> dict[str, Any]:
        answer = await self.context.model.complete(
            question(
                self.context.definition,
                event_type,
                user=json.dumps({"facts": facts}, ensure_ascii=False),
                schema=_profile_schema(self.settings.industries),
                name="lead_profile",
            )
        )
        return answer.content

    def _document(self, message: Envelope, form: LeadForm, address: Address, profile: Payload) -> Document:
        return {
            "_id": message.workflow_id,
            "message_id": message.id,
            "email": address.mailbox,
            "email_domain": address.domain,
            "person": address.person,
            "first_name": form.first_name,
            "last_name": form.last_name,
            "consent": form.consent,
            "profile": profile,
            "profiled_at": self.context.now(),
        }


def _rejected(lead_id: str, code: str, reason: str) -> Reply:
    return Reply(event_type="lead.rejected", payload={"lead_id": lead_id, "reason_code": code, "reason": reason})


def _profile_schema(industries: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "summary": {"type": "string", "description": "Two or three sentences: who, what company, what they want."},
            "interest": {"type": "string", "description": "What the lead wants, in a few words of the facts."},
            "industry": {"type": "string", "enum": industries, "description": "The company's industry."},
        },
        "required": ["summary", "interest", "industry"],
        "additionalProperties": False,
    }


def _profile(lead_id: str, form: LeadForm, address: Address, facts: list[Fact], judgement: dict[str, Any]) -> Payload:
    optional = {
        "first_name": form.first_name,
        "title": form.title,
        "industry": "" if judgement["industry"] == "unknown" else judgement["industry"],
    }
    return {
        "lead_id": lead_id,
        "email_domain": address.domain,
        **{name: text for name, text in optional.items() if text},
        "company": form.company,
        "source": form.source or "unknown",
        "interest": without_addresses(one_line(judgement["interest"], 200)),
        "summary": without_addresses(one_line(judgement["summary"], 800)),
        "facts": facts,
    }
