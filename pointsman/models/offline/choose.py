"""Choosing one of several options: whose samples are closest to what the user turn says, in words and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pointsman.models.offline.facts import UserTurn
from pointsman.models.offline.guidance import Option, OptionSet, Sample
from pointsman.models.offline.judge import leaning, polarity
from pointsman.models.offline.words import joined

# Words that mean "none of these" or "cannot tell" when they are among the options.
_NEUTRAL: Final = ("none", "unknown", "other", "unclear", "neither", "undecided")
_ENOUGH: Final = 0.2
_NUMBER_SPAN: Final = 40.0
_LABEL_WEIGHT: Final = 1.0
_NUMBER_WEIGHT: Final = 0.5
_REFERENCE_WEIGHT: Final = 0.5
_COUNTER_WEIGHT: Final = 0.8
_LEANING_WEIGHT: Final = 0.8


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen, and why.

    Attributes:
        value: the chosen option's value.
        reason: one sentence for a person.
    """

    value: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Closeness:
    """How close one option is.

    Attributes:
        score: higher is closer.
        said: what it has in common with the user turn, as it stands there.
    """

    option: Option
    score: float
    said: tuple[str, ...] = ()


def choose(among: OptionSet, turn: UserTurn) -> Choice:
    """The option that the user turn is about.

    Options that the system turn describes are compared by their samples, and a neutral one (`none`, `unknown`) is
    taken when nothing is close enough. Plain options are also compared with what the facts lean to: a word that says
    yes, one that says no, and all others.
    """
    options = among.options
    named = [option for option in options if option.value not in _NEUTRAL or option.is_described]
    neutrals = [option for option in options if option not in named]
    neutral = next((option for option in neutrals if option.is_otherwise), neutrals[0] if neutrals else None)
    if not named:
        return Choice(value=options[0].value, reason="Nothing else could be answered.")
    described = any(option.is_described for option in named)
    ranked = sorted((_closeness(option, turn, among) for option in named), key=lambda each: -each.score)
    if described or (neutral and ranked[0].score > 0):
        return _by_closeness(ranked, neutral, described=described)
    return _by_leaning(ranked, neutral, turn)


def _by_closeness(ranked: list[_Closeness], neutral: Option | None, *, described: bool) -> Choice:
    best = ranked[0]
    if neutral and best.score < (_ENOUGH if described else 0.05):
        return Choice(value=neutral.value, reason="Nothing in the message is close to what any candidate is for.")
    return Choice(value=best.option.value, reason=_reason(best))


def _by_leaning(ranked: list[_Closeness], neutral: Option | None, turn: UserTurn) -> Choice:
    otherwise = next((each for each in ranked if each.option.is_otherwise), None)
    if neutral:
        return Choice(value=neutral.value, reason="No fact speaks for one of the others.")
    if otherwise:
        close = [each for each in ranked if each is not otherwise and each.score > 0.1]
        if not close:
            return Choice(value=otherwise.option.value, reason="Nothing in it speaks for one of the others.")
        return Choice(value=close[0].option.value, reason=_reason(close[0]))
    level = leaning(turn)
    best = max(ranked, key=lambda each: each.score + _LEANING_WEIGHT * (1 - abs(polarity(each.option.value) - level)))
    return Choice(value=best.option.value, reason=_reason(best))


def _closeness(option: Option, turn: UserTurn, among: OptionSet) -> _Closeness:
    weights = among.weights
    likeness = {id(sample): _likeness(sample, turn, weights) for sample in option.samples}
    example = max((likeness[id(sample)] for sample in option.samples if sample.is_example), default=0.0)
    against = max((_likeness(sample, turn, weights) for sample in option.counter_samples), default=0.0)
    shared = {word for sample in option.samples if not sample.is_example for word in turn.words & sample.words}
    common = sum(weights[word] for word in shared)
    labels = [label for label in turn.labels if any(label in sample.phrase for sample in option.samples)]
    exact = _REFERENCE_WEIGHT * bool(turn.references & option.references & among.telling_references)
    score = example + common / (common + 3) + _LABEL_WEIGHT * min(len(labels), 2) + exact - _COUNTER_WEIGHT * against
    best = max(option.samples, key=lambda sample: likeness[id(sample)], default=None)
    return _Closeness(option=option, score=score, said=_said(best, shared, labels, turn, weights))


def _said(
    best: Sample | None, shared: set[str], labels: list[str], turn: UserTurn, weights: dict[str, float]
) -> tuple[str, ...]:
    """What the option and the user turn have in common, in the user turn's own words, the most telling first."""
    telling = shared | (turn.words & best.words if best else frozenset())
    strongest = sorted(telling, key=lambda word: (-weights.get(word, 0.0), word))
    names = [name for name, _ in (best.numbers if best else ()) if name in turn.numbers]
    numbers = [f"{turn.number_names[name]} {turn.numbers[name]:g}" for name in names]
    words = [f"“{turn.said(word)}”" for word in strongest]
    return tuple(dict.fromkeys([*(turn.labels[label] for label in labels[:2]), *numbers, *words]))[:4]


def _likeness(sample: Sample, turn: UserTurn, weights: dict[str, float]) -> float:
    """How much of the sample the user turn says: shared words, and numbers of one name that lie near each other."""
    # A word that no option's own samples hold (it stands in a counter-example only) tells as much as a rare one.
    total = sum(weights.get(word, 1.0) for word in sample.words)
    shared = sum(weights.get(word, 1.0) for word in turn.words & sample.words)
    near = sum(_nearness(number, turn.numbers[name]) for name, number in sample.numbers if name in turn.numbers)
    return shared / (total + 1.0) + _NUMBER_WEIGHT * near / (len(sample.numbers) or 1)


def _nearness(one: float, other: float) -> float:
    span = max(_NUMBER_SPAN, abs(one), abs(other)) if max(abs(one), abs(other)) > 100 else _NUMBER_SPAN
    return max(-1.0, 1.0 - abs(one - other) / span)


def _reason(best: _Closeness) -> str:
    return f"The message says {joined(list(best.said))}." if best.said else "It is the closest of the candidates."
