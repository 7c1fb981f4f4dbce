"""Trains a local model and says how good it is on messages that it was not trained on. Needs scikit-learn."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier

from pointsman.errors import ConfigurationError
from pointsman.local_model.features import GROUPS, Cuts, features, numbers
from pointsman.local_model.judging import Choice, shares
from pointsman.local_model.labelled import Labelled
from pointsman.local_model.model import (
    NEVER_SURE,
    NOBODY,
    Calibration,
    Linear,
    LocalModel,
    best_and_next,
    discounted,
    signs,
)

_FOLDS: Final = 10
_FEWEST_PER_ANSWER: Final = 4
_FEWEST_PER_TYPE: Final = 20
"""Fewer held-out messages of a type say too little for a threshold."""
_FEWEST_TAKEN: Final = 10
_LEAST_CONFIDENCE: Final = 0.5
"""Where nearly everything is right the share alone would let through what is more probably wrong than right."""
_MIN_DOCUMENTS: Final = 2
_INVERSE_REGULARISATION: Final = 20.0
_QUANTILES: Final = 19
_SEED: Final = 7


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the reject threshold is chosen for, on held-out messages; one of the two.

    Attributes:
        accuracy: this share of the choices that it acts on is right.
        keep: this share of the messages that belong to an agent is acted on.
    """

    accuracy: float | None = 0.95
    keep: float | None = None

    def __str__(self) -> str:
        if self.keep is not None:
            return f"acts on {self.keep:.1%} of the messages that belong to an agent"
        return f"{self.accuracy:.1%} of the choices that it acts on are right"


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


def train(examples: Sequence[Labelled], target: Target, *, most_features: int = 40_000) -> LocalModel:
    """Train on all of `examples`; calibration, thresholds and figures come from ten-fold cross-validation.

    Args:
        examples: messages that leave a choice.
        target: what the thresholds are chosen for.
        most_features: upper bound of the vocabulary; the most frequent features stay.

    Raises:
        ConfigurationError: there is too little to train on.
    """
    _check(examples)
    held_out = cross_validated(examples, most_features)
    calibration = _calibration(held_out)
    thresholds = _thresholds(held_out, target)
    return LocalModel(
        version="untitled",
        linear=fit(examples, most_features),
        calibration=calibration,
        thresholds=thresholds,
        facts={
            "examples": len(examples),
            "target": str(target),
            "held_out": figures(held_out, thresholds),
            "seen": sorted({each.fingerprint for each in examples}),
        },
    )


def cross_validated(examples: Sequence[Labelled], most_features: int) -> list[HeldOut]:
    """What models trained on nine tenths say of the last tenth, for each tenth."""
    answers = [example.answer for example in examples]
    folds = min(_FOLDS, min(Counter(answers).values()))
    found: list[HeldOut] = []
    for kept, left_out in StratifiedKFold(folds, shuffle=True, random_state=_SEED).split(answers, answers):
        linear = fit([examples[index] for index in kept], most_features)
        found += [_said(linear, examples[index]) for index in left_out]
    right = np.array([each.is_right for each in found])
    if right.all() or not right.any():
        return found
    splits = StratifiedKFold(min(5, int(right.sum()), int((~right).sum())) or 2, shuffle=True, random_state=_SEED)
    if min(right.sum(), (~right).sum()) < 2:
        return found
    looks = np.array([each.signs for each in found])
    judge = LogisticRegression(solver="liblinear")
    sure = cross_val_predict(judge, looks, right, cv=splits, method="predict_proba")[:, 1]
    return [
        replace(each, confidence=discounted(float(confidence), each.signs))
        for each, confidence in zip(found, sure, strict=True)
    ]


def fit(examples: Sequence[Labelled], most_features: int) -> Linear:
    """The classifier alone."""
    cuts = _cuts(examples)
    counted = [features(example.event_type, example.payload, cuts) for example in examples]
    documents = Counter(name for counts in counted for name in counts)
    names = [name for name, times in documents.most_common(most_features) if times >= _MIN_DOCUMENTS]
    kinds = {kind: index for index, kind in enumerate(GROUPS)}
    rarity = [np.log((1 + len(examples)) / (1 + documents[name])) + 1 for name in names]
    empty = Linear(
        classes=(),
        vocabulary={name: column for column, name in enumerate(names)},
        idf=np.array(rarity, dtype=np.float32),
        groups=np.array([kinds[name[0]] for name in names], dtype=np.int8),
        weights=np.zeros((len(names), 0), dtype=np.float32),
        bias=np.zeros(0, dtype=np.float32),
        cuts=cuts,
    )
    return _fitted(empty, _matrix(empty, counted), [example.answer for example in examples])


def figures(held_out: Sequence[HeldOut], thresholds: Mapping[str, float]) -> dict[str, Any]:
    """How good the choices were, over all and by event type."""
    by_type: dict[str, list[HeldOut]] = defaultdict(list)
    for each in held_out:
        by_type[each.labelled.event_type].append(each)
    return {
        "all": _figures(held_out, thresholds),
        "by_type": {name: _figures(each, thresholds) for name, each in sorted(by_type.items())},
    }


