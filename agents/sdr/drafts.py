"""Drafts of mails: the model writes, code checks, and what does not pass is written once more or not sent at all.

The model supplies a subject and a body and nothing else; whom it goes to, from whom and where links lead is not its
business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import Field

from agents.sdr.declared import DeclaredSettings
from pointsman.envelope import Payload
from pointsman.errors import ModelAnswerError
from pointsman.knowledge import Passage
from pointsman.plaintext import has_address, many_lines, one_line
from pointsman.runtime import AgentContext
from pointsman.runtime.asking import question
from pointsman.runtime.grounding import as_data, citations, passages_for, used_property

MAX_SUBJECT_CHARS: Final = 120
_MOST_FACTS: Final = 30
"""As the contract of a profile has it."""
_MIN_BODY_CHARS: Final = 40
_SCHEME: Final = re.compile(r"\b(?:[a-z][a-z0-9+.-]{1,20}://|(?:javascript|data|mailto|tel|file):)\S*", re.IGNORECASE)
_HOST: Final = re.compile(r"(?<![\w.@-])(?:[^\W_](?:[\w-]{0,62})\.)+[^\W\d_]{2,24}(?![\w-])")
_MARKUP: Final = re.compile(r"<[a-z!/][^>]*>|\]\(", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(r"\[[^\]\n]{1,60}\]|\{\{|\{%|<<")


class Offer(DeclaredSettings):
    """What we sell: all that a mail may claim about us."""

    company: str = Field(min_length=1, max_length=120)
    product: str = Field(min_length=1, max_length=300)
    points: list[str] = Field(min_length=1, max_length=10)


class DraftSettings(DeclaredSettings):
    """What every agent that drafts mails sets in its YAML file."""

    link_hosts: list[str] = Field(default_factory=list)
    max_body_chars: int = Field(default=2500, ge=200, le=5000)
    offer: Offer


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A mail's text, checked.

    Attributes:
        subject: one line.
        body: plain text.
        facts_used: the facts that the model says it rests on.
        citations: the passages of our documents that the model says it rests on.
    """

    subject: str
    body: str
    facts_used: list[str]
    citations: list[dict[str, str]] = field(default_factory=list)


async def write_draft(
    context: AgentContext, settings: DraftSettings, scored: Payload, *, event_type: str, more: Mapping[str, Any]
) -> Draft:
    """Have the model write one mail to the lead of `scored`, a `lead.scored` payload.

    Args:
        context: the agent's ports and definition.
        settings: its declared settings.
        scored: the lead's score and profile.
        event_type: what the instructions are rendered for.
        more: further data for the user turn.

    Raises:
        ModelAnswerError: what the model wrote may not be sent, also after it was told why.
        ModelUnavailableError: the model did not answer.
        StoreUnavailableError: our documents did not answer.
    """
    profile = scored["profile"]
    facts = [str(fact["fact"]) for fact in profile["facts"]]
    passages = await passages_for(context.definition, context.knowledge, _subject_matter(scored, more))
    data = {**_user_turn(context, settings, scored), **more, **as_data(passages)}
    hosts = (*settings.link_hosts, str(profile["email_domain"]))
    problems: list[str] = []
    for _ in range(2):
        turn = {**data, "problems_of_your_first_draft": problems} if problems else data
        answer = await context.model.complete(
            question(
                context.definition,
                event_type,
                user=json.dumps(turn, ensure_ascii=False),
                schema=_schema(passages),
                name="mail_draft",
            )
        )
        draft = _draft(answer.content, facts, passages)
        problems = problems_of(draft, hosts=hosts, max_body_chars=settings.max_body_chars)
        if max(answer.content["facts_used"], default=0) > len(facts):
            problems.append(f"facts_used names a fact that there is not: there are {len(facts)}")
        if not problems:
            return draft
    raise ModelAnswerError(f"the draft may not be sent: {'; '.join(problems)}")


