"""The durable call operator without Flink: what is kept, what leaves, what a restart does."""

import pytest

from flink_jobs.operators import route
from flink_jobs.operators.shard import MAX_WAITING
from pointsman.catalog import Catalog
from pointsman.envelope import Record
from tests.durable_call import CATALOG, Calls, Flink, agent, calls, message, started

assert calls, "a fixture"


def test_a_decision_without_model_leaves_at_once_and_touches_no_state(calls: Calls) -> None:
    flink = started(Flink())

    assert flink.message(message("w", 1, "lead.received")) == ["agents.only.inbox"]
    assert flink.pending == {}
    assert flink.timers == []


def test_a_message_that_waits_for_the_model_is_in_state_until_it_leaves(calls: Calls) -> None:
    flink = started(Flink())

    assert flink.message(message("w", 1)) == []
    assert len(flink.pending) == 1
    assert flink.timers

    assert flink.tick() == []
    calls.answer(0)
    assert flink.tick() == ["agents.warm.inbox"]
    assert flink.pending == {}


def test_a_decided_message_waits_behind_an_undecided_one_of_its_workflow(calls: Calls) -> None:
    flink = started(Flink())
    flink.message(message("w", 1))

    assert flink.message(message("w", 2, "lead.received")) == []
    assert flink.message(message("other", 3, "lead.received")) == ["agents.only.inbox"]
    calls.answer(0)
    assert flink.tick() == ["agents.warm.inbox", "agents.only.inbox"]


def test_a_restart_asks_again_for_what_was_in_flight_and_keeps_the_order(calls: Calls) -> None:
    before = started(Flink())
    for offset in (10, 9, 11):
        before.message(message("w", offset))
    before.operator.close()
    assert all(answer.cancelled() for _, answer in calls.open)
    calls.open.clear()

    after = Flink(before.pending, before.kept)
    assert after.tick() == []
    assert len(calls.open) == 3
    for index, name in enumerate(("warm", "cold", "warm")):
        calls.answer(index, name)
    assert after.tick() == ["agents.warm.inbox", "agents.cold.inbox", "agents.warm.inbox"]
    assert after.pending == {}


def test_after_a_persons_cancellation_nothing_of_the_workflow_is_routed_also_after_a_restart(calls: Calls) -> None:
    flink = started(Flink())
    assert flink.message(message("w", 1)) == []
    assert flink.message(message("w", 2, "workflow.cancelled", cancels=True)) == []
    assert flink.message(message("w", 3)) == []
    assert flink.message(message("other", 4, "lead.received")) == ["agents.only.inbox"]
    calls.answer(0)
    assert flink.tick() == ["agents.warm.inbox"]
    assert len(calls.open) == 1

    restarted = Flink(flink.pending, flink.kept, cancelled=flink.cancelled)
    restarted.tick()
    assert restarted.message(message("w", 5, "lead.received")) == []
    assert restarted.message(message("other", 6, "lead.received")) == ["agents.only.inbox"]


def test_messages_wait_for_the_first_catalog(calls: Calls) -> None:
    flink = Flink()
    assert flink.message(message("w", 1, "lead.received")) == []
    assert flink.tick() == []

    started(flink)

    assert flink.tick() == ["agents.only.inbox"]
    assert flink.pending == {}


def test_a_full_shard_without_a_catalog_still_takes_messages(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    # The catalog comes in through the same thread: to block it would be to wait for ever.
    monkeypatch.setattr(route, "_LOOK_AGAIN_S", 0.0)
    flink = Flink()
    for offset in range(MAX_WAITING + 5):
        assert flink.message(message(f"w{offset}", offset, "lead.received")) == []

    started(flink)

    assert len(flink.tick()) == MAX_WAITING + 5


def test_a_full_shard_lets_answered_messages_go_before_it_takes_the_next(calls: Calls) -> None:
    flink = started(Flink())
    for offset in range(MAX_WAITING):
        flink.message(message(f"w{offset}", offset))
    calls.answer(3)

    assert flink.message(message("late", MAX_WAITING)) == ["agents.warm.inbox"]
    assert len(flink.pending) == MAX_WAITING


@pytest.mark.parametrize(("subtask", "reported"), [(0, ["agent_errors"]), (1, [])])
def test_garbage_among_the_definitions_is_reported_by_one_instance_only(
    calls: Calls, subtask: int, reported: list[str]
) -> None:
    flink = started(Flink(subtask=subtask))
    junk = Record(topic="agent_definitions", key=b"warm", value=b"junk", headers={}, partition=0, offset=9)

    assert flink.definition(junk) == reported
    assert flink.message(message("w", 1, "lead.received")) == ["agents.only.inbox"]


def test_a_model_call_under_way_is_concluded_by_the_catalog_that_asked(calls: Calls) -> None:
    flink = started(Flink())
    flink.message(message("w", 1))
    for record in Catalog.of([agent("cold", "lead.scored")], 2).records(CATALOG):
        flink.definition(record)

    calls.answer(0, "warm")

    assert flink.tick() == ["agents.warm.inbox"]
