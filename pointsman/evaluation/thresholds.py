"""Which threshold of confidence a kept run speaks for: above it, the share of right choices that is wanted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pointsman.evaluation.measures import Share
from pointsman.evaluation.running import Result

FEWEST: Final = 20
"""Fewer choices say too little for a threshold of their own."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A threshold, and what it would do to the run that it comes from.

    Attributes:
        agent: the agent whose choices it is for; empty for all others.
        threshold: the confidence that a choice must have; None when none brings the share that is wanted.
        before: of all choices, those that were right.
        acted_on: of all choices, those at the threshold or above.
        right: of those, the right ones.
    """

    agent: str
    threshold: float | None
    before: Share
    acted_on: Share
    right: Share


def proposals(results: Sequence[Result], accuracy: float) -> list[Proposal]:
    """A threshold for all choices, then one for each agent that was chosen often enough.

    Args:
        results: a run's, each choice with its confidence.
        accuracy: share of right choices among those acted on, 0 to 1.
    """
    choices = [each for each in results if each.agent is not None and each.confidence is not None]
    names = sorted({each.agent for each in choices if each.agent})
    by_agent = {name: [each for each in choices if each.agent == name] for name in names}
    often = {name: each for name, each in by_agent.items() if len(each) >= FEWEST}
    return [_proposal("", choices, accuracy), *(_proposal(name, each, accuracy) for name, each in often.items())]


def as_option(found: Sequence[Proposal]) -> str:
    """The thresholds as `--confidence` takes them; one that none reaches is 1."""
    said = {each.agent: 1.0 if each.threshold is None else each.threshold for each in found}
    parts = [f"{said.pop(''):.3f}", *(f"{name}={value:.3f}" for name, value in said.items())]
    return ",".join(parts)


def _proposal(agent: str, choices: Sequence[Result], accuracy: float) -> Proposal:
    threshold = _lowest(choices, accuracy)
    acted_on = [] if threshold is None else [each for each in choices if (each.confidence or 0.0) >= threshold]
    return Proposal(
        agent=agent,
        threshold=threshold,
        before=Share(right=sum(each.is_right for each in choices), total=len(choices)),
        acted_on=Share(right=len(acted_on), total=len(choices)),
        right=Share(right=sum(each.is_right for each in acted_on), total=len(acted_on)),
    )


def _lowest(choices: Sequence[Result], accuracy: float) -> float | None:
    """The lowest threshold at which the share is reached; rounded down, so that `--confidence` takes the same ones."""
    surest_first = sorted(choices, key=lambda each: -(each.confidence or 0.0))
    right, found = 0, None
    for number, each in enumerate(surest_first, start=1):
        right += each.is_right
        following = surest_first[number].confidence if number < len(surest_first) else None
        # Choices of the same confidence are taken together or not at all.
        if following != each.confidence and right / number >= accuracy:
            found = int((each.confidence or 0.0) * 1000) / 1000
    return found
