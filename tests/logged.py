"""A catalog, messages, and the router's records about them, made by the router itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flink_jobs.operators.deciding import Deciding, Question
from flink_jobs.operators.records import Arrived
from pointsman.catalog import Catalog
from pointsman.definitions.model import AgentDefinition
from pointsman.envelope import Envelope, Record
from pointsman.models.port import ChatAnswer, ChatRequest
from pointsman.routing.router import Router, RoutingOptions
from pointsman.testing import ManualClock
from pointsman.topics import DECISIONS, MESSAGES

START = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def agent(name: str, description: str = "Takes scored leads.", **contract: Any) -> AgentDefinition:
    schema = {"type": "object", "required": ["score"], **contract}
    return AgentDefinition.model_validate({
        "name": name,
        "version": "1.0.0",
        "description": description,
        "accepts": [{"type": "lead.scored", "contract": schema}],
        "emits": [{"type": "mail.sent", "contract": {"type": "object"}, "terminal": True}],
    })  # fmt: skip


def scorer() -> AgentDefinition:
    """The agent that writes the messages of `scored`."""
    types = ("lead.scored", "mail.sent", "nobody.knows", "call.booked")
    emits: list[dict[str, Any]] = [{"type": name, "contract": {}} for name in types]
    return AgentDefinition.model_validate({
        "name": "lead_scoring",
        "version": "1.0.0",
        "description": "Scores leads.",
        "accepts": [{"type": "lead.profiled", "contract": {}}],
        "emits": emits,
    })  # fmt: skip


CATALOG = Catalog.of([agent("cold"), agent("warm"), scorer()])


def scored(number: int = 1, /, **changes: Any) -> Record:
    """The message `number` of the workflow `w`."""
    values: dict[str, Any] = {
        "id": f"m{number}", "source": "/agents/lead_scoring", "event_type": "lead.scored", "workflow_id": "w",
        "payload": {"score": 80, "name": "Mara Lind", "email": "mara@nordhafen.example"},
        "time": START + timedelta(seconds=number), **changes,
    }  # fmt: skip
    return placed(Envelope(**values).to_record(MESSAGES), number)


def placed(record: Record, offset: int, partition: int = 1) -> Record:
    """`record` as it lies in its topic."""
    return replace(record, partition=partition, offset=offset, timestamp_ms=1_893_553_445_000 + offset)


def chooses(name: str, raw: str | None = None, **changes: Any) -> ChatAnswer:
    """What a model says when it chooses the agent `name`."""
    content = {"agent": name, "reason": "Mara Lind asks for a demo."}
    return ChatAnswer(
        content=content, raw=raw or json.dumps(content), model="m", input_tokens=300, output_tokens=20,
        latency_ms=12.5, **changes,
    )  # fmt: skip


def decided(
    record: Record,
    answer: ChatAnswer | Exception | None = None,
    *,
    step: int = 1,
    visits: int = 1,
    is_cancelled: bool = False,
    catalog: Catalog = CATALOG,
    options: RoutingOptions | None = None,
) -> list[Record]:
    """What the router writes about `record`, each record in its topic at the offset of the message."""
    clock = ManualClock(START + timedelta(seconds=step))
    deciding = Deciding(Router(catalog, options), clock, _unforeseen)
    begun = deciding.begin(Arrived(record, step, visits, is_cancelled))
    clock.advance(0.5)
    if isinstance(begun, Question):
        assert answer is not None, "the router asks a model"
        begun = begun.conclude(answer)
    assert isinstance(begun, list), "no plan has to do with it"
    return [placed(written, record.offset, 0) for written in begun]


def entry(records: Iterable[Record]) -> Record:
    """The record of the decision log among `records`."""
    (found,) = [record for record in records if record.topic == DECISIONS]
    return found


class Asked:
    """A model that answers with one agent's name and remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        self.requests.append(request)
        return chooses(self.name)

    async def close(self) -> None:
        """Nothing to give back."""


def _unforeseen(_arrived: Arrived, error: Exception) -> None:
    raise AssertionError from error
