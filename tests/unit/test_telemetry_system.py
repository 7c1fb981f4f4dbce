"""The system's figures: from topics in any order, with labels from closed sets."""

from __future__ import annotations

from datetime import UTC, datetime

from pointsman.audit import Action, AuditEntry
from pointsman.catalog import Catalog
from pointsman.controls import EffectsControl
from pointsman.deadletters import dead_letter
from pointsman.definitions.model import Accepts, AgentDefinition, Emits
from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError, ErrorReason, StoreUnavailableError
from pointsman.telemetry.metrics import Metrics
from pointsman.telemetry.system_metrics import Measured, SystemMetrics
from pointsman.telemetry.system_state import SystemState
from pointsman.telemetry.watching import measured
from pointsman.testing import InMemoryStore
from pointsman.workflow_states import Status, WorkflowState

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def letter(offset: int, stage: str = "router", reason: ErrorReason = ErrorReason.INVALID_JSON) -> Record:
    record = Record(topic="agent_messages", key=b"k", value=b"x", headers={}, partition=0, offset=offset)
    dead = dead_letter(
        record, reason=reason, stage=stage, detail="d", attempts=1, first_at=NOW, now=NOW, catalog=None
    )  # fmt: skip
    return Record(topic=dead.topic, key=dead.key, value=dead.value, headers=dead.headers, partition=0, offset=offset)


def dealt_with(offset: int) -> Record:
    return AuditEntry(action=Action.DISCARDED, subject=f"agent_errors/0/{offset}", by="ann", at=NOW).to_record()


def workflow(key: str, status: Status) -> Record:
    return WorkflowState(
        workflow_id=key, status=status, where="a", since=NOW, steps=1, message_id="m", reason_code="c", reason="r",
        catalog="x",
    ).to_record()  # fmt: skip


def test_open_dead_letters_are_those_that_nobody_dealt_with_whatever_came_first() -> None:
    state = SystemState()
    for record in (letter(1), letter(2), dealt_with(1), dealt_with(3), letter(3), letter(4, stage="leads")):
        state.feed(record)
    assert state.open_dead_letters() == {("router", "invalid_json"): 1, ("leads", "invalid_json"): 1}


def test_a_stage_or_reason_that_is_none_of_ours_is_other() -> None:
    state = SystemState()
    forged = letter(1, stage="agent/ann@customer.example")
    state.feed(Record(topic=forged.topic, key=None, value=None, headers={**forged.headers, "x_error_reason": b"x"}))
    assert state.open_dead_letters() == {("other", "other"): 1}


def test_workflows_count_until_they_are_over() -> None:
    state = SystemState()
    for record in (
        workflow("a", Status.RUNNING), workflow("b", Status.WAITING_FOR_PERSON), workflow("c", Status.RUNNING),
        workflow("c", Status.COMPLETED), workflow("a", Status.WAITING_FOR_PERSON),
    ):  # fmt: skip
        state.feed(record)
    assert state.open_workflows() == {"waiting_for_person": 2}


def test_the_kill_switch_and_the_catalog_show() -> None:
    state = SystemState()
    assert state.effects_allowed
    definition = AgentDefinition(
        name="scorer",
        version="1.0.0",
        description="d",
        accepts=[Accepts(type="a.b", contract={"type": "object"})],
        emits=[Emits(type="c.d", contract={"type": "object"})],
    )
    for record in Catalog.of([definition]).records(Catalog()):
        state.feed(record)
    state.feed(EffectsControl(is_allowed=False, by="ann", at=NOW).records()[0])
    state.feed(letter(1, stage="agent/scorer"))
    assert not state.effects_allowed
    assert state.agents == ["scorer"]
    assert state.open_dead_letters() == {("agent/scorer", "invalid_json"): 1}


async def test_what_does_not_answer_is_left_out_and_said_so() -> None:
    def no_lag(group: str, topic: str) -> int:
        raise BrokerUnavailableError("down")

    class NoStore(InMemoryStore):
        async def count(self, collection: str, criteria: object) -> int:
            raise StoreUnavailableError("down")

    found = await measured(no_lag, NoStore(), ["a"])
    assert found == Measured(answered={"kafka": False, "mongodb": False})


async def test_lags_and_ledger_are_shown() -> None:
    store = InMemoryStore()
    await store.put("effects", {"_id": "1", "state": "unknown"})
    system, metrics = SystemMetrics(), Metrics()
    metrics.registry.register(system)
    system.take(await measured(lambda group, topic: 7 if group == "agents.a" else 0, store, ["a"]))
    system.feed(letter(1))

    def sample(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    assert sample("pointsman_consumer_lag", consumer="a", topic="agents.a.inbox") == 7
    assert sample("pointsman_consumer_lag", consumer="pointsman-router", topic="agent_messages") == 0
    assert sample("pointsman_effects_ledger", state="unknown") == 1
    assert sample("pointsman_dead_letters_open", stage="router", reason="invalid_json") == 1
    assert sample("pointsman_system_source_up", source="kafka") == 1
    system.begin_anew()
    assert sample("pointsman_dead_letters_open", stage="router", reason="invalid_json") is None
