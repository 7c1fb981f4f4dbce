"""How sure the chat model must be, by the decision log and labels: nobody is asked again. Pure.

A choice that nobody objected to counts as right, as in all labels; so somebody's word on enough choices is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pointsman.decision_log import LoggedDecision
from pointsman.evaluation.dataset import Example
from pointsman.evaluation.measures import Share
from pointsman.evaluation.running import Result
from pointsman.evaluation.thresholds import FEWEST, Proposal, as_option, proposals

_FOLDS: Final = 5
_ROUTED: Final = "routed"
_NOTHING: Final = Share(right=0, total=0)
_BY_MODEL: Final = "decision:"
"""How the source of a label begins that says no more than that nobody objected."""


@dataclass(frozen=True, kw_only=True)
class ChatThreshold:
    """A threshold for the chat model, and what it would have changed.

    Attributes:
        choices: choices of the log that have a label and say how sure the model was.
        by_word: how many of the labels are somebody's word, or what became of a mail.
        found: what is proposed; empty where there is too little to tell.
        stopped: choices that were acted on and would go to a person; of them, those that were right.
        released: choices that went to a person for doubt and would be acted on; of them, those that were right.
    """

    choices: int
    by_word: int
    found: Sequence[Proposal] = ()
    stopped: Share = _NOTHING
    released: Share = _NOTHING

    @property
    def option(self) -> str | None:
        """The thresholds as `--confidence` takes them; None where there is too little to tell."""
        return as_option(self.found) if self.found else None


def logged_threshold(decisions: Iterable[LoggedDecision], labels: Iterable[Example], accuracy: float) -> ChatThreshold:
    """What the log and labels say about the threshold; it was chosen on all choices, the changes each without its own.

    Args:
        decisions: the decision log.
        labels: examples whose ids are those of messages.
        accuracy: share of right choices among those acted on, 0 to 1.
    """
    by_id = {label.id: label for label in labels}
    latest = {one.message_id: one for one in decisions if one.message_id in by_id}
    results = [each for one in latest.values() if (each := _result(one, by_id[one.message_id or ""]))]
    by_word = sum(not by_id[each.id].source.startswith(_BY_MODEL) for each in results)
    if by_word < FEWEST:
        return ChatThreshold(choices=len(results), by_word=by_word)
    stopped, released = _changed(results, accuracy)
    return ChatThreshold(
        choices=len(results), by_word=by_word, found=proposals(results, accuracy), stopped=stopped, released=released
    )


def _result(logged: LoggedDecision, label: Example) -> Result | None:
    """What the model chose, be it that a person was asked because it was in doubt; None where that is not known."""
    call = logged.model_call or {}
    confidence, choice = call.get("confidence"), _choice(logged)
    if logged.how != "model" or choice is None or not isinstance(confidence, int | float):
        return None
    return Result(
        id=label.id, category="", answer=label.answer, agent=choice, how=logged.how, reason=logged.reason,
        # To ask for approval is to act on the choice.
        outcome=_ROUTED if logged.proposed else logged.outcome, confidence=confidence,
    )  # fmt: skip


def _choice(logged: LoggedDecision) -> str | None:
    if logged.reason_code != "low_confidence":
        return logged.agent or logged.proposed
    opinions: Any = (logged.model_call or {}).get("opinions")
    last = opinions[-1] if isinstance(opinions, list) and opinions else None
    choice = last.get("choice") if isinstance(last, dict) else None
    return choice if isinstance(choice, str) else None


def _changed(results: Sequence[Result], accuracy: float) -> tuple[Share, Share]:
    """Each choice by a threshold of the others, five-fold: what is no longer acted on, and what now is."""
    # In order of right and wrong, so that each part has its share of both; the same parts each time.
    ordered = sorted(results, key=lambda each: (each.is_right, each.id))
    stopped: list[Result] = []
    released: list[Result] = []
    for fold in range(_FOLDS):
        others = [each for number, each in enumerate(ordered) if number % _FOLDS != fold]
        needed = {each.agent: 1.0 if each.threshold is None else each.threshold for each in proposals(others, accuracy)}
        for each in ordered[fold::_FOLDS]:
            acts = (each.confidence or 0.0) >= needed.get(each.agent or "", needed[""])
            was_acted_on = each.outcome == _ROUTED
            stopped += [each] if was_acted_on and not acts else []
            released += [each] if acts and not was_acted_on else []
    return _share(stopped), _share(released)


def _share(choices: Sequence[Result]) -> Share:
    return Share(right=sum(each.is_right for each in choices), total=len(choices))
