"""Rollouts in the durable call operator: what the candidate decides on a copy, and what it decides for its share."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pyflink.common import Row

from flink_jobs.operators import route, shadowing
from flink_jobs.operators.records import read_message
from pointsman.catalog import Catalog
from pointsman.catalog_history import catalog_json
from pointsman.decision_log import read_decision
from pointsman.envelope import Record
from pointsman.models.port import ChatAnswer, ChatRequest
from pointsman.replay import Replay
from pointsman.rollouts.model import RampStep, Rollout, Stage, Version
from tests.durable_call import CATALOG, Calls, Flink, SharedCalls, agent, message, started
from tests.witness import eventually

NOW = datetime(2030, 1, 2, tzinfo=UTC)
NEWER = Catalog.of([
    agent("warm", "lead.scored"), agent("cold", "lead.scored"),
    agent("only", "lead.received").model_copy(update={"version": "2.0.0"}),
])  # fmt: skip


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> tuple[Calls, Calls]:
    """Those of the traffic, and those beside it."""
    live, beside = Calls(), Calls()
    monkeypatch.setattr(route, "MODEL_CALLS", SharedCalls(live, beside))
    return live, beside


def trying(stage: Stage, percent: int = 100, **candidate: Any) -> Rollout:
    version = Version(**(candidate or {"agents": catalog_json(NEWER), "inboxes": {"only": "2.0.0"}}))
    return Rollout(
        id="r", stage=stage, baseline=Version(), candidate=version, ramp=(RampStep(at_ms=0, percent=percent),),
        by="dana", at=NOW, started_at=NOW,
    )  # fmt: skip


def with_rollout(rollout: Rollout) -> Flink:
    flink = started(Flink())
    assert flink.definition(rollout.to_record()) == []
    return flink


def rows(flink: Flink, row: Row) -> list[Row]:
    return list(flink.operator.process_element(row, flink))  # type: ignore[arg-type]


def value(rows: list[Row], topic: str) -> dict[str, Any]:
    found = next(row for row in rows if row[0] == topic)
    decoded: dict[str, Any] = json.loads(bytes.fromhex(found[2]))
    return decoded


def shadows(flink: Flink) -> list[dict[str, Any]]:
    ticked = list(flink.operator.on_timer(0, flink))  # type: ignore[arg-type]
    return [json.loads(bytes.fromhex(row[2])) for row in ticked if row[0] == "agent_shadow_decisions"]


def test_a_copy_is_decided_on_and_nothing_of_it_reaches_an_inbox(calls: tuple[Calls, Calls]) -> None:
    flink = with_rollout(trying(Stage.SHADOW))
    written = rows(flink, message("w", 1, "lead.received"))
    assert [row[0] for row in written if row[0].startswith("agents.")] == ["agents.only.inbox"]
    assert value(written, "agent_decisions")["release"] is None
    assert flink.timers

    [shadow] = eventually(lambda: shadows(flink), what="a shadow decision")
    assert (shadow["agent"], shadow["agent_version"], shadow["release"]) == ("only", "2.0.0", "r/candidate")
    assert shadow["live"]["agent"] == "only"
    assert shadow["catalog"] == NEWER.version != shadow["live"]["catalog"]


def test_the_candidates_model_is_asked_beside_the_traffic_and_holds_nothing_up(calls: tuple[Calls, Calls]) -> None:
    live, beside = calls
    flink = with_rollout(trying(Stage.SHADOW, model="new"))
    flink.message(message("w", 1))
    live.answer(0, "warm")
    assert flink.tick() == ["agents.warm.inbox"]
    eventually(lambda: beside.open, what="the candidate's question")
    assert (live.open[0][0].model, beside.open[0][0].model) == (None, "new")

    assert flink.message(message("w", 2, "lead.received")) == ["agents.only.inbox"]
    beside.answer(0, "cold")
    found = eventually(lambda: [one for one in shadows(flink) if one["message_id"] == "m1"], what="its decision")
    assert (found[0]["live"]["agent"], found[0]["agent"]) == ("warm", "cold")


def test_a_busy_candidate_is_passed_over_and_the_messages_are_counted(
    calls: tuple[Calls, Calls], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadowing, "MOST_AT_ONCE", 1)
    live, beside = calls
    flink = with_rollout(trying(Stage.SHADOW, model="new"))
    for number in (1, 2, 3):
        flink.message(message("w", number))
        live.answer(number - 1)
        assert flink.tick() == ["agents.warm.inbox"]
    eventually(lambda: beside.open, what="the candidate's question")
    assert len(beside.open) == 1
    beside.answer(0)
    [shadow] = eventually(lambda: shadows(flink), what="its decision")
    assert shadow["skipped"] == 2


def test_a_candidate_that_fails_fails_alone(calls: tuple[Calls, Calls], monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    def broken(*_: object, **__: object) -> None:
        failed.set()
        raise RuntimeError("of no use")

    flink = with_rollout(trying(Stage.SHADOW))
    monkeypatch.setattr("pointsman.routing.router.Router.inputs", _broken_beside(broken))
    assert flink.message(message("w", 1, "lead.received")) == ["agents.only.inbox"]
    assert failed.wait(5)
    eventually(lambda: not flink.operator._shadow.is_busy, what="the end of the shadow decision")


def _broken_beside(broken: Any) -> Any:
    from pointsman.routing.router import Router

    inputs = Router.inputs

    def chosen(router: Router, *arguments: Any) -> Any:
        return inputs(router, *arguments) if threading.current_thread() is threading.main_thread() else broken()

    return chosen


def test_a_canarys_message_goes_to_the_inbox_of_the_version_and_says_so(calls: tuple[Calls, Calls]) -> None:
    flink = with_rollout(trying(Stage.CANARY))
    written = rows(flink, message("w", 1, "lead.received"))
    [sent] = [row for row in written if row[0].startswith("agents.")]
    assert sent[0] == "agents.only.v2.0.0.inbox"
    headers = {name: bytes(octets) for name, octets in sent[3].items()}
    assert (headers["ce_targetversion"], headers["ce_release"]) == (b"2.0.0", b"r/candidate")
    assert headers["ce_agentversion"] == b"2.0.0"
    entry = value(written, "agent_decisions")
    assert (entry["release"], entry["agent_version"], entry["catalog"]) == ("r/candidate", "2.0.0", NEWER.version)


def test_after_a_restart_the_same_side_decides(calls: tuple[Calls, Calls]) -> None:
    before = with_rollout(trying(Stage.CANARY))
    after = Flink(before.pending, before.kept)
    after.tick()
    assert after.message(message("w", 1, "lead.received")) == ["agents.only.v2.0.0.inbox"]


def test_when_the_candidate_is_given_up_what_waits_for_its_model_is_asked_of_the_other_side(
    calls: tuple[Calls, Calls],
) -> None:
    flink = with_rollout(trying(Stage.CANARY, model="new"))
    flink.message(message("w", 1))
    flink.definition(replace(trying(Stage.CANARY, model="new"), stage=Stage.ROLLED_BACK).to_record())
    restored = Flink(flink.pending, flink.kept)
    restored.tick()
    assert [request.model for request, _ in calls[0].open] == ["new", None]
    written = rows(restored, message("other", 2, "lead.received"))
    assert value(written, "agent_decisions")["release"] is None


def test_the_decision_of_a_candidate_with_a_prompt_can_be_made_again(calls: tuple[Calls, Calls]) -> None:
    flink = with_rollout(trying(Stage.CANARY, prompt="Choose the warm one."))
    asked = message("w", 1)
    flink.message(asked)
    request: ChatRequest = calls[0].open[0][0]
    assert request.system.startswith("Choose the warm one.\n\nThe candidates:\n")
    answer: Future[ChatAnswer] = calls[0].open[0][1]
    raw = '{"agent": "warm", "reason": "r"}'
    answer.set_result(
        ChatAnswer(content=json.loads(raw), raw=raw, model="m", input_tokens=0, output_tokens=0, latency_ms=0)
    )
    written = list(flink.operator.on_timer(0, flink))  # type: ignore[arg-type]
    entry = next(row for row in written if row[0] == "agent_decisions")
    logged = read_decision(Record(topic="agent_decisions", key=b"m1", value=bytes.fromhex(entry[2]), headers={}))
    assert logged is not None
    assert logged.agent == "warm"

    source = read_message(asked, "agent_messages").record
    assert Replay({CATALOG.version: CATALOG}).differences(logged, source) == []


def test_an_unreadable_rollout_is_a_dead_letter_and_changes_nothing(calls: tuple[Calls, Calls]) -> None:
    flink = started(Flink())
    bad = replace(trying(Stage.CANARY).to_record(), value=b'{"stage": "canary"}')
    assert flink.definition(bad) == ["agent_errors"]
    assert flink.message(message("w", 1, "lead.received")) == ["agents.only.inbox"]
