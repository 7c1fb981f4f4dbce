"""Facts as sentences: who says it, in whose words, cut to a length a person would write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from pointsman.models.offline.facts import Fact, UserTurn
from pointsman.models.offline.tool_use import TOLD_BY_TOOLS
from pointsman.models.offline.words import capitalised, harmless, sentences, shortened

_OWN_WORDS: Final = ("wrote", "message", "comment", "said", "note", "text", "asked", "question", "request", "reply")
_SITE: Final = ("site", "website", "web", "homepage", "page")
_HOST: Final = re.compile(r"\b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,24}\b", re.I)
# Longer ones first: "looking for" before "for".
_WISH: Final = re.compile(
    r"(?<!\bno )(?<!\bnot )\b(?:interested in|looking for|talk about|speak about|discuss"
    r"|would like(?: to (?:see|have|get|know))?"
    r"|wants?(?: to (?:see|have|get|know|talk about))?(?! to )|needs?|help with"
    r"|call(?:ed)? (?:me |us )?about|asked (?:for|about)|could we (?:see|have|get)|searching for)\s+"
    r"(?P<wish>[^.,;:!?()“”\"\n]{3,90})",
    re.I,
)
_TROUBLE: Final = re.compile(
    r"\b(?:lose track of|losing track of|struggl(?:e|ing) with|problems? with|trouble with|keep track of"
    r"|improve|reduce|manage|tracking of|worr(?:y|ied) about)\s+(?P<wish>[^.,;:!?()“”\"\n]{3,90})",
    re.I,
)
_STEPS: Final = re.compile(
    r"^(?:an? |the |some |more |your )?(?:\w+ )?(?:demo|call|quote|offer|meeting|info|information)\b", re.I
)
_STEP_ABOUT: Final = re.compile(
    r"^(?:an? |the |some |your )?(?:\w+ )?(?:demo|call|quote|offer|pricing|prices?|meeting|info|information)"
    r" (?:of|for|on|about|with) ",
    re.I,
)
_SOON: Final = re.compile(r"\s+(?:this|next) (?:week|month|quarter|year|spring|summer|autumn|winter)$", re.I)
_GREETING: Final = re.compile(r"^(?:hi|hello|hey|dear|good (?:morning|afternoon|evening))\b[^,.!]{0,30}[,.!]\s*", re.I)
_RETOLD: Final = frozenset({"summary", "problems"})
_SUM: Final = re.compile(r"[+-]\d+\b")
_OURS: Final = re.compile(r"\b(?:our|my|their|your)\b", re.I)
_THEIRS: Final = re.compile(r"\b(?:ours|mine|theirs|yours)\b", re.I)
_WISH_END: Final = re.compile(r"\s+(?:and|but|because|since|so that|when|as we|if|please|for our)\s.*$", re.I)


def told_facts(turn: UserTurn) -> list[Fact]:
    """What can be told to or about the other side, addresses left out: what tools said, then what is in their words."""
    facts = [fact for fact in turn.prose() if not (fact.name in _RETOLD or _is_address(fact) or _is_sum(fact))]
    return sorted(
        facts,
        key=lambda fact: (
            fact.path[:1] != (TOLD_BY_TOOLS,),
            not is_own_words(fact),
            "title" in fact.label,
            not is_from_site(fact),
        ),
    )


def is_own_words(fact: Fact) -> bool:
    """The other side wrote or said it."""
    return any(word in fact.label.split() for word in _OWN_WORDS)


def is_from_site(fact: Fact) -> bool:
    """A web site says it."""
    return any(word in f"{fact.label} {fact.source}".lower().split() for word in _SITE)


def statement(fact: Fact) -> str:
    """The fact as one sentence about a third person."""
    said = gist(fact)
    if is_own_words(fact):
        return f"They wrote: “{said}”."
    if is_from_site(fact):
        return f"Their site says: “{said}”."
    if fact.label and fact.label not in {"fact", "facts", "result", "talking points", "reasons", fact.content.lower()}:
        return f"{capitalised(fact.label)}: {said}."
    return f"{capitalised(said)}."


def addressed(fact: Fact) -> str:
    """The fact as one sentence to the person that it is about."""
    said = gist(fact)
    if is_own_words(fact):
        return f"You wrote: “{said}”."
    if is_from_site(fact):
        return f"Your site says: “{said}”."
    return f"What I know so far: {said}."


def gist(fact: Fact, most_words: int = 24) -> str:
    """The fact's first telling sentence, without names of hosts and full stop, cut after `most_words` words."""
    spoken = [harmless(_HOST.sub("", each)) for each in sentences(fact.content)]
    greeted = [_GREETING.sub("", each) for each in spoken]
    telling = [each for each in greeted if len(each.split()) >= 4] or spoken or [""]
    parts = capitalised(telling[0]).rstrip(" .!?,;:").split()
    return " ".join(parts) if len(parts) <= most_words else " ".join(parts[:most_words]).rstrip(",;:") + "…"


