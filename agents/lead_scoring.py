"""Lead scoring: how well a lead fits and how ready it is to buy, by declared rules and by the model, both on record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from agents.sdr.declared import DeclaredSettings, declared
from agents.sdr.profiles import add_note, profile_of
from agents.sdr.rules import Points, Rule, RuleScore, count
from pointsman.envelope import Envelope, Payload
from pointsman.knowledge import Passage
from pointsman.plaintext import one_line, without_addresses
from pointsman.runtime import AgentContext, Reply
from pointsman.runtime.asking import check_instructions, question
from pointsman.runtime.grounding import as_data, citations, passages_for, used_property

NextStep = Literal["engage", "nurture", "disqualify"]

_SCORE: Final = {"type": "integer", "minimum": 0, "maximum": 100}
_JUDGEMENT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "fit": {**_SCORE, "description": "How well company and role match what we sell."},
        "intent": {**_SCORE, "description": "How soon they want something like it."},
        "next_step": {"type": "string", "enum": ["engage", "nurture", "disqualify"]},
        "reasons": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": 4,
            "description": "Short sentences, each resting on one fact.",
        },
        "talking_points": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": 3,
            "description": "What a first e-mail could speak about, each resting on one fact.",
        },
    },
    "required": ["fit", "intent", "next_step", "reasons", "talking_points"],
    "additionalProperties": False,
}


class ScoringSettings(DeclaredSettings):
    """What `agent_definitions/lead_scoring.yaml` sets."""

    model_share: float = Field(ge=0, le=1)
    fit_share: float = Field(ge=0, le=1)
    engage_from: int = Field(ge=0, le=100)
    nurture_below: int = Field(ge=0, le=100)
    disqualify_below: int = Field(ge=0, le=100)
    model_disqualifies_below: int = Field(ge=0, le=100)
    base: Points
    competitor_domains: list[str] = Field(default_factory=list)
    free_mail_domains: list[str] = Field(default_factory=list)
    free_mail_fit: int = Field(default=0, ge=-100, le=100)
    rules: list[Rule] = Field(default_factory=list, max_length=100)

    @model_validator(mode="after")
    def _bounds_rise(self) -> ScoringSettings:
        if not self.disqualify_below <= self.nurture_below <= self.engage_from:
            message = "disqualify_below, nurture_below and engage_from must not fall in this order"
            raise ValueError(message)
        return self


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A lead's score and what follows from it.

    Attributes:
        fit: 0 to 100, rules and model blended.
        intent: 0 to 100, rules and model blended.
        score: 0 to 100, fit and intent blended.
        next_step: what to do with the lead.
        why: in one sentence, what decided the next step.
    """

    fit: int
    intent: int
    score: int
    next_step: NextStep
    why: str


def build(context: AgentContext) -> LeadScoring:
    """The agent, as its definition declares it."""
    check_instructions(context.definition)
    return LeadScoring(context=context, settings=declared(ScoringSettings, context.definition))


