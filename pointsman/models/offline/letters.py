"""Mails that a person could have written: a greeting, one or two facts, what we could do, a question, a name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Final

from pointsman.models.offline.facts import Fact, UserTurn
from pointsman.models.offline.telling import addressed, is_own_words, told_facts, turned, wish
from pointsman.models.offline.words import (
    all_words,
    capitalised,
    harmless,
    lowered,
    sentences,
    shortened,
    without_links,
)

_RANGE: Final = re.compile(r"(\d+)\s*(?:to|-|and)\s*(\d+) words")
_ORDER: Final = re.compile(r"^(?:ask|thank|pick|tell|say|show|offer|write|mention)\b", re.I)
_DEFAULT_WORDS: Final = (60, 140)
_LONGEST_QUOTE: Final = 240


def letter(turn: UserTurn, guidance: str, used: list[Fact]) -> str:
    """The body of a mail. The facts that it rests on are added to `used`."""
    least, _ = _word_range(guidance)
    facts = told_facts(turn)
    cited = _cited(facts, _mail_number(turn))
    used.extend(cited)
    documented = _documented(turn)
    used.extend(documented)
    middle = [*(addressed(fact) for fact in cited), *_offer(turn), *(_said_by_us(fact) for fact in documented)]
    closing = _question(turn, guidance)
    parts = [_greeting(turn), " ".join([_opening(turn), *middle]), closing, _signature(turn)]
    fillers = _fillers(turn, facts, cited)
    while fillers and len(" ".join(parts).split()) < least:
        parts[-2] = f"{fillers.pop(0)} {parts[-2]}"
    return "\n\n".join(part for part in parts if part)


def subject(turn: UserTurn, guidance: str, most: int) -> str:
    """A subject line: the angle if there is one that can be said as it is, else what they want, else their company."""
    company = harmless(turn.named("company", "organisation", "organization"))
    angle = _angle(turn) if "angle" in all_words(guidance) else ""
    wanted = turned(wish(turn), "")
    for line in (
        angle,
        f"{capitalised(wanted)} at {company}" if wanted and company else capitalised(wanted),
        capitalised(wanted),
        f"A question about {company}" if company else "",
    ):
        if line and len(line) <= most:
            return line
    return shortened(capitalised(wanted) or "A short question", most)


def _cited(facts: Sequence[Fact], mail_number: int) -> list[Fact]:
    """Two facts; further mails of a series begin with further facts."""
    numbered = [fact for fact in facts if fact.number is not None and fact.name in {"fact", "text", "content"}]
    candidates = numbered or list(facts)
    first = (mail_number - 1) % len(candidates) if candidates else 0
    return [*candidates[first:], *candidates[:first]][:2]


def _mail_number(turn: UserTurn) -> int:
    """Which mail of a series this is, if that is said."""
    counted = (fact.value for fact in turn.facts if fact.name in {"number", "step"} and fact.number is None)
    return next((int(value) for value in counted if isinstance(value, int)), 1)


def _greeting(turn: UserTurn) -> str:
    first = harmless(turn.named("first name", "name", "full name", "contact")).split(" ")[0]
    return f"Hello {first}," if first else "Hello,"


def _opening(turn: UserTurn) -> str:
    company = harmless(turn.named("company", "organisation", "organization"))
    wanted = turned(wish(turn), "your")
    at = f" at {company}" if company else ""
    if wanted:
        return f"I am writing about {lowered(wanted)}{at}."
    source = harmless(turn.named("came through", "source", "origin", "channel"))
    article = "" if source[:1].isupper() else "an " if source[:1] in "aeiou" else "a "
    if source:
        return f"You came to us through {article}{source}."
    return "Thank you for your message." if any(map(is_own_words, told_facts(turn))) else "Thank you for your interest."


def _offer(turn: UserTurn) -> list[str]:
    ours = turn.named("company", ours=True)
    product = turn.named("product", "service", ours=True)
    if not product:
        return []
    return [f"At {ours} we build {product}." if ours else f"We build {product}."]


def _documented(turn: UserTurn) -> list[Fact]:
    """The passage of our own documents that was found first, if one was and a mail could quote it."""
    passages = (fact for fact in turn.facts if fact.name == "text" and "passages" in fact.path and _said_by_us(fact))
    return list(islice(passages, 1))


def _said_by_us(fact: Fact) -> str:
    first = next(iter(sentences(fact.text)), "")
    return harmless(without_links(first)) if len(first) <= _LONGEST_QUOTE else ""


def _fillers(turn: UserTurn, facts: Sequence[Fact], cited: Sequence[Fact]) -> list[str]:
    points = [fact.content for fact in turn.facts if fact.is_ours and fact.name in {"points", "benefits", "strengths"}]
    lines = [_benefit(point) for point in points]
    further = [addressed(fact) for fact in facts if fact not in cited and fact.name in {"fact", "text"}]
    closing = ["I would rather hear how you do it today than send you a brochure."] if lines else []
    return [*lines, *further, *closing]


def _benefit(point: str) -> str:
    """A bullet point as a sentence."""
    plain = lowered(harmless(point).rstrip("."))
    if re.search(r"\b(?:is|are|will|can|has|have)\b", plain):
        return f"With it, {plain}."
    verb = "is" if re.match(r"\w+ed\b", plain) else "gives you"
    return f"It {verb} {plain}."


def _question(turn: UserTurn, guidance: str) -> str:
    asked = set(all_words(guidance))
    if asked & set(all_words("opinion view feedback")):
        angle = _angle(turn)
        return f"{f'One thought for today: {lowered(angle)}. ' if angle else ''}How do you see this?"
    if asked & set(all_words("time talk call meet demo")):
        return "Would a short call on Tuesday or Thursday next week suit you?"
    return "Could you tell me a little more about it?"


def _signature(turn: UserTurn) -> str:
    name = turn.named("sender", "signature", "from", ours=True) or turn.named("name", ours=True)
    return f"Best regards,\n{harmless(name)}" if name else "Best regards"


def _angle(turn: UserTurn) -> str:
    angle = harmless(turn.named("angle", "theme", ours=True))
    return "" if _ORDER.search(angle) else capitalised(turned(angle, "your"))


def _word_range(guidance: str) -> tuple[int, int]:
    found = _RANGE.search(guidance)
    return (int(found.group(1)), int(found.group(2))) if found else _DEFAULT_WORDS
