"""What is known of a lead, as single facts that each name their source.

A fact is data for a model, cleaned and cut to size: what strangers typed, what their site says, what we had before.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from pointsman.envelope import Payload
from pointsman.fetch import FetchError, SafeFetcher
from pointsman.htmltext import read_page
from pointsman.people import Address
from pointsman.plaintext import many_lines, one_line
from pointsman.store import DocumentStore

_FACT_CHARS: Final = 500
_MESSAGE_FACTS: Final = 4
_ACCOUNT_PROFILES: Final = 50
_NO: Final = frozenset({"no", "false", "0", "off", "nein", "non", "nie"})
_YES: Final = frozenset({"yes", "true", "1", "on", "ja", "oui", "si", "tak", "y"})


class Fact(TypedDict):
    """One thing known of a lead, and where it comes from: form, website, account, note."""

    fact: str
    source: str


@dataclass(frozen=True, kw_only=True)
class LeadForm:
    """A lead as somebody typed it, cleaned; what was missing or of a wrong kind is empty.

    Attributes:
        consent: whether the lead agrees to be written to; None when nobody said.
    """

    email: str
    first_name: str
    last_name: str
    title: str
    company: str
    website: str
    source: str
    message: str
    consent: bool | None


def read_form(payload: Payload) -> LeadForm:
    """Read the document of a lead."""

    def line(name: str, max_chars: int) -> str:
        value = payload.get(name)
        return one_line(value, max_chars) if isinstance(value, str) else ""

    message = payload.get("message")
    return LeadForm(
        email=line("email", 400),
        first_name=line("first_name", 80),
        last_name=line("last_name", 80),
        title=line("title", 120),
        company=line("company", 120),
        website=line("website", 2000),
        source=line("source", 60).lower(),
        message=many_lines(message, _MESSAGE_FACTS * _FACT_CHARS) if isinstance(message, str) else "",
        consent=_consent(payload.get("consent")),
    )


def form_facts(form: LeadForm, address: Address) -> list[Fact]:
    """What the form itself says; never empty."""
    labelled = {"Job title": form.title, "Company": form.company, "Came through": form.source}
    facts = [_fact(f"{label}: {text}", "form") for label, text in labelled.items() if text]
    facts.append(_fact(f"Mail domain: {address.domain}", "form"))
    pieces = textwrap.wrap(form.message, _FACT_CHARS, break_on_hyphens=False)[:_MESSAGE_FACTS]
    return facts + [_fact(f"Wrote: {piece}", "form") for piece in pieces]


async def website_facts(fetcher: SafeFetcher, website: str) -> list[Fact]:
    """What the company's site says of itself; nothing when there is none or it cannot be read."""
    if not website:
        return []
    try:
        return await page_facts(fetcher, website)
    except FetchError:
        return []


async def page_facts(fetcher: SafeFetcher, website: str) -> list[Fact]:
    """What the page at `website` says of its owner.

    Raises:
        FetchError: it cannot be read.
    """
    address = website if "://" in website else f"https://{website}"
    page = read_page((await fetcher.fetch(address)).html, text_chars=_FACT_CHARS)
    labelled = {"Site title": page.title, "Site description": page.description, "Site text": page.text}
    return [_fact(f"{label}: {text}", "website") for label, text in labelled.items() if text]


async def account_facts(store: DocumentStore, domain: str, lead_id: str) -> list[Fact]:
    """What we know of the company from other leads: figures only, so that no lead's words reach another's profile."""
    profiles = await store.find("profiles", {"email_domain": domain}, limit=_ACCOUNT_PROFILES)
    others = [str(profile["_id"]) for profile in profiles if profile["_id"] != lead_id]
    if not others:
        return []
    scores = await store.find("scores", {"_id": {"$in": others}}, limit=_ACCOUNT_PROFILES)
    facts = [_fact(f"Other people of this company known to us: {len(others)}", "account")]
    if scores:
        best = max(int(score["score"]) for score in scores)
        facts.append(_fact(f"Highest score among them: {best}", "account"))
    return facts


def _fact(text: str, source: str) -> Fact:
    return {"fact": one_line(text, _FACT_CHARS + 40), "source": source}


def _consent(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _NO:
        return False
    return True if word in _YES else None