@dataclass(frozen=True, kw_only=True)
class LeadScoring:
    """Answers `lead.profiled` and `lead.activity_noted` with `lead.scored` or `lead.disqualified`."""

    context: AgentContext
    settings: ScoringSettings

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Score the lead in `message`.

        Raises:
            InvalidPayloadError: the note is on a lead that nobody profiled.
            TransientError: the model or the store did not answer.
            ModelAnswerError: the model's judgement is of no use.
        """
        lead_id = str(message.payload["lead_id"])
        known = await self.context.store.get("scores", lead_id)
        if known and known["message_id"] == message.id:
            return [_reply(known["event_type"], known["reply"])]
        profile = await self._profile(message)
        rules = self._rules(profile)
        judgement = await self._judgement(profile, rules, message.event_type)
        verdict = decide(self.settings, rules, judgement, str(profile["email_domain"]))
        reply = _answer(profile, rules, judgement, verdict)
        await self._record(message, rules, judgement, verdict, reply)
        return [reply]

    async def _profile(self, message: Envelope) -> Payload:
        if message.event_type == "lead.activity_noted":
            return await add_note(self.context.store, str(message.payload["lead_id"]), str(message.payload["text"]))
        # What a profile does not hold in the message (it may come from any producer) it does not get here either.
        return dict(message.payload)

    def _rules(self, profile: Payload) -> RuleScore:
        settings = self.settings
        free_mail = (frozenset(settings.free_mail_domains), settings.free_mail_fit)
        return count(profile, base=settings.base, rules=settings.rules, free_mail=free_mail)

    async def _judgement(self, profile: Payload, rules: RuleScore, event_type: str) -> dict[str, Any]:
        passages = await passages_for(self.context.definition, self.context.knowledge, _subject_matter(profile))
        # Without the id, which tells nothing: the same person gets the same question.
        about = {name: value for name, value in profile_of(profile).items() if name != "lead_id"}
        data = {"profile": about, "rules": {"fit": rules.fit, "intent": rules.intent}}
        more = {"counted": rules.counted, **as_data(passages)}
        answer = await self.context.model.complete(
            question(
                self.context.definition,
                event_type,
                user=json.dumps({**data, **more}, ensure_ascii=False),
                schema=_judgement_schema(passages),
                name="lead_judgement",
            )
        )
        return {**answer.content, "citations": citations(answer.content, passages)}

    async def _record(
        self, message: Envelope, rules: RuleScore, judgement: dict[str, Any], verdict: Verdict, reply: Reply
    ) -> None:
        document = {
            "_id": message.payload["lead_id"],
            "message_id": message.id,
            "score": verdict.score,
            "fit": verdict.fit,
            "intent": verdict.intent,
            "next_step": verdict.next_step,
            "why": verdict.why,
            "rules": {"fit": rules.fit, "intent": rules.intent, "counted": rules.counted},
            "model": judgement,
            "scored_at": self.context.now(),
            "event_type": reply.event_type,
            "reply": reply.payload,
        }
        await self.context.store.put("scores", document)


def _subject_matter(profile: Payload) -> str:
    """What our documents are searched for: who they are and what they want."""
    words = [profile.get(name) for name in ("interest", "industry", "title", "summary")]
    return " ".join(str(word) for word in words if word)


def _judgement_schema(passages: Sequence[Passage]) -> dict[str, Any]:
    used = used_property(passages)
    properties = {**_JUDGEMENT_SCHEMA["properties"], **used}
    return {**_JUDGEMENT_SCHEMA, "properties": properties, "required": [*_JUDGEMENT_SCHEMA["required"], *used]}


def decide(settings: ScoringSettings, rules: RuleScore, judgement: dict[str, Any], domain: str) -> Verdict:
    """Blend the rules with the model's judgement and choose the next step."""
    fit = _blend(judgement["fit"], rules.fit, settings.model_share)
    intent = _blend(judgement["intent"], rules.intent, settings.model_share)
    score = _blend(fit, intent, settings.fit_share)
    next_step, why = _next_step(settings, score, judgement["next_step"], domain)
    return Verdict(fit=fit, intent=intent, score=score, next_step=next_step, why=why)


def _next_step(settings: ScoringSettings, score: int, opinion: NextStep, domain: str) -> tuple[NextStep, str]:
    if domain in settings.competitor_domains:
        return "disqualify", "the mail domain is a competitor's"
    if score < settings.disqualify_below:
        return "disqualify", f"the score {score} is below {settings.disqualify_below}"
    if opinion == "disqualify" and score < settings.model_disqualifies_below:
        return "disqualify", f"the model advises it and the score {score} is below {settings.model_disqualifies_below}"
    if score >= settings.engage_from:
        return "engage", f"the score {score} is at least {settings.engage_from}"
    if score < settings.nurture_below or opinion == "disqualify":
        return "nurture", f"the score {score} is below {settings.engage_from}"
    return opinion, f"the model advises it, between {settings.nurture_below} and {settings.engage_from}"


def _blend(first: int, second: int, share: float) -> int:
    return round(share * first + (1 - share) * second)


def _answer(profile: Payload, rules: RuleScore, judgement: dict[str, Any], verdict: Verdict) -> Reply:
    by_rules = f"rules: fit {rules.fit}, intent {rules.intent}"
    by_model = f"model: fit {judgement['fit']}, intent {judgement['intent']}, {judgement['next_step']}"
    opinions = [f"model: {_line(reason)}" for reason in judgement["reasons"]]
    reasons = [f"{verdict.next_step}: {verdict.why}", by_rules, *rules.counted[:12], by_model, *opinions]
    payload: Payload = {
        "lead_id": profile["lead_id"],
        "score": verdict.score,
        "fit": verdict.fit,
        "intent": verdict.intent,
        "reasons": [one_line(reason, 300) for reason in reasons][:20],
    }
    if verdict.next_step == "disqualify":
        return _reply("lead.disqualified", payload)
    points = [_line(point) for point in judgement["talking_points"]]
    more = {"next_step": verdict.next_step, "talking_points": points, "profile": profile_of(profile)}
    return _reply("lead.scored", {**payload, **more})


def _line(text: str) -> str:
    return without_addresses(one_line(text, 280))


def _reply(event_type: str, payload: Payload) -> Reply:
    return Reply(event_type=event_type, payload=dict(payload))
