"""A new local model beside the one in force: how both do on messages that neither has seen, and on what was decided.

Pure. Nothing is adopted here: whoever reads the proposal does that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pointsman.decision_log import LoggedDecision
from pointsman.envelope import Payload, Record, decode
from pointsman.errors import InvalidEnvelopeError
from pointsman.evaluation.dataset import fingerprint
from pointsman.local_model.judging import Changes, changes
from pointsman.local_model.labelled import Labelled
from pointsman.local_model.model import LocalModel
from pointsman.routing.local_choice import LocalChoice

FEWEST: Final = 20
"""On fewer messages that no model has seen nothing can be said."""
_FOLDS: Final = 5

Train = Callable[[Sequence[Labelled]], LocalModel]


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a model does with messages that it has not seen.

    Attributes:
        messages: how many.
        right: it acts, and rightly.
        wrong: it acts, and wrongly.
    """

    messages: int
    right: int
    wrong: int

    def worth(self, accuracy: float) -> float:
        """What its acts are worth, in messages: acts of which exactly the share `accuracy` is right are worth nothing.

        Args:
            accuracy: share of right choices that is wanted, 0 to 1: at 0.95 a wrong one outweighs 19 right ones.
        """
        return self.right * (1 - accuracy) - self.wrong * accuracy


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision of the log that somebody had to judge: several agents could take the message.

    Attributes:
        event_type: the message's type.
        payload: its payload.
        agents: the agents whose contract took it.
        agent: who got it; None when it was left to a person.
        calls: answers of a chat model that it took.
    """

    event_type: str
    payload: Payload
    agents: tuple[str, ...]
    agent: str | None
    calls: int


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a model would make of decisions of the log, were it asked first.

    Attributes:
        decisions: how many needed a judgement.
        acts: on so many of them it acts.
        same: and chooses who got the message.
        other: and chooses somebody else.
        escalated: and chooses an agent where a person was asked.
        calls_saved: answers of a chat model that were not needed.
        seen: it was trained on so many of these messages, which flatters it.
    """

    decisions: int
    acts: int
    same: int
    other: int
    escalated: int
    calls_saved: int
    seen: int


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A model in a proposal.

    Attributes:
        model: the model.
        unseen: what it does with messages that it has not seen; None when there are too few of them.
        replayed: what it would make of the log; None when nobody looked.
    """

    model: LocalModel
    unseen: Score | None
    replayed: Replayed | None


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A new local model and the one in force.

    Attributes:
        accuracy: share of right choices among those acted on that is wanted, 0 to 1.
        messages: labelled messages that the new one was trained on.
        unseen: how many of them the one in force was not trained on.
        before: the one in force; None when there is none.
        after: the new one.
        changed: on how many of the messages the two do otherwise; None when there is none in force.
    """

    accuracy: float
    messages: int
    unseen: int
    before: Beside | None
    after: Beside
    changed: Changes | None

    @property
    def is_better(self) -> bool:
        """Whether the new one's acts are worth more, on enough messages that neither has seen."""
        new = self.after.unseen
        if new is None:
            return False
        old = self.before.unseen if self.before and self.before.unseen else Score(messages=0, right=0, wrong=0)
        return new.worth(self.accuracy) > old.worth(self.accuracy)

    @property
    def verdict(self) -> str:
        """The same, in one sentence."""
        if self.after.unseen is None:
            return f"too little to tell: {self.unseen} messages are new to the model in force, {FEWEST} are needed"
        if not self.is_better:
            return "not better on messages that neither has seen: keep what is in force"
        if self.after.unseen.worth(self.accuracy) < 0:
            wanted = f"less than {self.accuracy:.1%} of its choices were right"
            return f"better than what is in force on messages that neither has seen, yet {wanted}"
        return "better on messages that neither has seen"


