"""Sends a drafted mail to the lead it was written for: once, or not at all, and never to people who want none.

Recipient, sender, headers, links and footer are this module's; the draft gives subject and body. The ledger decides
who may send; what SMTP cannot tell stays `unknown` and is never sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any, Final

import stamina
from pydantic import Field

from agents.sdr.allowance import DailyCap, is_allowed
from agents.sdr.declared import DeclaredSettings, declared
from agents.sdr.indexes import Indexes
from agents.sdr.profiles import load_profile
from agents.sdr.suppressions import is_suppressed, suppress
from pointsman.envelope import Envelope, Payload, to_rfc3339
from pointsman.errors import ConfigurationError, EffectsStoppedError, EffectUnavailableError, StoreUnavailableError
from pointsman.mail import Delivery, Mailer, Outcome, SmtpMailer
from pointsman.measured_mail import MeasuredMailer
from pointsman.people import AddressError, read_address
from pointsman.plaintext import many_lines, one_line
from pointsman.runtime import AgentContext, Reply
from pointsman.runtime.ledger import Effect, EffectLedger, EffectState, effect_id
from pointsman.store import Document
from pointsman.suppressions import SuppressionReason, suppression_key
from pointsman.unsubscribe import UnsubscribeLinks, unsubscribe_links

_LEASE_S: Final = 180.0
"""Longer than a try lasts: seven answers of the server at 15 s each, and its reply to the ledger."""


class SendingSettings(DeclaredSettings):
    """What `agent_definitions/send_email.yaml` sets."""

    footer: str = Field(min_length=1, max_length=500)
    unsubscribe_line: str = Field(min_length=1, max_length=200)


def build(context: AgentContext) -> SendEmail:
    """The agent, as its definition declares it.

    Raises:
        ConfigurationError: the sender's address is no address.
    """
    ledger = EffectLedger(
        context.store,
        now=context.now,
        owner=context.owner,
        lease_s=_LEASE_S,
    )
    return SendEmail(
        context=context,
        settings=declared(SendingSettings, context.definition),
        mailer=MeasuredMailer(SmtpMailer.of(context.settings), context.telemetry, context.definition.name),
        ledger=ledger,
        sender=_sender(context.settings.mail_from),
        indexes=Indexes(context.store, {"mail_slots": ["effect"]}),
        daily_cap=DailyCap(context.store),
    )


@dataclass(frozen=True, kw_only=True)
class SendEmail:
    """Answers `campaign.drafted` with `email.sent`, `email.suppressed` or `email.failed`."""

    context: AgentContext
    settings: SendingSettings
    mailer: Mailer
    ledger: EffectLedger
    sender: str
    indexes: Indexes
    daily_cap: DailyCap
    _links: list[UnsubscribeLinks] = field(default_factory=list, init=False, repr=False)

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Send the mail in `message` unless something stands against it.

        Raises:
            InvalidPayloadError: nobody profiled that lead, so there is no address.
            EffectUnavailableError: the mail server refuses for now, or another process is sending this mail.
            StoreUnavailableError: the store did not answer.
            EffectsStoppedError: a person has stopped all effects; nothing was begun.
            ConfigurationError: the mail server wants another login or security.
        """
        await self.indexes.ensure()
        draft = message.payload
        profile = await load_profile(self.context.store, str(draft["lead_id"]))
        effect_key = effect_id(str(draft["lead_id"]), str(draft["campaign_id"]), str(draft["step"]))
        objection = await self._objection(profile, effect_key)
        if objection:
            facts = {"message": message.id, "reason": objection}
            effect = await self.ledger.suppress(effect_key, facts)
            if effect.state == EffectState.SUPPRESSED:
                return [_answer(message, effect)]
        # All that can fail for another reason than the mail server's comes before the ledger's point of no return.
        mail = await self._mail(draft, profile, effect_key)
        self._check_effects_are_allowed()
        # A returned mail is traced to its person by the ledger (pointsman/bounce_work.py).
        recipient = await suppression_key(self.context.store, profile["person"])
        effect = await self.ledger.begin(effect_key, _facts(message, mail, recipient))
        if effect.may_send:
            effect = await self._send(effect, mail, profile)
        return [_answer(message, effect)]

    async def _objection(self, profile: Document, effect_key: str) -> str | None:
        """Why the lead of `profile` gets no mail now, if so: a reason of `email.suppressed`."""
        settings = self.context.settings
        if await is_suppressed(self.context.store, profile):
            return "unsubscribed"
        if profile.get("consent") is False:
            return "no_consent"
        if not is_allowed(profile["email"], settings.mail_allow):
            return "not_allowed"
        if settings.mail_dry_run:
            return "dry_run"
        cap, now = settings.mail_daily_cap, self.context.now()
        return None if await self.daily_cap.take(effect_key, cap=cap, now=now) else "daily_cap"

    async def _send(self, effect: Effect, mail: EmailMessage, profile: Document) -> Effect:
        try:
            self._check_effects_are_allowed()  # once more: the ledger may have taken its time
            delivery = await self.mailer.send(mail, sender=self.sender, recipient=profile["email"])
        except (EffectUnavailableError, EffectsStoppedError, ConfigurationError):
            await self.ledger.release(effect)
            raise
        effect = await self._note(effect, delivery, mail)
        if delivery.is_recipient_refused:
            await suppress(self.context.store, profile, reason=SuppressionReason.REFUSED, now=self.context.now())
        return effect

    def _check_effects_are_allowed(self) -> None:
        if not self.context.effects_allowed():
            raise EffectsStoppedError("effects are stopped: `pointsman effects start` lets them begin again")

    async def _note(self, effect: Effect, delivery: Delivery, mail: EmailMessage) -> Effect:
        """Write down how it ended; what is known now must not become `unknown` because the store hiccups."""
        # As it was sent: settings may have changed since an earlier try.
        facts = {**_as_sent(mail), "code": delivery.code, "sent_at": to_rfc3339(self.context.now())}
        async for attempt in stamina.retry_context(on=StoreUnavailableError, attempts=5, timeout=30):
            with attempt:
                if delivery.outcome == Outcome.SENT:
                    effect = await self.ledger.finish(effect, EffectState.SENT, facts)
                elif delivery.outcome == Outcome.REJECTED:
                    effect = await self.ledger.finish(effect, EffectState.REJECTED, facts)
                else:
                    effect = await self.ledger.finish(effect, EffectState.UNKNOWN, facts)
        return effect

    async def _mail(self, draft: Payload, profile: Document, effect_key: str) -> EmailMessage:
        link = (await self._unsubscribe_links()).link(await suppression_key(self.context.store, profile["person"]))
        mail = EmailMessage()
        mail["From"] = self.context.settings.mail_from
        mail["To"] = profile["email"]
        mail["Subject"] = one_line(str(draft["subject"]), 120)
        mail["Date"] = format_datetime(self.context.now())
        mail["Message-ID"] = f"<{effect_key}@{self.sender.rpartition('@')[2]}>"
        mail["List-Unsubscribe"] = f"<{link}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        footer = [self.settings.footer, self.context.settings.mail_postal_address]
        footer.append(f"{self.settings.unsubscribe_line}: {link}")
        mail.set_content("\n".join((many_lines(str(draft["body"]), 5000), "", "-- ", *footer, "")))
        return mail

    async def _unsubscribe_links(self) -> UnsubscribeLinks:
        if not self._links:
            self._links.append(await unsubscribe_links(self.context.store, self.context.settings))
        return self._links[0]


