"""The durable call operator while the model is out."""

import pytest

from flink_jobs.operators import route
from flink_jobs.operators.asking_again import AskingAgain
from flink_jobs.operators.shard import MAX_WAITING
from pointsman.catalog import Catalog
from tests.durable_call import CATALOG, Calls, Flink, agent, calls, message, started

assert calls, "a fixture"


class Moments:
    """A clock for the questions that are asked again."""

    def __init__(self, flink: Flink, limit_s: float = 900.0) -> None:
        self.now = 0.0
        flink.operator._again = AskingAgain(limit_s, lambda: self.now, lambda: 0.0)


def test_while_the_model_is_out_messages_stay_in_state_and_keep_their_order(calls: Calls) -> None:
    flink = started(Flink())
    moments = Moments(flink)
    flink.message(message("w", 1))
    flink.message(message("w", 2, "lead.received"))
    calls.fail(0)
    assert flink.tick() == []
    assert len(flink.pending) == 2
    assert len(calls.open) == 1

    moments.now += 30
    assert flink.tick() == []
    assert len(calls.open) == 2
    calls.answer(1)
    assert flink.tick() == ["agents.warm.inbox", "agents.only.inbox"]
    assert flink.pending == {}


def test_an_outage_that_lasts_too_long_is_a_persons_work(calls: Calls) -> None:
    flink = started(Flink())
    moments = Moments(flink, limit_s=60.0)
    flink.message(message("w", 1))
    calls.fail(0)
    assert flink.tick() == []
    moments.now += 60
    assert flink.tick() == []
    calls.fail(1)
    assert flink.tick() == ["agent_escalations"]
    assert flink.pending == {}


def test_a_question_is_asked_again_with_the_catalog_that_is_in_force_by_then(calls: Calls) -> None:
    flink = started(Flink())
    moments = Moments(flink)
    flink.message(message("w", 1))
    calls.fail(0)
    flink.tick()
    for record in Catalog.of([agent("cold", "lead.scored")], 2).records(CATALOG):
        flink.definition(record)
    moments.now += 30
    assert flink.tick() == ["agents.cold.inbox"]
    assert len(calls.open) == 1


def test_a_full_shard_takes_messages_slowly_while_the_model_is_out(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To block here would keep checkpoints from passing.
    monkeypatch.setattr(route, "_LOOK_AGAIN_S", 0.0)
    flink = started(Flink())
    Moments(flink)
    for offset in range(MAX_WAITING):
        flink.message(message(f"w{offset}", offset))
    for index in range(MAX_WAITING):
        calls.fail(index)

    for offset in range(MAX_WAITING, MAX_WAITING + 5):
        assert flink.message(message(f"w{offset}", offset)) == []

    assert len(flink.pending) == MAX_WAITING + 5
