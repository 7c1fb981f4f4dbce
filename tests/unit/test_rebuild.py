"""Where workflows stand, from messages and decisions alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pointsman.decision_log import read_decisions
from pointsman.envelope import Record
from pointsman.rebuild import mismatches, rebuild
from pointsman.topics import WORKFLOW_STATE
from pointsman.workflow_states import Status
from tests.logged import chooses, decided, scored


def journey() -> tuple[list[Record], list[Record]]:
    """Three messages, and all that the router writes about them."""
    first, second = scored(1), scored(2, event_type="mail.sent")
    other = scored(3, workflow_id="x", payload={})
    written = [*decided(first, chooses("warm")), *decided(second, step=2), *decided(other)]
    return [first, second, other], written


def states(written: list[Record]) -> list[Record]:
    return [record for record in written if record.topic == WORKFLOW_STATE]


def test_the_rebuilt_states_are_those_that_the_router_wrote() -> None:
    messages, written = journey()
    rebuilt = rebuild(messages, read_decisions(reversed(written)))
    assert {name: state.status for name, state in rebuilt.states.items()} == {
        "w": Status.COMPLETED,
        "x": Status.DEAD_LETTER,
    }
    assert mismatches(rebuilt, states(written), states(written)) == []


def test_a_cancelled_workflow_is_rebuilt_as_one() -> None:
    written = decided(scored(1), is_cancelled=True)
    rebuilt = rebuild([scored(1)], read_decisions(written))
    assert rebuilt.states["w"].status is Status.CANCELLED
    assert mismatches(rebuilt, states(written), states(written)) == []


def test_a_state_that_says_something_else_is_named() -> None:
    messages, written = journey()
    kept = [record for record in states(written) if record.key != b"x"]
    (found,) = mismatches(rebuild(messages, read_decisions(written)), kept, kept)
    assert (found.workflow_id, found.kept) == ("x", None)


def test_a_workflow_with_a_plan_is_not_compared() -> None:
    messages, written = journey()
    decisions = [
        replace(one, value={**one.value, "inputs": {**one.value["inputs"], "by_plan": one.workflow_id == "x"}})
        for one in read_decisions(written)
    ]
    rebuilt = rebuild(messages, decisions)
    assert rebuilt.planned == {"x"}
    kept = [record for record in states(written) if record.key != b"x"]
    assert mismatches(rebuilt, kept, kept) == []


def test_what_moves_while_it_is_read_is_left_out() -> None:
    messages, written = journey()
    before = states(decided(scored(1), chooses("warm")))
    assert mismatches(rebuild(messages[:1], read_decisions(written[:3])), before, states(written)) == []


def test_a_message_without_a_decision_is_named_and_a_repeat_is_not() -> None:
    messages, written = journey()
    waiting, repeat = scored(7), replace(messages[0], offset=8)
    rebuilt = rebuild([*messages, waiting, repeat], read_decisions(written))
    assert [str(place) for place in rebuilt.undecided] == ["agent_messages-1@7"]
    assert rebuilt.orphans == []


def test_a_decision_whose_message_is_gone_is_named() -> None:
    _, written = journey()
    assert len(rebuild([], read_decisions(written)).orphans) == 3


def test_entries_that_make_no_state_are_left_out() -> None:
    entries: list[dict[str, Any]] = [{"outcome": "lost"}, {"decided_at": None}, {"workflow_id": None}]
    for changes in entries:
        (decision,) = read_decisions(decided(scored(1), is_cancelled=True))
        odd = replace(decision, value={**decision.value, **changes})
        odd = replace(odd, decided_at=None) if "decided_at" in changes else odd
        assert rebuild([scored(1)], [odd]).states == {}
