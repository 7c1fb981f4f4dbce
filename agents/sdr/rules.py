"""The declared part of a lead's score: rules that a person writes in YAML and can count by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from pydantic import Field, field_validator

from agents.sdr.declared import DeclaredSettings
from pointsman.envelope import Payload

ProfileField = Literal["title", "company", "industry", "source", "interest", "summary", "facts", "own_words"]
"""Where a rule may look; `own_words` are the facts that came from the lead or from a note on it, not from a website."""

_OWN_SOURCES: Final = frozenset({"form", "note"})


class Points(DeclaredSettings):
    """Points for fit and intent, 0 to 100 each."""

    fit: int = Field(ge=0, le=100)
    intent: int = Field(ge=0, le=100)


class Rule(DeclaredSettings):
    """Points for a lead whose profile holds one of these words; counted once, however many there are."""

    name: str = Field(min_length=1, max_length=80)
    fields: list[ProfileField] = Field(alias="in", min_length=1)
    words: list[str] = Field(min_length=1)
    fit: int = Field(default=0, ge=-100, le=100)
    intent: int = Field(default=0, ge=-100, le=100)

    @field_validator("words")
    @classmethod
    def _are_words(cls, words: list[str]) -> list[str]:
        if not all(word.strip() for word in words):
            message = "an empty word is in every text"
            raise ValueError(message)
        return words

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        choices = "|".join(re.escape(word.strip()) for word in self.words)
        return re.compile(rf"(?<!\w)(?:{choices})(?!\w)", re.IGNORECASE)

    def matches(self, profile: Payload) -> bool:
        """Whether one of the words stands in one of the fields."""
        return any(self._pattern.search(text) for field in self.fields for text in _texts(profile, field))


@dataclass(frozen=True, kw_only=True)
class RuleScore:
    """What the rules say of a lead.

    Attributes:
        fit: 0 to 100.
        intent: 0 to 100.
        counted: each rule that counted, with its points, for people to read.
    """

    fit: int
    intent: int
    counted: list[str]


def count(profile: Payload, *, base: Points, rules: list[Rule], free_mail: tuple[frozenset[str], int]) -> RuleScore:
    """Apply `rules` to `profile`, from `base`; `free_mail` is the domains of free mail and their points of fit."""
    matching = [(rule.name, rule.fit, rule.intent) for rule in rules if rule.matches(profile)]
    domains, points = free_mail
    if str(profile["email_domain"]) in domains:
        matching.append(("free mail address", points, 0))
    return RuleScore(
        fit=_within(base.fit + sum(fit for _, fit, _ in matching)),
        intent=_within(base.intent + sum(intent for _, _, intent in matching)),
        counted=[_line(name, fit, intent) for name, fit, intent in matching],
    )


def _line(name: str, fit: int, intent: int) -> str:
    points = [f"{label} {value:+d}" for label, value in (("fit", fit), ("intent", intent)) if value]
    return f"{name}: {', '.join(points)}"


def _within(value: int) -> int:
    return max(0, min(100, value))


def _texts(profile: Payload, field: ProfileField) -> list[str]:
    if field == "facts":
        return [str(fact["fact"]) for fact in profile["facts"]]
    if field == "own_words":
        return [str(fact["fact"]) for fact in profile["facts"] if fact["source"] in _OWN_SOURCES]
    return [str(profile.get(field, ""))]
