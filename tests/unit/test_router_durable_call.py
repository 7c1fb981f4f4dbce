"""The durable call operator without Flink: what is kept, what leaves, what a restart does."""

import base64
import json
import time
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

import pytest
from pyflink.common import Row

from flink_jobs.model_process.address import ModelAddress
from flink_jobs.operators import looks, route
from flink_jobs.operators.answer_times import AnswerTimes
from flink_jobs.operators.asking_again import AskingAgain
from flink_jobs.operators.looks import Looks
from flink_jobs.operators.route import DurableCall, RouteOptions
from flink_jobs.operators.shard import MAX_WAITING
from pointsman.catalog import Catalog
from pointsman.definitions.model import Accepts, AgentDefinition, Emits
from pointsman.envelope import Record
from pointsman.errors import ModelUnavailableError
from pointsman.models.port import ChatAnswer, ChatRequest

SHARD = "a"


class State(dict[str, bytes]):
    """A MapState, or broadcast state, as a dictionary."""

    def put(self, key: str, value: bytes) -> None:
        self[key] = value

    def remove(self, key: str) -> None:
        del self[key]

    def contains(self, key: str) -> bool:
        return key in self


class Calls:
    """Model calls that a test answers by hand."""

    def __init__(self) -> None:
        self.open: list[tuple[ChatRequest, Future[ChatAnswer]]] = []

    def submit(self, request: ChatRequest) -> Future[ChatAnswer]:
        answer: Future[ChatAnswer] = Future()
        self.open.append((request, answer))
        return answer

    def answer(self, index: int, agent: str = "warm") -> None:
        content = {"agent": agent, "reason": "r"}
        self.open[index][1].set_result(
            ChatAnswer(content=content, raw="", model="m", input_tokens=0, output_tokens=0, latency_ms=0)
        )

    def fail(self, index: int) -> None:
        self.open[index][1].set_exception(ModelUnavailableError("down"))


class SharedCalls:
    """Those of the process, for an operator under test: the traffic's, and those beside it."""

    def __init__(self, live: Calls, beside: Calls | None = None) -> None:
        self.live, self.beside = live, beside or live
        self.users = 0

    def take(self, address: ModelAddress) -> Calls:
        self.users += 1
        return self.to(address)

    def to(self, address: ModelAddress) -> Calls:
        return self.beside if address.is_shadow else self.live

    def give_back(self) -> None:
        self.users -= 1


class Flink:
    """One instance of the operator on state that outlives it."""

    def __init__(
        self,
        pending: State | None = None,
        kept: State | None = None,
        subtask: int = 0,
        cancelled: State | None = None,
        plans: State | None = None,
    ) -> None:
        self.pending = State() if pending is None else pending
        self.cancelled = State() if cancelled is None else cancelled
        self.plans = State() if plans is None else plans
        self.kept = State() if kept is None else kept
        self.subtask = subtask
        self.timers: list[int] = []
        self.operator = DurableCall(RouteOptions())
        self.operator.open(self)  # type: ignore[arg-type]

    def get_map_state(self, descriptor: Any) -> State:
        return {"pending": self.pending, "cancelled": self.cancelled, "plans": self.plans}[descriptor.name]

    def get_broadcast_state(self, _: Any) -> State:
        return self.kept

    def get_index_of_this_subtask(self) -> int:
        return self.subtask

    def get_current_key(self) -> str:
        return SHARD

    def timer_service(self) -> "Flink":
        return self

    def register_processing_time_timer(self, at: int) -> None:
        self.timers.append(at)

    def message(self, row: Row) -> list[str]:
        return topics(self.operator.process_element(row, self))  # type: ignore[arg-type]

    def definition(self, record: Record) -> list[str]:
        return topics(self.operator.process_broadcast_element(row_of(record), self))  # type: ignore[arg-type]

    def tick(self, late_ms: int = 0) -> list[str]:
        due = time.time_ns() // 1_000_000 - late_ms
        return topics(self.operator.on_timer(due, self))  # type: ignore[arg-type]


