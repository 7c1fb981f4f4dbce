"""Definitions are compared with each other: lost events, islands, misspelt types and twins are told."""

from __future__ import annotations

from typing import Any

from pointsman.definitions import AgentDefinition
from pointsman.definitions.checks import check, contradictions

ANY: dict[str, Any] = {"type": "object"}


def agent(name: str, accepts: list[str], emits: list[str | dict[str, Any]], description: str = "") -> AgentDefinition:
    entries = [{"type": entry} if isinstance(entry, str) else entry for entry in emits]
    return AgentDefinition.model_validate({
        "name": name,
        "version": "1.0.0",
        "description": description or " ".join(f"{name}{number}" for number in range(5)),
        "accepts": [{"type": entry, "contract": ANY} for entry in accepts],
        "emits": [{"contract": ANY, **entry} for entry in entries],
    })  # fmt: skip


def told(*definitions: AgentDefinition) -> list[str]:
    return [str(problem) for problem in check(definitions)]


END: dict[str, Any] = {"type": "order.shipped", "terminal": True}


def test_a_sound_set_gives_no_warning() -> None:
    assert told(agent("taker", ["order.received"], ["order.checked"]), agent("shipper", ["order.checked"], [END])) == []


def test_an_event_that_nobody_accepts_is_told_with_the_nearest_type() -> None:
    (first,) = told(agent("taker", ["order.received"], ["order.checkt"]), agent("shipper", ["order.checked"], [END]))[
        :1
    ]
    assert first == (
        "agent taker: warning: nobody accepts order.checkt, and it is not terminal: did you mean order.checked?"
    )


def test_an_event_that_nobody_accepts_may_have_to_be_terminal() -> None:
    (only,) = told(agent("taker", ["order.received"], ["parcel.sent"]))
    assert "write terminal: true if the workflow ends here" in only


def test_an_accepted_type_that_is_nearly_an_emitted_one_is_told() -> None:
    lines = told(
        agent("taker", ["order.received"], ["order.checked"]),
        agent("packer", ["order.checked"], [END]),
        agent("shipper", ["order.cheked"], [{"type": "order.lost", "terminal": True}]),
    )
    assert lines == ["agent shipper: warning: no agent emits order.cheked: did you mean order.checked?"]


def test_types_from_outside_need_no_emitter() -> None:
    assert told(agent("taker", ["order.received", "refund.asked"], [END])) == []


def test_a_terminal_type_that_somebody_accepts_is_told() -> None:
    (only,) = told(
        agent("taker", ["order.received"], [END]), agent("filer", ["order.shipped"], [{**END, "type": "a.b"}])
    )
    assert "order.shipped is terminal, yet it is accepted by filer" in only


def test_an_island_of_agents_is_told() -> None:
    lines = told(
        agent("taker", ["order.received"], [END]),
        agent("ping", ["pong.sent"], ["ping.sent"]),
        agent("pong", ["ping.sent"], ["pong.sent"]),
    )
    assert [line.split(":")[0] for line in lines if "no event from outside leads here" in line] == [
        "agent ping",
        "agent pong",
    ]


def test_descriptions_that_share_their_words_are_told() -> None:
    text = "Writes a friendly reply to a customer who asks about an order"
    (only,) = told(
        agent("first", ["order.received"], [END], text), agent("second", ["order.received"], [END], f"{text} again.")
    )
    assert only.startswith("agent second: warning: the description shares")
    assert "with that of first" in only


def test_a_strict_rule_that_cannot_work_is_an_error() -> None:
    lines = told(
        agent("taker", ["order.received"], [{"type": "order.checked", "next_agent": "shiper"}]),
        agent("shipper", ["order.checked"], [{"type": "order.packed", "next_agent": "taker"}]),
    )
    assert "agent taker: error: there is no agent shiper: did you mean shipper?" in lines
    assert "agent shipper: error: taker does not accept order.packed; it accepts order.received" in lines


def test_a_plan_is_taken_by_the_router_and_so_is_not_lost() -> None:
    planner = agent("planner", ["order.received", "parts.joined"], ["plan.proposed", END])
    assert told(planner) == []


def test_what_the_router_takes_itself_reaches_no_agent() -> None:
    (first,) = told(agent("taker", ["order.received", "plan.proposed"], [END]))
    assert (
        first == "agent taker: error: plan.proposed is taken by the router job itself and reaches no agent: remove it"
    )


def test_what_may_not_be_published_is_told_apart_from_what_may_be_meant() -> None:
    doubtful = agent("taker", ["order.received"], ["order.checkt"])
    wrong = agent("shipper", ["order.checked"], [{"type": "order.shipped", "next_agent": "nobody"}])
    assert contradictions([doubtful]) == []
    assert [problem.severity for problem in contradictions([doubtful, wrong])] == ["error"]
