"""The durable call operator without Flink: stand-ins for state, timers and the model's calls."""

import base64
import json
import time
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

import pytest
from pyflink.common import Row

from flink_jobs.model_process.address import ModelAddress
from flink_jobs.operators import route
from flink_jobs.operators.route import DurableCall, RouteOptions
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
        options: RouteOptions | None = None,
    ) -> None:
        self.pending = State() if pending is None else pending
        self.cancelled = State() if cancelled is None else cancelled
        self.plans = State() if plans is None else plans
        self.kept = State() if kept is None else kept
        self.subtask = subtask
        self.timers: list[int] = []
        self.operator = DurableCall(options or RouteOptions())
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
