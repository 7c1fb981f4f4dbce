"""One text of an answer: what kind of text is asked for, by name and description, and that text, valid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from pointsman.models.offline.facts import Fact, UserTurn, name_words
from pointsman.models.offline.letters import letter, subject
from pointsman.models.offline.telling import fitted, gist, person, statement, told_facts, turned, wish
from pointsman.models.offline.words import all_words, capitalised, content_words, harmless, lowered, shortened

_LONGEST: Final = 4000
_ROOM_FOR_A_QUOTE: Final = 120
_AT_MOST: Final = re.compile(r"at most (\d+) characters", re.I)
_AT_LEAST: Final = re.compile(r"at least (\d+) characters", re.I)
_FORMAT: Final = re.compile(r"\bFormat: ([a-z0-9-]+)\.")
_FALLBACK: Final = re.compile(r"[\"“']([^\"”']{2,40})[\"”'] (?:if|when|where|otherwise)\b", re.I)
_SAMPLES: Final = {
    "date-time": "2030-01-01T09:00:00Z", "date": "2030-01-01", "time": "09:00:00Z", "duration": "P1D",
    "email": "someone@example.com", "uri": "https://example.com/", "hostname": "example.com", "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1", "uuid": "00000000-0000-4000-8000-000000000000", "regex": ".*",
}  # fmt: skip
_PATTERN_SAMPLES: Final = (
    "a", "A", "ab", "abc", "ABC", "en", "EN", "EUR", "0", "1", "12", "123", "1234", "12345", "1.0.0", "2030-01-01",
    "09:00", "+1 555 0100", "+15550100", "a_b", "a-b", "a.b", "example", "Example", "#000000", "https://example.com/",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A text that is wanted.

    Attributes:
        name: the property's name.
        guidance: what schema and system turn say about it.
        schema: its schema.
        reason: why the last choice was made, if one was.
    """

    name: str
    guidance: str
    schema: dict[str, Any]
    reason: str = ""

    @property
    def least(self) -> int:
        """Fewest characters, by the schema or by its words."""
        said = _AT_LEAST.search(self.guidance)
        return min(max(int(self.schema.get("minLength", 0)), int(said.group(1)) if said else 0), 100_000)

    @property
    def format(self) -> str:
        """The format, by the schema or by its words."""
        said = _FORMAT.search(self.guidance)
        return str(self.schema.get("format") or (said.group(1) if said else ""))

    @property
    def most(self) -> int:
        """Most characters, by the schema or by its words."""
        said = _AT_MOST.search(self.guidance)
        limit = self.schema.get("maxLength", _LONGEST)
        return max(self.least, min(int(limit), int(said.group(1)) if said else _LONGEST))


def write_text(ask: Ask, turn: UserTurn, used: list[Fact]) -> str:
    """The text that `ask` wants, within its lengths; facts it rests on are added to `used`."""
    if "pattern" in ask.schema:
        return _patterned(ask, turn)
    if ask.format in _SAMPLES:
        return _formatted(ask, turn)
    text = _written(ask, turn, used)
    parts = [part for part in (text, *(statement(fact) for fact in told_facts(turn))) if part]
    return (
        fitted([shortened(parts[0], ask.most) if parts else "", *parts[1:]], ask.least, ask.most)
        if (len(text) > ask.most or len(text) < ask.least)
        else text
    )


def _written(ask: Ask, turn: UserTurn, used: list[Fact]) -> str:
    words = name_words(ask.name)
    about = words | frozenset(all_words(ask.guidance))
    if words & _stems("subject headline"):
        return subject(turn, ask.guidance, ask.most)
    if words & _stems("body letter mail email draft reply message") and about & _stems("mail email letter greet reply"):
        return letter(turn, ask.guidance, used)
    if words & _stems("reason why rationale explanation justification because"):
        return ask.reason or _reason(turn)
    if words & _stems("summary profile overview abstract synopsis"):
        return _summary(turn)
    if words & _stems("interest wish need want topic request"):
        return capitalised(turned(wish(turn), "their")) or _fallback(ask) or _closest(ask, turn)
    return _known(ask, turn) or _closest(ask, turn)


def _stems(text: str) -> frozenset[str]:
    return frozenset(all_words(text))


def _known(ask: Ask, turn: UserTurn) -> str:
    """What stands under the same name, as it stands there, an id too; or a fact that goes by it."""
    given = turn.given(ask.name)
    if isinstance(given, str) and given and ask.least <= len(given) <= ask.most:
        return given
    name = ask.name.replace("_", " ").lower()
    return harmless(turn.named(name)) if name else ""


def _fallback(ask: Ask) -> str:
    found = _FALLBACK.search(ask.guidance)
    return found.group(1) if found else ""


def _closest(ask: Ask, turn: UserTurn) -> str:
    """The fact that has most words in common with what is asked for, or what is to be said when none has."""
    asked = frozenset(content_words(f"{ask.name} {ask.guidance}"))
    ranked = [(len(asked & frozenset(content_words(fact.text))), fact) for fact in told_facts(turn)]
    best = max(ranked, key=lambda each: each[0], default=None)
    if best is not None and best[0]:
        return capitalised(gist(best[1]))
    fallback = _fallback(ask)
    if fallback:
        return fallback
    if best is None:
        return _plain(turn)
    return capitalised(gist(best[1])) if ask.most < _ROOM_FOR_A_QUOTE else statement(best[1])


def _plain(turn: UserTurn) -> str:
    short = [harmless(fact.content) for fact in turn.theirs if fact.content]
    return next((text for text in short if text), "") or "Nothing is known."


def _reason(turn: UserTurn) -> str:
    facts = told_facts(turn)
    return statement(facts[0]) if facts else "Nothing in the facts speaks against it."


def _summary(turn: UserTurn) -> str:
    who = person(turn)
    wanted = turned(wish(turn), "their")
    facts = [statement(fact) for fact in told_facts(turn) if fact.content not in who][:2]
    wants = f"It is about {lowered(wanted)}." if wanted else ""
    return " ".join(filter(None, (f"{who}." if who else "", wants, *facts))) or _plain(turn)


def _formatted(ask: Ask, turn: UserTurn) -> str:
    kind = ask.format
    marks = {"email": "@", "uri": "://"}
    found = (fact.text for fact in turn.facts if kind in marks and marks[kind] in fact.text and " " not in fact.text)
    return next((text for text in found if len(text) <= ask.most), _SAMPLES[kind])


def _patterned(ask: Ask, turn: UserTurn) -> str:
    try:
        pattern = re.compile(ask.schema["pattern"])
    except (re.error, TypeError):
        return _PATTERN_SAMPLES[0]
    words = [word for fact in turn.theirs for word in (fact.content, *fact.content.split())]
    for text in (*words, *(fact.text for fact in turn.facts), *_PATTERN_SAMPLES, *_SAMPLES.values()):
        for form in (text, text.lower(), text.upper()):
            if pattern.search(form) and ask.least <= len(form) <= ask.most:
                return form
    return fitted([_PATTERN_SAMPLES[0]], ask.least, ask.most, "")