def _figures(held_out: Sequence[HeldOut], thresholds: Mapping[str, float]) -> dict[str, Any]:
    return shares(
        [
            Choice(
                answer=each.labelled.answer,
                agent=each.agent,
                is_taken=each.confidence >= thresholds.get(each.labelled.event_type, NEVER_SURE),
            )
            for each in held_out
        ]
    )


def _said(linear: Linear, example: Labelled) -> HeldOut:
    counts = features(example.event_type, example.payload, linear.cuts)
    scores = linear.scores(counts)
    # A class may be missing from nine tenths of the messages when it has very few.
    agents = [agent for agent in example.agents if agent in scores]
    chosen, _ = best_and_next(scores, agents)
    looks = signs(scores, chosen, agents, linear.known_share(counts))
    return HeldOut(labelled=example, agent=chosen, signs=looks)


def _calibration(held_out: Sequence[HeldOut]) -> Calibration:
    right = [each.is_right for each in held_out]
    if len(set(right)) < 2:
        raise ConfigurationError("the examples are all alike: nothing tells a right choice from a wrong one", _MORE)
    found = LogisticRegression(solver="liblinear").fit([each.signs for each in held_out], right)
    return Calibration(coefficients=tuple(found.coef_[0].tolist()), intercept=float(found.intercept_[0]))


def _thresholds(held_out: Sequence[HeldOut], target: Target) -> dict[str, float]:
    by_type: dict[str, list[HeldOut]] = defaultdict(list)
    for each in held_out:
        by_type[each.labelled.event_type].append(each)
    return {
        name: _threshold(each, target) if len(each) >= _FEWEST_PER_TYPE else NEVER_SURE
        for name, each in by_type.items()
    }


def _threshold(held_out: Sequence[HeldOut], target: Target) -> float:
    if target.keep is not None:
        in_scope = sorted(each.confidence for each in held_out if each.labelled.answer != NOBODY)
        return in_scope[int((1 - target.keep) * len(in_scope))] if in_scope else NEVER_SURE
    wanted = target.accuracy or 0.0
    ranked = sorted(held_out, key=lambda each: -each.confidence)
    lowest, right = NEVER_SURE, 0
    for taken, each in enumerate(ranked, start=1):
        right += each.is_right
        if taken >= _FEWEST_TAKEN and right / taken >= wanted:
            lowest = each.confidence
    return max(lowest, _LEAST_CONFIDENCE)


def _fitted(empty: Linear, matrix: Any, answers: Sequence[str]) -> Linear:
    found = OneVsRestClassifier(_classifier()).fit(matrix, answers)
    weights = np.vstack([each.coef_ for each in found.estimators_]).T
    bias = np.concatenate([each.intercept_ for each in found.estimators_])
    classes = tuple(str(name) for name in found.classes_)
    if len(classes) == 2:
        # Of two classes one estimator is fitted, for the second.
        weights, bias = np.hstack([-weights, weights]), np.concatenate([-bias, bias])
    return Linear(
        classes=classes,
        vocabulary=empty.vocabulary,
        idf=empty.idf,
        groups=empty.groups,
        weights=weights.astype(np.float32),
        bias=bias.astype(np.float32),
        cuts=empty.cuts,
    )


def _classifier() -> Any:
    # liblinear: many features and few messages, and it keeps to one core.
    return LogisticRegression(C=_INVERSE_REGULARISATION, solver="liblinear", random_state=_SEED)


def _matrix(linear: Linear, counted: Sequence[Mapping[str, int]]) -> Any:
    scaled = [linear.scaled(counts) for counts in counted]
    rows = np.concatenate([np.full(len(columns), row) for row, (columns, _) in enumerate(scaled)])
    columns = np.concatenate([columns for columns, _ in scaled])
    values = np.concatenate([values for _, values in scaled])
    return csr_matrix((values, (rows, columns)), shape=(len(counted), len(linear.vocabulary)))


def _cuts(examples: Sequence[Labelled]) -> Cuts:
    seen: dict[str, list[float]] = defaultdict(list)
    for example in examples:
        for path, value in numbers(example.payload):
            seen[path].append(value)
    shares = np.linspace(0, 1, _QUANTILES + 2)[1:-1]
    return {path: sorted(set(np.quantile(values, shares).tolist())) for path, values in seen.items()}


_MORE: Final = "collect more labelled messages (docs/evaluation.md)"


def _check(examples: Sequence[Labelled]) -> None:
    if not examples:
        raise ConfigurationError("no example leaves a choice between agents: contracts decide them all", _MORE)
    counted = Counter(example.answer for example in examples)
    if len(counted) < 2:
        raise ConfigurationError("all examples have the same answer", _MORE)
    answer, fewest = min(counted.items(), key=lambda item: item[1])
    if fewest < _FEWEST_PER_ANSWER:
        what = f"only {fewest} examples are for {answer or 'nobody'}, at least {_FEWEST_PER_ANSWER} are needed"
        raise ConfigurationError(what, _MORE)
