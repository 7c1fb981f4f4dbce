"""Trains a local model and says how good it is on messages that it was not trained on. Needs scikit-learn."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pointsman.errors import ConfigurationError
from pointsman.local_model.fitting import fit
from pointsman.local_model.held_out import HeldOut, calibrated, cross_validated, strangers, with_confidence
from pointsman.local_model.judging import Choice, shares
from pointsman.local_model.labelled import Labelled
from pointsman.local_model.model import NEVER_SURE, NOBODY, LocalModel

_FEWEST_PER_ANSWER: Final = 4
_FEWEST_PER_TYPE: Final = 20
"""Fewer held-out messages of a type say too little for a threshold."""
_FEWEST_TAKEN: Final = 10
_LEAST_CONFIDENCE: Final = 0.5
"""Where nearly everything is right the share alone would let through what is more probably wrong than right."""


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
    unknown = strangers(examples, most_features)
    held_out = with_confidence(cross_validated(examples, most_features), unknown)
    thresholds = _thresholds(held_out, target)
    return LocalModel(
        version="untitled",
        linear=fit(examples, most_features),
        calibration=calibrated(held_out, unknown),
        thresholds=thresholds,
        facts={
            "examples": len(examples),
            "target": str(target),
            "held_out": figures(held_out, thresholds),
            "seen": sorted({each.fingerprint for each in examples}),
        },
    )


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
