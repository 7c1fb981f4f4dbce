"""What classifiers say of messages that they were not trained on, and how sure one may be of that.

Messages for nobody are seldom labelled, and never all kinds of them. So what a stranger looks like is learned from the
agents themselves: each is left out once, and the others are asked about its messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold

from pointsman.errors import ConfigurationError
from pointsman.local_model.features import features
from pointsman.local_model.fitting import fit
from pointsman.local_model.labelled import Labelled
from pointsman.local_model.model import NOBODY, Calibration, Linear, best_and_next, signs

_FOLDS: Final = 10
_CALIBRATION_FOLDS: Final = 5
_MOST_GROUPS: Final = 10
"""Of agents that are left out together, so that hundreds of them do not take hundreds of trainings."""
_SHARE_OF_STRANGERS: Final = 0.1
_FEWEST_OF_A_KIND: Final = 2
_SEED: Final = 7


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What a model that had not seen a message said of it.

    Attributes:
        labelled: the message.
        agent: what it chose.
        signs: what the choice looked like.
        confidence: how sure it was, by a calibration that had not seen the message either.
    """

    labelled: Labelled
    agent: str
    signs: tuple[float, ...]
    confidence: float = 0.0

    @property
    def is_right(self) -> bool:
        """Whether the choice was right."""
        return self.agent == self.labelled.answer


def cross_validated(examples: Sequence[Labelled], most_features: int) -> list[HeldOut]:
    """What classifiers trained on nine tenths say of the last tenth, for each tenth."""
    answers = [example.answer for example in examples]
    folds = min(_FOLDS, min(Counter(answers).values()))
    found: list[HeldOut] = []
    for kept, left_out in StratifiedKFold(folds, shuffle=True, random_state=_SEED).split(answers, answers):
        linear = fit([examples[index] for index in kept], most_features)
        found += [_said(linear, examples[index]) for index in left_out]
    return found


def strangers(examples: Sequence[Labelled], most_features: int) -> list[HeldOut]:
    """What classifiers that have never heard of an agent say of its messages: wrong, each time.

    None where too few agents are left to choose among.
    """
    agents = sorted({example.answer for example in examples} - {NOBODY})
    found: list[HeldOut] = []
    for unknown in (frozenset(agents[start::_MOST_GROUPS]) for start in range(min(_MOST_GROUPS, len(agents)))):
        kept = [example for example in examples if example.answer not in unknown]
        asked = list(_without(examples, unknown, set(agents)))
        if asked and len({example.answer for example in kept}) > 1:
            linear = fit(kept, most_features)
            found += [_said(linear, each) for each in asked]
    return found


def calibrated(held_out: Sequence[HeldOut], unknown: Sequence[HeldOut]) -> Calibration:
    """How sure one may be of a choice, by what it looks like.

    What counts how much is learned from as many strangers as there are. How probable a right choice is follows from
    `held_out`; where nobody labelled a message for nobody, a tenth as many strangers are taken for such.

    Args:
        held_out: from `cross_validated`.
        unknown: from `strangers`.

    Raises:
        ConfigurationError: there is nothing to tell right from wrong by.
    """
    both = [*held_out, *unknown]
    looks, right = np.array([each.signs for each in both]), [each.is_right for each in both]
    if len(set(right)) < 2:
        raise ConfigurationError(
            "the examples are all alike: nothing tells a right choice from a wrong one",
            "collect more labelled messages (docs/evaluation.md)",
        )
    shape = LogisticRegression(solver="liblinear").fit(looks, right)
    weights = [1.0] * len(held_out) + [_weight(held_out, unknown)] * len(unknown)
    level = LogisticRegression(solver="liblinear").fit(shape.decision_function(looks)[:, None], right, weights)
    slope = float(level.coef_[0, 0])
    return Calibration(
        coefficients=tuple((slope * shape.coef_[0]).tolist()),
        intercept=slope * float(shape.intercept_[0]) + float(level.intercept_[0]),
    )


def with_confidence(held_out: Sequence[HeldOut], unknown: Sequence[HeldOut]) -> list[HeldOut]:
    """`held_out`, each with what a calibration says that has not seen it; 0 where there is too little for one."""
    right = np.array([each.is_right for each in held_out])
    fewest = int(min(right.sum(), (~right).sum()))
    if fewest < _FEWEST_OF_A_KIND and not unknown:
        return list(held_out)
    kind = StratifiedKFold if fewest >= _FEWEST_OF_A_KIND else KFold
    folds = kind(max(_FEWEST_OF_A_KIND, min(_CALIBRATION_FOLDS, fewest)), shuffle=True, random_state=_SEED)
    found = list(held_out)
    for kept, left_out in folds.split(right, right):
        calibration = calibrated([held_out[index] for index in kept], unknown)
        for index in left_out:
            found[index] = replace(held_out[index], confidence=calibration.probability(held_out[index].signs))
    return found


def _without(examples: Sequence[Labelled], unknown: frozenset[str], known: set[str]) -> Iterator[Labelled]:
    """The messages for the agents in `unknown`, as if these did not exist."""
    for example in examples:
        left = tuple(agent for agent in example.agents if agent in known - unknown)
        # Among fewer than two it would not be a choice.
        if example.answer in unknown and len(left) > 1:
            yield replace(example, agents=left)


def _weight(held_out: Sequence[HeldOut], unknown: Sequence[HeldOut]) -> float:
    if not unknown or any(each.labelled.answer == NOBODY for each in held_out):
        return 0.0
    return _SHARE_OF_STRANGERS * len(held_out) / len(unknown)


def _said(linear: Linear, example: Labelled) -> HeldOut:
    counts = features(example.event_type, example.payload, linear.cuts)
    scores = linear.scores(counts)
    # A class may be missing from nine tenths of the messages when it has very few.
    agents = [agent for agent in example.agents if agent in scores]
    chosen, _ = best_and_next(scores, agents)
    looks = signs(scores, chosen, agents, linear.known_share(counts))
    return HeldOut(labelled=example, agent=chosen, signs=looks)