def topics(rows: Iterable[Row]) -> list[str]:
    return [row[0] for row in rows if row[0] not in {"agent_decisions", "workflow_state"}]


def row_of(record: Record, *more: Any) -> Row:
    def as_hex(octets: bytes | None) -> str | None:
        return None if octets is None else octets.decode("latin-1").encode().hex()

    headers = json.dumps({name: base64.b64encode(value).decode() for name, value in record.headers.items()})
    place = (record.partition, record.offset, record.timestamp_ms)
    return Row(as_hex(record.key), as_hex(record.value), headers.encode().hex(), *place, *more)  # type: ignore[no-untyped-call]


def message(workflow: str, offset: int, event_type: str = "lead.scored", *, cancels: bool = False) -> Row:
    headers = {
        "ce_specversion": b"1.0",
        "ce_id": f"m{offset}".encode(),
        "ce_source": b"/t",
        "ce_type": event_type.encode(),
        "ce_workflowid": workflow.encode(),
    }
    record = Record(
        topic="agent_messages", key=workflow.encode(), value=b'{"a":1}', headers=headers, partition=0, offset=offset
    )
    return row_of(record, 1, 1, int(cancels), 0, 0, 0, 0, event_type, 0)


def agent(name: str, *types: str) -> AgentDefinition:
    return AgentDefinition(
        name=name,
        version="1.0.0",
        description=f"d {name}",
        accepts=[Accepts(type=each, contract={"type": "object"}) for each in types],
        emits=[Emits(type="mail.sent", contract={"type": "object"}, terminal=True)],
    )


CATALOG = Catalog.of([agent("warm", "lead.scored"), agent("cold", "lead.scored"), agent("only", "lead.received")])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr(route, "MODEL_CALLS", SharedCalls(calls))
    return calls


def started(flink: Flink) -> Flink:
    for record in CATALOG.records(Catalog()):
        assert flink.definition(record) == []
    return flink


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


class Clocks:
    """Both clocks of the operator: the one by which timers fire, and the one that measures answers."""

    def __init__(self, flink: Flink, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = 1_000_000
        monkeypatch.setattr("flink_jobs.operators.route.time.time_ns", lambda: self.ms * 1_000_000)
        flink.operator._looks = Looks(AnswerTimes(lambda: self.ms / 1000))


def test_the_next_look_is_one_for_all_and_less_soon_while_many_wait(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    flink = started(Flink())
    clocks = Clocks(flink, monkeypatch)
    for offset in range(looks.BUSY_FROM):
        flink.message(message(f"w{offset}", offset))
    clocks.ms += looks.TICK_MS
    flink.tick()
    assert flink.timers == [1_000_000 + looks.TICK_MS, 1_000_000 + looks.TICK_MS + looks.BUSY_TICK_MS]


@pytest.mark.parametrize(("late_ms", "next_ms"), [(1, looks.TICK_MS), (20, 40), (60_000, 2 * looks.MOST_LATE_MS)])
def test_a_look_that_came_late_is_followed_less_soon(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, late_ms: int, next_ms: int
) -> None:
    flink = started(Flink())
    clocks = Clocks(flink, monkeypatch)
    flink.message(message("w", 1))
    clocks.ms += looks.TICK_MS
    flink.tick(late_ms)
    assert flink.timers[-1] == clocks.ms + next_ms


def test_an_answer_is_looked_for_when_it_may_be_there_and_at_once_where_one_is(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    flink = started(Flink())
    clocks = Clocks(flink, monkeypatch)
    flink.message(message("w", 1))
    clocks.ms += 80
    calls.answer(0)
    flink.tick()
    flink.timers.clear()

    flink.message(message("w", 2))
    assert flink.timers == [clocks.ms + 80]
    flink.message(message("w", 3))
    calls.answer(2)
    flink.tick()
    assert flink.timers == [clocks.ms + 80, clocks.ms + looks.TICK_MS]


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
