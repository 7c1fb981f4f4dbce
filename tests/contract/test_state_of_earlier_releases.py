"""What earlier releases have left in Flink's state and on topics is read by this one.

The files in `state/` were written by the code of then. Who changes one of these formats adds a file, and touches none.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from flink_jobs.operators.catalog_in_force import CatalogInForce
from flink_jobs.operators.deciding import Deciding
from flink_jobs.operators.records import Arrived, from_state, to_state
from flink_jobs.sql_files import GUARD_STATE, SQL_DIR
from pointsman.catalog import MANIFEST_KEY, Catalog, CatalogReader, definition_json
from pointsman.envelope import Record
from pointsman.plans import PlanState
from pointsman.routing.router import RoutingOptions
from pointsman.testing import ManualClock
from pointsman.topics import DECISIONS, WORKFLOW_STATE
from pointsman.workflow_limits import LimitsByType

STATE = Path(__file__).parent / "state"
MESSAGE = Record(
    topic="agent_messages", key=b"w-1", value=b'{"lead_id": "w-1",\n "score": 71}', partition=3, offset=41,
    timestamp_ms=1893456000000,
    headers={
        "ce_specversion": b"1.0", "ce_id": b"m-7", "ce_source": b"/agents/lead_scoring", "ce_type": b"lead.scored",
        "ce_workflowid": b"w-1", "ce_hop": b"2", "content-type": b"application/json", "x-odd": bytes([0, 255, 10]),
    },
)  # fmt: skip
PENDING = {
    "pending-only-step": Arrived(MESSAGE, 4),
    "pending-with-visits": Arrived(MESSAGE, 4, 2),
    "pending-with-budgets": Arrived(MESSAGE, 4, 2),
    "pending-with-chain": Arrived(MESSAGE, 4, 2, chain=3),
}
CATALOGS = ("catalog-first.json",)
PLANS = ("plan-first.json",)


GUARD = {"guard3": "6d64eb1c0ddfb29c"}
"""What the statements of the guard are, comments and line breaks apart, by the name of the state that they keep."""


def test_the_guard_s_statements_are_those_whose_state_has_this_name() -> None:
    """If this fails: does the change keep other state? Then name it anew in `GUARD_STATE`; in any case note it here."""
    texts = [
        (SQL_DIR / f"{name}.sql").read_text() for name in ("fresh_messages", "measured_messages", "counted_messages")
    ]
    bare = "\n".join(" ".join(re.sub(r"--.*", "", text).split()) for text in texts)
    assert {GUARD_STATE: hashlib.sha256(bare.encode()).hexdigest()[:16]} == GUARD


def kept_catalog(name: str) -> dict[str, bytes]:
    """Records of `agent_definitions` as they lie on the topic and in broadcast state."""
    records = json.loads((STATE / name).read_text())
    return {
        key: json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        for key, value in records.items()
    }


class Broadcast(dict[str, bytes]):
    """Broadcast state."""

    def put(self, key: str, value: bytes) -> None:
        self[key] = value


def test_every_file_is_read_by_a_test() -> None:
    assert {file.name for file in STATE.iterdir()} == {*PENDING, *CATALOGS, *PLANS}


@pytest.mark.parametrize("name", PENDING)
def test_a_message_that_waited_when_the_job_stopped_is_read(name: str) -> None:
    assert from_state((STATE / name).read_bytes()) == PENDING[name]


def test_the_latest_file_has_the_fields_that_are_written_now() -> None:
    name, arrived = [*PENDING.items()][-1]
    assert to_state(arrived) == (STATE / name).read_bytes(), "add a file of this format to state/ and to PENDING"


@pytest.mark.parametrize("name", CATALOGS)
def test_a_job_of_this_release_decides_by_the_catalog_that_an_earlier_one_kept(name: str) -> None:
    kept = Broadcast(kept_catalog(name))
    in_force = CatalogInForce(RoutingOptions(limits=LimitsByType().to_json()), min_sequence=7)
    in_force.restore(kept)

    assert in_force.arms is not None
    router = in_force.arms.baseline.router
    catalog = router.catalog
    assert (catalog.sequence, catalog.version) == (7, json.loads(kept[MANIFEST_KEY])["version"])
    faults: list[Exception] = []
    deciding = Deciding(router, ManualClock(), lambda _, error: faults.append(error))
    begun = deciding.begin(PENDING["pending-only-step"])
    assert isinstance(begun, list)
    assert {record.topic for record in begun} >= {DECISIONS, WORKFLOW_STATE}
    assert faults == []


@pytest.mark.parametrize("name", CATALOGS)
def test_an_apply_after_the_upgrade_is_followed_although_most_records_are_old(name: str) -> None:
    reader, kept = CatalogReader(), kept_catalog(name)
    before = [reader.accept(key.encode(), value) for key, value in sorted(kept.items(), key=manifest_last)][-1]
    assert before is not None
    changed = before.definitions["lead_scoring"].model_copy(update={"version": "9.9.9"})
    after = Catalog.of([*{**before.definitions, "lead_scoring": changed}.values()], before.sequence + 1)

    records = after.records(before)
    seen = [reader.accept(record.key, record.value) for record in records]

    assert len(records) == 2, "only what has changed is written"
    assert seen[-1] is not None
    assert seen[-1].definitions["lead_scoring"].version == "9.9.9"
    assert seen[-1].version == after.version


def test_a_definition_that_is_not_the_one_that_the_manifest_means_is_waited_for() -> None:
    reader, kept = CatalogReader(), kept_catalog(CATALOGS[0])
    definition = json.loads(kept["lead_scoring"]) | {"version": "8.8.8"}
    kept["lead_scoring"] = json.dumps(definition).encode()
    assert [reader.accept(key.encode(), value) for key, value in sorted(kept.items(), key=manifest_last)][-1] is None


def manifest_last(record: tuple[str, bytes]) -> bool:
    return record[0] == MANIFEST_KEY


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_that_was_under_way_is_read_and_written_as_it_was(name: str) -> None:
    kept = (STATE / name).read_bytes().strip()
    plan = PlanState.from_bytes(kept)
    assert [task.status for task in plan.tasks] == ["done", "running", "waiting"]
    assert json.loads(plan.to_bytes()) == json.loads(kept), "add a file of this format to tests/contract/state"


def test_the_catalog_file_is_of_definitions_with_fewer_fields_than_now() -> None:
    """Else the tests above would show nothing."""
    kept = kept_catalog(CATALOGS[0])
    catalog = CatalogReader()
    (found,) = filter(None, (catalog.accept(key.encode(), kept[key]) for key in sorted(kept, key=MANIFEST_KEY.__eq__)))
    assert definition_json(found.definitions["lead_scoring"]).encode() != kept["lead_scoring"]
