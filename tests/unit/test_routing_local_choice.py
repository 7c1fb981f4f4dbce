"""Where the local model decides, and where it does not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pointsman.catalog import Catalog
from pointsman.envelope import Payload
from pointsman.routing import Counters, Decision, Method, ModelQuestion, Outcome, Router, RoutingOptions
from pointsman.routing.local_choice import LocalChoice
from tests.unit.test_routing_router import NOW, definition, message


class Chooser:
    """Chooses what it was told to, and remembers among whom."""

    version = "v1"

    def __init__(self, agent: str | None, confidence: float) -> None:
        self.agent = agent
        self.confidence = confidence
        self.asked: list[Sequence[str]] = []

    def choose(self, event_type: str, payload: Payload, agents: Sequence[str]) -> LocalChoice | None:
        self.asked.append(tuple(agents))
        if self.agent is None:
            return None
        return LocalChoice(agent=self.agent, confidence=self.confidence, threshold=0.8, because=("score >= 5",))


STRICT = {"type": "object", "required": ["weight"]}
AGENTS = (
    definition("cold"), definition("warm"),
    definition("strict", accepts=[{"type": "parcel.weighed", "contract": STRICT}]),
)  # fmt: skip


def router(chooser: Chooser | None, *, first: bool = False) -> Router:
    return Router(Catalog.of(AGENTS), RoutingOptions(local_first=first), chooser)


def stand_in(chooser: Chooser | None) -> Decision | None:
    asked = router(chooser)
    question = asked.prepare(message(), Counters(step=1), NOW)
    assert isinstance(question, ModelQuestion)
    return asked.stand_in(message(), question)


def test_while_no_model_answers_the_local_model_decides_where_it_is_sure() -> None:
    decision = stand_in(Chooser("warm", 0.93))
    assert decision is not None
    assert (decision.outcome, decision.how, decision.agent) == (Outcome.ROUTED, Method.LOCAL_MODEL, "warm")
    assert decision.reason == "the local model is 0.93 sure (needs 0.80): score >= 5"
    assert decision.to_json()["local_call"] == {"model": "v1", "confidence": 0.93, "threshold": 0.8}
    assert [each.agent for each in decision.candidates] == ["cold", "strict", "warm"]


@pytest.mark.parametrize("chooser", [None, Chooser("warm", 0.79), Chooser(None, 1.0)])
def test_otherwise_the_message_waits(chooser: Chooser | None) -> None:
    assert stand_in(chooser) is None


def test_it_chooses_only_among_agents_whose_contract_takes_the_message() -> None:
    chooser = Chooser("warm", 0.9)
    stand_in(chooser)
    assert chooser.asked == [("cold", "warm")]


def test_it_is_not_asked_first_unless_told_to() -> None:
    chooser = Chooser("warm", 1.0)
    assert isinstance(router(chooser).prepare(message(), Counters(step=1), NOW), ModelQuestion)
    assert chooser.asked == []


def test_asked_first_it_decides_where_it_is_sure_and_else_the_model_is_asked() -> None:
    sure = router(Chooser("cold", 0.9), first=True).prepare(message(), Counters(step=1), NOW)
    assert isinstance(sure, Decision)
    assert (sure.how, sure.agent) == (Method.LOCAL_MODEL, "cold")
    unsure = router(Chooser("cold", 0.5), first=True).prepare(message(), Counters(step=1), NOW)
    assert isinstance(unsure, ModelQuestion)


def test_an_agent_that_needs_approval_does_not_get_it_from_the_local_model_either() -> None:
    careful = Router(
        Catalog.of([definition("cold"), definition("warm", approval="required")]), None, Chooser("warm", 0.9)
    )
    question = careful.prepare(message(), Counters(step=1), NOW)
    assert isinstance(question, ModelQuestion)
    decision = careful.stand_in(message(), question)
    assert decision is not None
    assert (decision.outcome, decision.reason_code, decision.proposed) == (
        Outcome.ABSTAINED, "approval_required", "warm",
    )  # fmt: skip
    assert decision.how is Method.LOCAL_MODEL


def test_a_limit_holds_also_where_it_is_sure() -> None:
    parked = router(Chooser("cold", 1.0), first=True).prepare(message(), Counters(step=1_000), NOW)
    assert isinstance(parked, Decision)
    assert parked.reason_code == "step_limit"