def _sender(mail_from: str) -> str:
    try:
        return read_address(parseaddr(mail_from)[1]).mailbox
    except AddressError:
        raise ConfigurationError(
            "POINTSMAN_MAIL_FROM holds no mail address", "write it as Alex Kim <alex.kim@sdr.example>"
        ) from None


def _facts(message: Envelope, mail: EmailMessage, recipient: str) -> dict[str, Any]:
    # With the Message-ID from the start: whoever must find out about an `unknown` mail looks for it.
    draft = message.payload
    return {
        "message": message.id,
        **_as_sent(mail),
        "recipient": recipient,
        "lead_id": str(draft["lead_id"]),
        "campaign_id": str(draft["campaign_id"]),
        "step": int(draft["step"]),
        **({"citations": draft["citations"]} if draft.get("citations") else {}),
    }


def _as_sent(mail: EmailMessage) -> dict[str, Any]:
    """What is kept of a mail, so that a person can read later what a lead was sent."""
    content = {name: str(mail[name]) for name in ("From", "To", "Subject")}
    return {"message_id": str(mail["Message-ID"]), "content": {**content, "Text": mail.get_content()}}


def _answer(message: Envelope, effect: Effect) -> Reply:
    """What `message` gets for the state its mail is in; the same each time it is delivered."""
    draft, facts = message.payload, effect.facts
    about: Payload = {name: draft[name] for name in ("lead_id", "campaign_id", "step")}
    if effect.state == EffectState.SENT and facts.get("message") == message.id:
        sent = {"message_id": facts["message_id"], "sent_at": facts["sent_at"]}
        return Reply(event_type="email.sent", payload={**about, **sent})
    if effect.state == EffectState.SENT:
        return Reply(event_type="email.suppressed", payload={**about, "reason": "already_sent"})
    if effect.state == EffectState.SUPPRESSED:
        return Reply(event_type="email.suppressed", payload={**about, "reason": facts["reason"]})
    reason = "rejected" if effect.state == EffectState.REJECTED else "unknown"
    return Reply(event_type="email.failed", payload={**about, "reason": reason})
