"""How much speaks for somebody: a grade from the words of the facts, nothing learnt."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pointsman.models.offline.facts import UserTurn
from pointsman.models.offline.words import all_words, content_words


def _stems(text: str) -> frozenset[str]:
    return frozenset(word for phrase in text.split() for word in all_words(phrase))


_EAGER: Final = _stems(
    "demo call offer quote pricing price trial budget approved urgent asap soon deadline tender proposal compare buy "
    "contract start immediately quarter month week today tomorrow referral meeting angebot dringend"
)
_IDLE: Final = _stems(
    "newsletter curious someday webinar download browsing later maybe perhaps spring autumn hurry report guide reading"
)
_CAPABLE: Final = _stems(
    "head director chief ceo coo cto cfo founder owner president vp manager lead leiter geschäftsführerin "
    "employees sites branches depots warehouses locations international group"
)
_UNFIT: Final = _stems("student thesis homework intern internship competitor jobseeker werkstudent hobby recruiter")
_REFUSING: Final = ("unsubscrib", "stop writ", "stop send", "not interest", "no longer", "remov me", "spam")
_POSITIVE: Final = _stems(
    "engage yes accept approve high hot urgent qualified good positive buy send escalate strong now ready"
)
_NEGATIVE: Final = _stems(
    "disqualify no reject stop low cold unqualified bad negative deny drop spam ignore unsubscribe weak refuse"
)
_ABOUT_WILL: Final = _stems("intent soon ready urgency urgent priority interest want wish need likely")
_ABOUT_MEANS: Final = _stems("fit match suit role company quality size relevant relevance")


def grade(turn: UserTurn, guidance: str) -> float:
    """0 to 1: how strongly the facts speak for somebody, in the sense that `guidance` names (will, means or both)."""
    asked = frozenset(all_words(guidance))
    will, means = bool(asked & _ABOUT_WILL), bool(asked & _ABOUT_MEANS)
    eager, capable = _will(turn), _means(turn, guidance)
    if will != means:
        return _bounded(eager if will else capable)
    return _bounded((eager + capable) / 2)


def leaning(turn: UserTurn) -> float:
    """1 when the facts ask for something soon, 0 when they refuse it or rule it out, 0.5 when they do neither."""
    words = turn.words
    if words & _UNFIT or _refuses(turn):
        return 0.0
    return 1.0 if len(words & _EAGER) > len(words & _IDLE) else 0.5


@lru_cache(maxsize=1024)
def polarity(option: str) -> float:
    """1 for a word that says yes, 0 for one that says no, 0.5 for all others."""
    words = frozenset(all_words(option))
    return 0.5 + 0.5 * bool(words & _POSITIVE) - 0.5 * bool(words & _NEGATIVE)


def _will(turn: UserTurn) -> float:
    words = turn.words
    refuses = _refuses(turn)
    return 0.4 + 0.13 * len(words & _EAGER) - 0.1 * len(words & _IDLE) - 0.3 * refuses - 0.3 * bool(words & _UNFIT)


def _refuses(turn: UserTurn) -> bool:
    return any(phrase in turn.phrases for phrase in _REFUSING)


def _means(turn: UserTurn, guidance: str) -> float:
    words = turn.words
    wanted = len(words & frozenset(content_words(guidance)))
    return 0.45 + 0.1 * min(len(words & _CAPABLE), 4) + 0.05 * min(wanted, 4) - 0.5 * bool(words & _UNFIT)


def _bounded(value: float) -> float:
    return round(min(0.95, max(0.05, value)), 2)
