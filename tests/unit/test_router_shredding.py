"""Encryption in the router: nothing waits for the store of the keys but the messages whose key is not known."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from flink_jobs.operators import route
from flink_jobs.operators.route import DurableCall, RouteOptions
from flink_jobs.operators.values import ASK_AGAIN_S, Values
from pointsman.decision_log import parsed_object
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError
from pointsman.models.port import ChatAnswer
from pointsman.settings import Settings
from pointsman.shredding.cache import KEPT_FOR_S, Sealing
from pointsman.shredding.sealing import is_sealed
from pointsman.shredding.values import ValueCodec
from pointsman.topics import DECISIONS, ERRORS, LEADS, MESSAGES, SHADOW_DECISIONS
from tests.durable_call import Calls, Flink, calls, row_of, started
from tests.unit.test_router_values import Later
from tests.unit.test_shredding import MemoryKeys

assert calls, "a fixture"


class Desk:
    """Keys, and a router that has them."""

    def __init__(self) -> None:
        self.keys, self.executor, self.now = MemoryKeys(), Later(), 0.0
        self.agent = ValueCodec(None, Sealing(self.keys, lambda: self.now))

    def on(self, flink: Flink) -> Flink:
        sealing = Sealing(self.keys, lambda: self.now)
        flink.operator._values = Values(None, self.executor, lambda: self.now, sealing)
        return flink


@pytest.fixture
def desk() -> Desk:
    return Desk()


def message(offset: int, workflow: bytes = b"w", event_type: bytes = b"lead.received") -> Record:
    headers = {
        "ce_specversion": b"1.0", "ce_id": str(offset).encode(), "ce_source": b"/t", "ce_type": event_type,
        "ce_workflowid": workflow,
    }  # fmt: skip
    return Record(topic=MESSAGES, key=workflow, value=b'{"a":1}', headers=headers, partition=0, offset=offset)


def counted(record: Record) -> Any:
    return row_of(record, 1, 1, 0, 0, 0, 0, 0, "lead.received", 0)


def lead(record: Record, topic: str) -> Any:
    """A row of `sql/leads_to_seal.sql`."""
    return row_of(replace(record, partition=-1 - record.partition), 0, 0, 0, 0, 0, 0, 0, topic, 0, 0)


def written(rows: Any) -> dict[str, bytes]:
    return {row[0]: bytes.fromhex(row[2] or "") for row in rows}


def test_a_message_waits_for_its_key_and_what_is_copied_are_the_very_bytes(calls: Calls, desk: Desk) -> None:
    flink = desk.on(started(Flink()))
    sealed = desk.agent.written(message(1))
    assert flink.message(counted(sealed)) == []
    assert flink.tick() == []
    desk.executor.work()
    rows = written(flink.operator.on_timer(0, flink))  # type: ignore[arg-type]
    assert rows["agents.only.inbox"] == sealed.value
    assert flink.pending == {}
    assert flink.message(counted(replace(sealed, offset=2))) == ["agents.only.inbox"], "the key is known now"


def test_others_pass_while_the_store_is_away_and_nothing_is_lost(calls: Calls, desk: Desk) -> None:
    flink = desk.on(started(Flink()))
    flink.message(counted(desk.agent.written(message(1))))
    desk.executor.work()
    assert flink.tick() == ["agents.only.inbox"]
    late = desk.agent.written(message(3, b"other"))
    desk.keys.is_out = True
    assert flink.message(counted(late)) == []
    desk.executor.work()
    assert flink.message(counted(desk.agent.written(message(4)))) == ["agents.only.inbox"]
    assert flink.tick() == []
    assert desk.executor.given == [], "it is left alone for a second"
    desk.keys.is_out = False
    desk.now += ASK_AGAIN_S
    assert flink.tick() == []
    desk.executor.work()
    assert flink.tick() == ["agents.only.inbox"]


def test_what_somebody_wrote_plainly_is_sealed_on_its_way_to_the_inbox(calls: Calls, desk: Desk) -> None:
    flink = desk.on(started(Flink()))
    flink.message(counted(message(1)))
    desk.executor.work()
    rows = written(flink.operator.on_timer(0, flink))  # type: ignore[arg-type]
    assert is_sealed(rows["agents.only.inbox"])


def test_a_lead_is_sealed_and_written_and_nothing_is_decided_on_it(calls: Calls, desk: Desk) -> None:
    flink = desk.on(started(Flink()))
    assert flink.message(lead(message(1), MESSAGES)) == []
    nameless = replace(message(2), headers={"x_error_reason": b"invalid_json"}, key=b'{"_id": "l"}', value=b"hello {")
    assert flink.message(lead(nameless, ERRORS)) == []
    desk.executor.work()
    rows = list(flink.operator.on_timer(0, flink))  # type: ignore[arg-type]
    assert [row[0] for row in rows] == [MESSAGES, ERRORS]
    assert all(is_sealed(value) for value in written(rows).values())
    assert flink.pending == {}
    again = Record(topic=ERRORS, key=nameless.key, value=bytes.fromhex(rows[1][2]), headers={})
    assert desk.agent.readable(again).decoded is not None


def test_a_lead_and_a_message_at_the_same_place_wait_side_by_side_and_survive_a_restart(
    calls: Calls, desk: Desk
) -> None:
    before = desk.on(started(Flink()))
    before.message(lead(message(1, b"v"), MESSAGES))
    before.message(counted(desk.agent.written(message(1))))
    assert len(before.pending) == 2
    after = desk.on(Flink(before.pending, before.kept))
    after.tick()
    desk.executor.work()
    assert sorted(after.tick()) == [MESSAGES, "agents.only.inbox"]


def test_what_was_erased_is_over_and_no_dead_letter(calls: Calls, desk: Desk) -> None:
    flink = desk.on(started(Flink()))
    sealed = desk.agent.written(message(1))
    desk.keys.erase(b"w")
    flink.message(counted(sealed))
    flink.message(lead(message(7), MESSAGES))
    desk.executor.work()
    rows = list(flink.operator.on_timer(0, flink))  # type: ignore[arg-type]
    assert {row[0] for row in rows} == {"agent_decisions", "workflow_state"}
    assert b'"reason_code":"cancelled"' in written(rows)["agent_decisions"]


def test_a_decision_that_waited_long_leaves_with_a_key_that_was_asked_for_again(calls: Calls, desk: Desk) -> None:
    flink = desk.on(started(Flink()))
    flink.message(counted(message(1, event_type=b"lead.scored")))
    desk.executor.work()
    flink.tick()
    desk.now += KEPT_FOR_S
    calls.answer(0)
    assert flink.tick() == [], "its key is too old"
    desk.executor.work()
    assert flink.tick() == ["agents.warm.inbox"]


@pytest.mark.parametrize("told", [Settings(), Settings(encryption_keys=None, mongodb_uri="mongodb://m")])
def test_a_job_that_must_encrypt_does_not_start_without_keys(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, told: Settings
) -> None:
    monkeypatch.setattr(route, "settings", lambda: told)
    flink = Flink()
    operator = DurableCall(RouteOptions(encrypted=True))
    with pytest.raises(ConfigurationError, match="POINTSMAN_ENCRYPTION_KEYS"):
        operator.open(flink)  # type: ignore[arg-type]


def test_the_leads_topic_itself_stays_plain(desk: Desk) -> None:
    plain = replace(message(1), topic=LEADS)
    assert desk.agent.written(plain) is plain


def test_the_models_words_are_encrypted_in_the_decision_and_stand_nowhere_else(calls: Calls, desk: Desk) -> None:
    flink = desk.on(started(Flink()))
    flink.message(counted(message(1, event_type=b"lead.scored")))
    desk.executor.work()
    flink.tick()
    content = {"agent": "warm", "reason": "Quirina is ready"}
    answer = ChatAnswer(
        content=content, raw='{"about":"Quirina"}', model="m", input_tokens=1, output_tokens=2, latency_ms=3
    )
    calls.open[0][1].set_result(answer)
    rows = list(flink.operator.on_timer(0, flink))  # type: ignore[arg-type]
    texts = written(rows)
    assert {topic for topic, value in texts.items() if b"Quirina" in value} == set()
    headers = next(dict(row[3]) for row in rows if row[0] == DECISIONS)
    logged = Record(topic=DECISIONS, key=b"1", value=texts[DECISIONS], headers=headers)
    value = parsed_object(desk.agent.for_people([logged])[0].value)
    assert (value["agent"], value["reason"]) == ("warm", "Quirina is ready")
    assert value["model_call"]["raw_answer"] == '{"about":"Quirina"}'
    desk.keys.erase(b"w")
    desk.now += KEPT_FOR_S
    erased = parsed_object(desk.agent.for_people([logged])[0].value)
    assert (erased["agent"], erased["reason"], erased["model_call"]["raw_answer"]) == ("warm", "erased", "erased")
    assert erased["model_call"]["input_tokens"] == 1


def test_the_words_of_a_candidates_model_are_not_logged_at_all(desk: Desk) -> None:
    entry = {"reason": "Quirina", "model_call": {"raw_answer": "Quirina", "model": "m"}, "live": {"agent": "a"}}
    record = Record(
        topic=SHADOW_DECISIONS, key=b"1", value=json.dumps(entry, separators=(",", ":")).encode(), headers={}
    )
    encrypting = Values(None, sealing=Sealing(desk.keys))
    (hidden,) = encrypting.beside([record])
    assert b"Quirina" not in (hidden.value or b"")
    assert parsed_object(hidden.value)["model_call"]["model"] == "m"
    assert list(Values(None).beside([record])) == [record]