def wish(turn: UserTurn, most_words: int = 8) -> str:
    """What the other side wants, in a few of their words; empty when nothing says it."""
    stated = turn.named("interest", "topic", "need", "wants")
    if stated and stated.lower() not in {"not stated", "unknown", "none"}:
        return harmless(_HOST.sub("", stated))
    texts = [harmless(_HOST.sub("", fact.content)) for fact in told_facts(turn)]
    found = [mark.group("wish") for pattern in (_WISH, _TROUBLE) for text in texts for mark in pattern.finditer(text)]
    # A demo or a call is a step on the way; what it is about says more.
    ranked = sorted(found, key=lambda phrase: bool(_STEPS.match(phrase)))
    return " ".join(_topic(ranked[0]).split()[:most_words]) if ranked else ""


def turned(text: str, owner: str) -> str:
    """`text` with the first or third person's pronouns turned to `owner`: `your`, `their`, or nobody's (empty)."""
    text = _OURS.sub(owner, _THEIRS.sub(f"{owner}s" if owner else "", text))
    return re.sub(r"\s{2,}", " ", text).strip()


def person(turn: UserTurn) -> str:
    """Who the other side is, as far as it is said: `Dana, Head of Operations at Northwind`."""
    first = turn.named("first name", "name", "contact", "full name")
    title = turn.named("title", "job title", "role", "position")
    company = turn.named("company", "organisation", "organization", "account", "customer")
    who = ", ".join(filter(None, (first, title)))
    return harmless(f"{who} at {company}" if who and company else who or (f"Somebody at {company}" if company else ""))


def numbered(facts: Sequence[Fact]) -> Iterator[int]:
    """The numbers that the facts go by."""
    return (fact.number for fact in facts if fact.number is not None)


def fitted(parts: Sequence[str], least: int, most: int, sep: str = " ") -> str:
    """`parts` joined, as many as fit into `most` characters; repeated until there are `least`."""
    text = ""
    for part in parts:
        longer = f"{text}{sep}{part}" if text else part
        if len(longer) > most:
            break
        text = longer
    text = text or shortened(parts[0] if parts else "", most)
    while len(text) < least:
        text = f"{text}{sep if text else ''}{parts[0] if parts and parts[0] else 'No more is known.'}"
    return text[:most] if len(text) > most else text


def _topic(phrase: str) -> str:
    topic = _SOON.sub("", _WISH_END.sub("", phrase).strip())
    return _STEP_ABOUT.sub("", topic) or topic


def _is_sum(fact: Fact) -> bool:
    """A line of a calculation: `asks to talk: intent +35`."""
    return bool(_SUM.search(fact.content))


def _is_address(fact: Fact) -> bool:
    words = fact.label.split()
    return any(word in words for word in ("domain", "email", "mail", "website", "url", "link")) and not is_from_site(
        fact
    )
