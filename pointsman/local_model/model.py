"""The local model: a linear classifier over words and fields that chooses among candidates and says how sure it is.

numpy alone decides; scikit-learn is needed to train one (`pointsman.local_model.training`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pointsman.envelope import Payload
from pointsman.local_model.features import FIELD, GROUPS, WORD, Cuts, features
from pointsman.routing.local_choice import LocalChoice

NOBODY: Final = ""
"""The class of messages that no agent should get."""
NEVER_SURE: Final = 2.0
"""A threshold that no confidence reaches."""
_MOST_REASONS: Final = 3
_SIMPLE: Final = (FIELD, WORD)

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Turns what a choice looks like into the probability that it is right.

    Attributes:
        coefficients: one for each of `signs`.
        intercept: added to the weighted signs.
    """

    coefficients: tuple[float, ...]
    intercept: float

    def probability(self, signs: Sequence[float]) -> float:
        """The probability, 0 to 1."""
        weighted = sum(weight * sign for weight, sign in zip(self.coefficients, signs, strict=True)) + self.intercept
        return discounted(1 / (1 + math.exp(-max(-500.0, min(500.0, weighted)))), signs)


def discounted(probability: float, signs: Sequence[float]) -> float:
    """`probability`, halved where no word is known: too little to act on, whatever else speaks for it."""
    return probability if signs[-1] else probability / 2


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A one-against-all linear classifier.

    Attributes:
        classes: agents, and `NOBODY` where it was trained on messages for nobody.
        vocabulary: the column of each feature.
        idf: how telling each feature is (inverse document frequency).
        groups: the kind of each feature, as an index into `GROUPS`.
        weights: one row per feature, one column per class.
        bias: one per class.
        cuts: where numbers make a difference.
    """

    classes: tuple[str, ...]
    vocabulary: Mapping[str, int]
    idf: Floats
    groups: NDArray[np.int8]
    weights: Floats
    bias: Floats
    cuts: Cuts

    def scaled(self, counts: Mapping[str, int]) -> tuple[NDArray[np.int64], Floats]:
        """The columns of the known features among `counts` and their values, each kind of unit length."""
        known = [(self.vocabulary[name], count) for name, count in counts.items() if name in self.vocabulary]
        columns = np.array([column for column, _ in known], dtype=np.int64)
        times = np.array([count for _, count in known], dtype=np.float32)
        values = (1 + np.log(times)) * self.idf[columns]
        lengths = np.sqrt(np.bincount(self.groups[columns], weights=values * values, minlength=len(GROUPS)))
        return columns, (values / lengths[self.groups[columns]]).astype(np.float32)

    def scores(self, counts: Mapping[str, int]) -> dict[str, float]:
        """How much speaks for each class."""
        columns, values = self.scaled(counts)
        found = values @ self.weights[columns] + self.bias
        return dict(zip(self.classes, found.tolist(), strict=True))

    def known_share(self, counts: Mapping[str, int]) -> float:
        """Which share of what a message's words could tell the classifier was trained with; all, where it holds none.

        A word that it was not trained with could tell as much as the most telling one.
        """
        words = [name for name in counts if name[0] == WORD and " " not in name]
        known = sum(float(self.idf[self.vocabulary[name]]) for name in words if name in self.vocabulary)
        unknown = self._most_telling * sum(name not in self.vocabulary for name in words)
        return known / (known + unknown) if words else 1.0

    @cached_property
    def _most_telling(self) -> float:
        return float(self.idf.max(initial=1.0))

    def strongest(self, counts: Mapping[str, int], chosen: str, against: str) -> tuple[str, ...]:
        """The words and fields that spoke most for `chosen` and not for `against`, in words for a person."""
        columns, values = self.scaled(counts)
        one, other = self.classes.index(chosen), self.classes.index(against)
        for_it = values * (self.weights[columns, one] - self.weights[columns, other])
        names = {self.vocabulary[name]: name for name in counts if name in self.vocabulary and name[0] in _SIMPLE}
        ranked = sorted(zip(for_it.tolist(), columns.tolist(), strict=True), reverse=True)
        told = [names[column] for amount, column in ranked if amount > 0 and column in names]
        return tuple(_told(name) for name in told[:_MOST_REASONS])


@dataclass(frozen=True, kw_only=True)
class LocalModel:
    """A `LocalChooser`.

    Attributes:
        version: hash of the file that it is kept in.
        linear: what it chooses with.
        calibration: what it says how sure it is with.
        thresholds: how sure it must be, by event type; of other types it never is.
        facts: how it was trained and how good it was on messages that it was not trained on.
    """

    version: str
    linear: Linear
    calibration: Calibration
    thresholds: Mapping[str, float]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def choose(self, event_type: str, payload: Payload, agents: Sequence[str]) -> LocalChoice | None:
        """Choose one of `agents`; None when it was not trained with all of them."""
        if not agents or not set(agents) <= set(self.linear.classes):
            return None
        counts = features(event_type, payload, self.linear.cuts)
        scores = self.linear.scores(counts)
        chosen, against = best_and_next(scores, agents)
        looks = signs(scores, chosen, agents, self.linear.known_share(counts))
        confidence = self.calibration.probability(looks)
        threshold = self.thresholds.get(event_type, NEVER_SURE)
        because = self.linear.strongest(counts, chosen, against) if confidence >= threshold else ()
        return LocalChoice(agent=chosen, confidence=confidence, threshold=threshold, because=because)


def best_and_next(scores: Mapping[str, float], agents: Sequence[str]) -> tuple[str, str]:
    """The agent with the highest score, and what comes next to it: another one or nobody."""
    best = max(agents, key=lambda agent: scores[agent])
    others = [agent for agent in (*agents, NOBODY) if agent != best and agent in scores]
    return best, max(others, key=lambda other: scores[other], default=best)


def signs(scores: Mapping[str, float], chosen: str, agents: Sequence[str], known_share: float) -> tuple[float, ...]:
    """What tells how sure a choice is: its score, its leads on the next agent and on nobody, what is known."""
    others = [scores[agent] for agent in agents if agent != chosen and agent in scores]
    lead = scores[chosen] - max(others, default=0.0)
    return scores[chosen], lead, scores[chosen] - scores.get(NOBODY, 0.0), known_share


def _told(name: str) -> str:
    kind, _, text = name.partition(":")
    return f"“{text}”" if kind == WORD else text