def problems_of(draft: Draft, *, hosts: Sequence[str], max_body_chars: int) -> list[str]:
    """Why `draft` may not be sent; empty when it may.

    Args:
        draft: the mail's text.
        hosts: where links may lead, and whose names may be written.
        max_body_chars: upper bound of the body.
    """
    text = f"{draft.subject}\n{draft.body}"
    findings = {
        "the subject is empty": not draft.subject,
        f"the subject has more than {MAX_SUBJECT_CHARS} characters": len(draft.subject) > MAX_SUBJECT_CHARS,
        f"the body has fewer than {_MIN_BODY_CHARS} characters": len(draft.body) < _MIN_BODY_CHARS,
        f"the body has more than {max_body_chars} characters": len(draft.body) > max_body_chars,
        "it has a link or the name of a site": _has_foreign_link(text, hosts),
        "it has a mail address": has_address(text),
        "it has markup": bool(_MARKUP.search(text)),
        "it has a placeholder": bool(_PLACEHOLDER.search(text)),
    }
    return [finding for finding, is_so in findings.items() if is_so]


def _user_turn(context: AgentContext, settings: DraftSettings, scored: Payload) -> dict[str, Any]:
    profile = scored["profile"]
    sender, _ = parseaddr(context.settings.mail_from)
    about = ("first_name", "title", "company", "industry", "interest", "summary")
    return {
        "sender": sender,
        "offer": settings.offer.model_dump(),
        "lead": {name: profile[name] for name in about if profile.get(name)},
        "talking_points": scored["talking_points"],
        "facts": [{"number": number, **fact} for number, fact in enumerate(profile["facts"], start=1)],
    }


def _subject_matter(scored: Payload, more: Mapping[str, Any]) -> str:
    """What our documents are searched for: what the lead wants, what speaks for it, and what this mail is about."""
    profile, email = scored["profile"], more.get("email", {})
    words = (profile.get("interest"), profile.get("industry"), email.get("angle"), *scored["talking_points"])
    return " ".join(str(word) for word in words if word)


def _schema(passages: Sequence[Passage]) -> dict[str, Any]:
    # The same for every lead: providers compile a schema when they first see it, and it belongs to the cached prefix.
    return {
        "type": "object",
        "properties": {
            "subject": {"type": "string", "description": "Subject line of the e-mail, at most 60 characters."},
            "body": {"type": "string", "description": "Body of the e-mail: plain text with greeting and signature."},
            "facts_used": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": _MOST_FACTS},
                "description": "Numbers of the facts that the body rests on.",
            },
            **used_property(passages),
        },
        "required": ["subject", "body", "facts_used", *used_property(passages)],
        "additionalProperties": False,
    }


def _draft(content: dict[str, Any], facts: list[str], passages: Sequence[Passage]) -> Draft:
    used = sorted({number for number in content["facts_used"] if 1 <= number <= len(facts)})
    return Draft(
        subject=one_line(content["subject"], 1000),
        body=many_lines(content["body"], 20_000),
        facts_used=[facts[number - 1] for number in used],
        citations=citations(content, passages),
    )


def _has_foreign_link(text: str, hosts: Sequence[str]) -> bool:
    """Whether `text` names a site that is not ours or the lead's own: mail programs make links of bare names."""
    if any(not _is_below(_link_host(link), hosts) for link in _SCHEME.findall(text)):
        return True
    return any(not _is_below(host, hosts) for host in _HOST.findall(_SCHEME.sub(" ", text)))


def _link_host(link: str) -> str:
    """The host that `link` leads to; empty when it is no plain web link."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    is_plain = parts.scheme in ("http", "https") and "@" not in parts.netloc
    return (parts.hostname or "") if is_plain else ""


def _is_below(host: str, hosts: Sequence[str]) -> bool:
    name = host.lower().rstrip(".")
    return any(name == allowed or name.endswith(f".{allowed}") for allowed in hosts)
