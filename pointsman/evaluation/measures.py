"""Figures of a run: right and wrong by agent and category, abstention, calibration, time, tokens. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pointsman.evaluation.running import Result

NOBODY: Final = "nobody"
_BINS: Final = 10


@dataclass(frozen=True, kw_only=True)
class Share:
    """So many of so many.

    Attributes:
        right: how many are.
        total: of how many.
    """

    right: int
    total: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None of nothing."""
        return self.right / self.total if self.total else None

    def __str__(self) -> str:
        return f"{self.right / self.total:.1%} ({self.right}/{self.total})" if self.total else "none"


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Choices of about the same confidence, acted on or not.

    Attributes:
        count: how many.
        confidence: how sure they were on average.
        accuracy: how many of them were right, 0 to 1.
    """

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All figures of a run.

    Attributes:
        accuracy: right decisions.
        precision: by agent: of what it got, what was meant for it.
        recall: by agent: of what was meant for it, what it got.
        by_category: right decisions by category.
        by_method: right decisions by how they were made.
        abstention_precision: of what nobody got, what nobody should get.
        abstention_recall: of what nobody should get, what nobody got.
        confusion: how often which answer (first) became which agent (second).
        bins: choices with a confidence, by tenths of it.
        calibration_error: expected calibration error, 0 to 1; None where no choice has a confidence.
        latency_ms: 50th and 95th percentile.
        tokens_per_1000: input and output tokens for 1,000 decisions.
        usd_per_1000: US dollars for 1,000 decisions; None where the price of a model that was asked is unknown.
    """

    accuracy: Share
    precision: Mapping[str, Share]
    recall: Mapping[str, Share]
    by_category: Mapping[str, Share]
    by_method: Mapping[str, Share]
    abstention_precision: Share
    abstention_recall: Share
    confusion: Mapping[tuple[str, str], int]
    bins: Sequence[Bin]
    calibration_error: float | None
    latency_ms: tuple[float, float]
    tokens_per_1000: tuple[float, float]
    usd_per_1000: float | None


def figures(results: Sequence[Result]) -> Figures:
    """The figures of `results`, which must not be empty."""
    bins = binned([(each.confidence, each.is_choice_right) for each in results if each.confidence is not None])
    agents = sorted({name for result in results for name in (result.answer, result.agent) if name})
    return Figures(
        accuracy=_right(results),
        precision={name: _right([each for each in results if each.agent == name]) for name in agents},
        recall={name: _right([each for each in results if each.answer == name]) for name in agents},
        by_category=_grouped(results, lambda result: result.category or "no category"),
        by_method=_grouped(results, lambda result: result.how),
        abstention_precision=_right([each for each in results if each.agent is None]),
        abstention_recall=_right([each for each in results if each.answer is None]),
        confusion=Counter((result.answer or NOBODY, result.agent or NOBODY) for result in results),
        bins=bins,
        calibration_error=calibration_error(bins),
        latency_ms=(_percentile(results, 0.50), _percentile(results, 0.95)),
        tokens_per_1000=(
            sum(result.input_tokens for result in results) / len(results) * 1000,
            sum(result.output_tokens for result in results) / len(results) * 1000,
        ),
        usd_per_1000=_usd_per_1000(results),
    )


def binned(said: Iterable[tuple[float, bool]]) -> list[Bin]:
    """Choices by tenths of their confidence.

    Args:
        said: how sure each choice was, 0 to 1, and whether it was right.
    """
    held: dict[int, list[tuple[float, bool]]] = {}
    for confidence, is_right in said:
        held.setdefault(min(_BINS - 1, int(confidence * _BINS)), []).append((confidence, is_right))
    return [
        Bin(
            count=len(each),
            confidence=sum(confidence for confidence, _ in each) / len(each),
            accuracy=sum(is_right for _, is_right in each) / len(each),
        )
        for _, each in sorted(held.items())
    ]


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Expected calibration error, 0 to 1: how far confidence and share of right choices are apart, bins by their size.

    From Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning (AAAI 2015); for
    several classes and bins of one width as in Guo et al.: On Calibration of Modern Neural Networks (2017,
    arXiv:1706.04599). None of nothing.
    """
    count = sum(each.count for each in bins)
    apart = sum(each.count * abs(each.confidence - each.accuracy) for each in bins)
    return apart / count if count else None


def _usd_per_1000(results: Sequence[Result]) -> float | None:
    costs = [result.cost_usd for result in results]
    known = [cost for cost in costs if cost is not None]
    return sum(known) / len(results) * 1000 if len(known) == len(costs) else None


def _right(results: Sequence[Result]) -> Share:
    return Share(right=sum(result.is_right for result in results), total=len(results))


def _grouped(results: Sequence[Result], by: Callable[[Result], str]) -> dict[str, Share]:
    names = sorted({by(result) for result in results})
    return {name: _right([result for result in results if by(result) == name]) for name in names}


def _percentile(results: Sequence[Result], share: float) -> float:
    ordered = sorted(result.latency_ms for result in results)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
