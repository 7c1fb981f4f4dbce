"""Avro in the router: nothing waits for the registry but the messages whose schema is not known."""

from __future__ import annotations

import json
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from flink_jobs.operators.values import ASK_AGAIN_S, Values
from pointsman.avro.codec import PayloadCodec, subject_of
from pointsman.avro.framing import PayloadSchema, framed
from pointsman.avro.schema import schema_of
from pointsman.envelope import AVRO, Record
from tests.durable_call import Calls, Flink, calls, row_of, started
from tests.memory_registry import MemoryRegistry

assert calls, "a fixture"

CONTRACT = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
SCHEMA = json.dumps(schema_of("lead.received", [CONTRACT]))
HEADERS = {
    "ce_specversion": b"1.0",
    "ce_id": b"m",
    "ce_source": b"/t",
    "ce_type": b"lead.received",
    "ce_workflowid": b"w",
}


class Later(Executor):
    """Does what it is given when a test says so."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, Future[Any]]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.given.append((fn, future))
        return future

    def work(self) -> None:
        given, self.given = self.given, []
        for do, future in given:
            try:
                future.set_result(do())
            except Exception as error:
                future.set_exception(error)


class Desk:
    def __init__(self) -> None:
        self.registry, self.executor, self.now = MemoryRegistry(), Later(), 0.0
        self.registry.register(subject_of("lead.received"), SCHEMA)
        self.values = Values(PayloadCodec(self.registry, lambda: self.now), self.executor, lambda: self.now)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def record(value: bytes, offset: int = 1, workflow: bytes = b"w") -> Record:
    headers = {**HEADERS, "ce_id": str(offset).encode(), "ce_workflowid": workflow}
    return Record(topic="agent_messages", key=workflow, value=value, headers=headers, partition=0, offset=offset)


def avro(schema_id: int = 1) -> bytes:
    return framed(schema_id, PayloadSchema(SCHEMA).write({"a": 7}) or b"")


def row(value: bytes, offset: int, workflow: bytes = b"w") -> Any:
    return row_of(record(value, offset, workflow), 1, 1, 0, 0, 0, 0, 0, "lead.received", 0)


def test_a_schema_is_asked_for_once_and_read_with_afterwards(desk: Desk) -> None:
    assert desk.values.readable(record(avro())) is None
    assert desk.values.readable(record(avro())) is None
    assert len(desk.executor.given) == 1
    desk.executor.work()
    read = desk.values.readable(record(avro()))
    assert read is not None
    assert (read.decoded, read.value) == ({"a": 7}, avro())
    assert desk.executor.given == []


def test_a_registry_that_is_out_is_asked_again_after_a_while(desk: Desk) -> None:
    desk.registry.is_out = True
    desk.values.readable(record(avro()))
    desk.executor.work()
    for _ in range(3):
        assert desk.values.readable(record(avro())) is None
    assert desk.executor.given == []
    desk.registry.is_out = False
    desk.now += ASK_AGAIN_S
    desk.values.readable(record(avro()))
    desk.executor.work()
    assert desk.values.readable(record(avro())) is not None


def test_ids_that_nobody_knows_are_not_remembered_for_ever(desk: Desk) -> None:
    for number in range(2, 2_500):
        assert desk.values.readable(record(avro(number))) is None
        desk.executor.work()
    assert len(desk.values._asked) < 1_100


def test_what_the_router_writes_itself_is_json_until_its_schema_is_known(desk: Desk) -> None:
    said = record(b'{"a":7}')
    assert desk.values.written(said) == said
    desk.executor.work()
    assert desk.values.written(said).headers["content-type"] == AVRO


def test_without_a_registry_everything_is_as_it_is() -> None:
    values, said = Values(None), record(avro())
    assert values.readable(said) is said
    assert values.written(said) is said


def test_a_message_waits_in_state_for_its_schema_and_others_pass(calls: Calls, desk: Desk) -> None:
    flink = started(Flink())
    flink.operator._values = desk.values
    assert flink.message(row(avro(), 1)) == []
    assert flink.message(row(b'{"a":1}', 2)) == [], "of the same workflow: behind it"
    assert flink.message(row(b'{"a":1}', 3, b"other")) == ["agents.only.inbox"]
    assert flink.tick() == []
    assert len(flink.pending) == 2
    desk.executor.work()
    assert flink.tick() == ["agents.only.inbox", "agents.only.inbox"]
    assert flink.pending == {}


def test_after_a_restart_it_is_asked_for_again(calls: Calls, desk: Desk) -> None:
    before = started(Flink())
    before.operator._values = desk.values
    before.message(row(avro(), 1))
    after = Flink(before.pending, before.kept)
    again = Desk()
    after.operator._values = again.values
    assert after.tick() == []
    again.executor.work()
    assert after.tick() == ["agents.only.inbox"]


def test_an_inbox_copy_has_the_very_bytes_and_what_cannot_be_read_is_a_dead_letter(calls: Calls, desk: Desk) -> None:
    flink = started(Flink())
    flink.operator._values = desk.values
    flink.message(row(avro(), 1))
    flink.message(row(framed(44, b"x"), 2, b"other"))
    desk.executor.work()
    rows = [each for each in flink.operator.on_timer(0, flink) if each[0].startswith("agent")]  # type: ignore[arg-type]
    inbox, letter = (next(each for each in rows if each[0] == topic) for topic in ("agents.only.inbox", "agent_errors"))
    assert bytes.fromhex(inbox[2]) == avro()
    assert (bytes.fromhex(letter[2]), letter[3]["x_error_reason"]) == (framed(44, b"x"), b"invalid_avro")
