"""A threshold for the chat model from the decision log and labels, without asking a model again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pointsman.decision_log import LoggedDecision, read_decisions
from pointsman.evaluation.dataset import Example
from pointsman.evaluation.logged_threshold import logged_threshold
from pointsman.evaluation.measures import Share
from pointsman.models.port import Opinion
from pointsman.routing.router import RoutingOptions
from tests.logged import chooses, decided, entry, scored


def choice(number: int, confidence: float | None, threshold: str = "0") -> LoggedDecision:
    """The decision on message `number`: a model chose `warm`."""
    opinions = (Opinion(model="m", choice="warm", confidence=confidence),)
    answer = chooses("warm", confidence=confidence, opinions=opinions)
    (logged,) = read_decisions([entry(decided(scored(number), answer, options=RoutingOptions(confidence=threshold)))])
    return logged


def label(number: int, answer: str | None, source: str = "correction") -> Example:
    return Example(id=f"m{number}", event_type="lead.scored", payload={}, answer=answer, source=source)


SURE = [(choice(number, 0.9), label(number, "warm", "outcome:reply")) for number in range(40)]
UNSURE = [(choice(number, 0.5), label(number, "cold" if number % 2 else "warm")) for number in range(40, 60)]


def found(pairs: Sequence[tuple[LoggedDecision, Example]], accuracy: float = 0.95) -> Any:
    return logged_threshold([one for one, _ in pairs], [each for _, each in pairs], accuracy)


def test_the_threshold_is_where_the_wanted_share_of_labelled_choices_was_right() -> None:
    told = found([*SURE, *UNSURE])
    assert (told.choices, told.by_word, told.option) == (60, 60, "0.900,warm=0.900")
    # Ten of the twenty that it would no longer act on were right.
    assert (told.stopped, told.released) == (Share(right=10, total=20), Share(right=0, total=0))


def test_a_choice_that_was_left_to_a_person_for_doubt_counts_with_the_persons_answer() -> None:
    doubted = [(choice(number, 0.6, "0.7"), label(number, "warm", "person")) for number in range(60, 90)]
    told = found([*SURE, *UNSURE, *doubted])
    assert told.choices == 90
    assert told.option == "0.600,warm=0.600"
    assert told.released == Share(right=30, total=30)


def test_a_choice_that_waits_for_approval_counts_as_one_that_was_acted_on() -> None:
    def proposed(one: LoggedDecision) -> LoggedDecision:
        waits = {"agent": None, "proposed": "warm", "outcome": "abstained", "reason_code": "approval_required"}
        return LoggedDecision(value={**one.value, **waits}, place=one.place)

    assert found([(proposed(one), said) for one, said in (*SURE, *UNSURE)]) == found([*SURE, *UNSURE])


def test_that_nobody_objected_is_no_word_and_proposes_nothing_alone() -> None:
    silent = [(one, label(number, "warm", "decision:model")) for number, (one, _) in enumerate(SURE)]
    told = found([*silent, *UNSURE[:19]])
    assert (told.choices, told.by_word, told.option, told.found) == (59, 19, None, ())
    assert found([*silent, *UNSURE]).option == "0.900,warm=0.900"


def test_what_says_nothing_about_how_sure_the_model_was_is_left_out() -> None:
    unknown = (choice(70, None), label(70, "warm"))
    of_before = dict(choice(71, 0.4, "0.7").value)
    of_before["model_call"] = {**of_before["model_call"], "opinions": ["Opinion(model='m', choice='warm')"]}
    unreadable = (LoggedDecision(value=of_before, place=SURE[0][0].place), label(71, "warm"))
    unlabelled = (choice(72, 0.9), label(73, "warm"))
    assert found([unknown, unreadable, unlabelled]).choices == 0


@pytest.mark.parametrize("accuracy", [0.95, 1.0])
def test_where_no_threshold_reaches_the_share_only_certainty_is_acted_on(accuracy: float) -> None:
    assert found([(choice(n, 0.8), label(n, "cold")) for n in range(20)], accuracy).option == "1.000,warm=1.000"