def proposed(
    labelled: Sequence[Labelled],
    current: LocalModel | None,
    train: Train,
    *,
    accuracy: float,
    log: Sequence[Decided] | None = None,
) -> Proposal:
    """Train a model on all of `labelled` and put it beside `current`.

    Each message that `current` was not trained on is judged by `current`, and by a new model that was trained without
    it (five-fold), so that neither has seen it.

    Args:
        labelled: messages that leave a choice.
        current: the model in force, if there is one.
        train: trains a model.
        accuracy: share of right choices among those acted on that is wanted, 0 to 1.
        log: decisions to make again, if any were read.

    Raises:
        ConfigurationError: there is too little to train on.
    """
    known = frozenset(current.facts.get("seen", ())) if current else frozenset()
    new_to_it = [each for each in labelled if each.fingerprint not in known]
    enough = len(new_to_it) >= FEWEST
    model = train(labelled)
    return Proposal(
        accuracy=accuracy,
        messages=len(labelled),
        unseen=len(new_to_it),
        before=_beside(current, _score([(each, _choice(current, each)) for each in new_to_it]) if enough else None, log)
        if current
        else None,
        after=_beside(model, _cross_scored(labelled, new_to_it, train) if enough else None, log),
        changed=changes(current, model, labelled) if current else None,
    )


def decided(logged: LoggedDecision, record: Record) -> Decided | None:
    """A decision of the log as a model can make it again; None where contracts or a person's word decided."""
    agents = tuple(str(each.get("agent")) for each in logged.candidates if each.get("fits") is True)
    judged = logged.model_call is not None or logged.how in {"model", "fallback_model", "local_model"}
    if len(agents) < 2 or not judged:
        return None
    try:
        message = decode(record)
    except InvalidEnvelopeError:
        return None
    calls = (logged.model_call or {}).get("completions", 1) if logged.model_call else 0
    return Decided(
        event_type=message.event_type,
        payload=message.payload,
        agents=agents,
        agent=logged.agent if logged.outcome == "routed" else None,
        calls=calls if isinstance(calls, int) else 1,
    )


def replayed(model: LocalModel, log: Iterable[Decided]) -> Replayed:
    """What `model` would make of the decisions in `log`, were it asked first."""
    known = frozenset(model.facts.get("seen", ()))
    decisions = acts = same = escalated = saved = seen = 0
    for one in log:
        decisions += 1
        seen += fingerprint(one.event_type, one.payload) in known
        choice = model.choose(one.event_type, one.payload, one.agents)
        if choice is None or not choice.is_sure:
            continue
        acts += 1
        saved += one.calls
        same += choice.agent == one.agent
        escalated += one.agent is None
    return Replayed(
        decisions=decisions, acts=acts, same=same, other=acts - same - escalated,
        escalated=escalated, calls_saved=saved, seen=seen,
    )  # fmt: skip


def _beside(model: LocalModel, score: Score | None, log: Sequence[Decided] | None) -> Beside:
    return Beside(model=model, unseen=score, replayed=None if log is None else replayed(model, log))


def _cross_scored(labelled: Sequence[Labelled], judged: Sequence[Labelled], train: Train) -> Score:
    # In order of their answers, so that each part has its share of every answer; the same parts each time.
    ordered = sorted(judged, key=lambda each: (each.answer, each.fingerprint))
    found: list[tuple[Labelled, LocalChoice | None]] = []
    for fold in range(_FOLDS):
        left_out = ordered[fold::_FOLDS]
        out = {each.fingerprint for each in left_out}
        model = train([each for each in labelled if each.fingerprint not in out])
        found += [(each, _choice(model, each)) for each in left_out]
    return _score(found)


def _choice(model: LocalModel, each: Labelled) -> LocalChoice | None:
    return model.choose(each.event_type, each.payload, each.agents)


def _score(found: Sequence[tuple[Labelled, LocalChoice | None]]) -> Score:
    acted = [(each, choice) for each, choice in found if choice is not None and choice.is_sure]
    right = sum(choice.agent == each.answer for each, choice in acted)
    return Score(messages=len(found), right=right, wrong=len(acted) - right)
