"""How good a local model is on labelled messages, and what another one would do otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pointsman.local_model.labelled import Labelled
from pointsman.local_model.model import NOBODY, LocalModel
from pointsman.routing.local_choice import LocalChoice


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Figures of one model.

    Attributes:
        figures: shares by name, as in a model's own facts.
        seen: how many of the messages it was trained on: on those it is better than on others.
        mean_us: microseconds for one message.
    """

    figures: dict[str, Any]
    seen: int
    mean_us: float


@dataclass(frozen=True, kw_only=True)
class Changes:
    """On how many messages two models would do otherwise.

    Attributes:
        newly_sure: the later one acts and the earlier did not.
        no_longer_sure: the other way round.
        other_agent: both act, and choose differently.
    """

    newly_sure: int
    no_longer_sure: int
    other_agent: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.newly_sure + self.no_longer_sure + self.other_agent


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a model chose for a labelled message.

    Attributes:
        answer: the right answer.
        agent: the agent that was chosen.
        is_taken: whether the choice is acted on.
    """

    answer: str
    agent: str
    is_taken: bool


def judged(model: LocalModel, labelled: Sequence[Labelled], clock: Callable[[], float] = time.perf_counter) -> Judged:
    """How `model` does on `labelled`.

    Args:
        model: the model.
        labelled: messages with the right answer.
        clock: seconds.
    """
    began = clock()
    said = [model.choose(each.event_type, each.payload, each.agents) for each in labelled]
    took = clock() - began
    found = [_choice(each, choice) for each, choice in zip(labelled, said, strict=True)]
    return Judged(figures=shares(found), seen=seen_among(model, labelled), mean_us=took / max(1, len(labelled)) * 1e6)


def seen_among(model: LocalModel, labelled: Sequence[Labelled]) -> int:
    """How many of `labelled` the model was trained on."""
    known = set(model.facts.get("seen", ()))
    return sum(each.fingerprint in known for each in labelled)


def shares(found: Sequence[Choice]) -> dict[str, Any]:
    """How many choices were right, acted on, and left alone."""
    in_scope = [each for each in found if each.answer != NOBODY]
    nobody = [each for each in found if each.answer == NOBODY]
    taken = [each for each in found if each.is_taken]
    return {
        "messages": len(found),
        "right_agent": _share([each.agent == each.answer for each in in_scope]),
        "acted_on": _share([each.is_taken for each in found]),
        "acted_on_right": _share([each.agent == each.answer for each in taken]),
        "in_scope_kept": _share([each.is_taken for each in in_scope]),
        "nobody_caught": _share([not each.is_taken for each in nobody]),
    }


def changes(before: LocalModel, after: LocalModel, labelled: Sequence[Labelled]) -> Changes:
    """What `after` would do otherwise than `before`."""
    pairs = []
    for each in labelled:
        one, other = (model.choose(each.event_type, each.payload, each.agents) for model in (before, after))
        pairs.append((one.agent if one and one.is_sure else None, other.agent if other and other.is_sure else None))
    return Changes(
        newly_sure=sum(one is None and other is not None for one, other in pairs),
        no_longer_sure=sum(one is not None and other is None for one, other in pairs),
        other_agent=sum(one is not None and other is not None and one != other for one, other in pairs),
    )


def _choice(labelled: Labelled, choice: LocalChoice | None) -> Choice:
    if choice is None:
        return Choice(answer=labelled.answer, agent=NOBODY, is_taken=False)
    return Choice(answer=labelled.answer, agent=choice.agent, is_taken=choice.is_sure)


def _share(are_so: Sequence[bool]) -> float | None:
    return round(sum(are_so) / len(are_so), 4) if are_so else None
