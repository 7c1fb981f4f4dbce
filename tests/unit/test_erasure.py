"""Erasing a lead leaves nothing that names the person, and still no mail goes to them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pointsman.cli import lead_erasure, leads
from pointsman.envelope import WORKFLOW_CANCELLED
from pointsman.suppressions import is_suppressed
from pointsman.testing import InMemoryStore
from pointsman.topics import AUDIT, MESSAGES

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PERSON = "mara.lind@nordhafen.example"
MARKERS = ("mara", "lind", "lead-1")
DOCUMENTS: dict[str, dict[str, Any]] = {
    "leads": {"_id": "lead-1", "email": "Mara.Lind@nordhafen.example", "first_name": "Mara"},
    "profiles": {"_id": "lead-1", "person": PERSON, "email": PERSON, "profile": {"summary": "Mara runs operations."}},
    "people": {"_id": PERSON, "lead_id": "lead-1"},
    "scores": {"_id": "lead-1", "lead_id": "lead-1", "score": 98},
    "campaigns": {"_id": "lead-1:nurture", "lead_id": "lead-1", "steps": [{"body": "Hello Mara"}]},
    "effects": {
        "_id": "0" * 64,
        "state": "sent",
        "facts": {"lead_id": "lead-1", "campaign_id": "lead-1:nurture", "content": {"To": PERSON}},
    },
}


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> InMemoryStore:
    memory = InMemoryStore()
    for name, document in DOCUMENTS.items():
        await memory.put(name, document)
        other = {"_id": f"other-{name}", "lead_id": "x", "person": "x", "email": "x", "facts": {}}
        await memory.put(name, {**document, **other})
    monkeypatch.setattr(leads, "open_store", lambda: memory)
    return memory


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    ids: list[str] = []

    def tell(_: object, lead_ids: list[str], __: str, ___: datetime) -> dict[str, set[bytes]]:
        ids.extend(lead_ids)
        return {}

    monkeypatch.setattr(lead_erasure, "tell_kafka", tell)
    return ids


async def run(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, leads.app, ["erase", *words])


async def everything(store: InMemoryStore) -> str:
    names = (*DOCUMENTS, "suppressions", "keys")
    found = [document for name in names for document in await store.find(name, {})]
    kept = [document for document in found if not str(document["_id"]).startswith("other-")]
    return json.dumps(kept, default=str).lower()


@pytest.mark.parametrize(
    "words", [("--id", "lead-1"), ("--email", "MARA.LIND+news@nordhafen.example"), ("--email", PERSON)]
)
async def test_nothing_is_left_that_names_the_person(
    store: InMemoryStore, told: list[str], words: tuple[str, str]
) -> None:
    result = await run(*words, "--yes")

    assert result.exit_code == 0, result.output
    assert told == ["lead-1"]
    kept = await everything(store)
    assert [marker for marker in MARKERS if marker in kept] == []
    assert all([await store.get(name, f"other-{name}") for name in DOCUMENTS])


async def test_the_ledger_still_knows_that_a_mail_was_sent(store: InMemoryStore, told: list[str]) -> None:
    await run("--id", "lead-1", "--yes")
    effect = await store.get("effects", "0" * 64)
    assert effect is not None
    assert effect["state"] == "sent"


async def test_the_person_gets_no_mail_when_the_address_comes_in_again(store: InMemoryStore, told: list[str]) -> None:
    await run("--id", "lead-1", "--yes")
    assert await is_suppressed(store, PERSON)


async def test_erasing_again_finds_what_an_agent_wrote_meanwhile(store: InMemoryStore, told: list[str]) -> None:
    await run("--id", "lead-1", "--yes")
    await store.put("scores", DOCUMENTS["scores"])
    assert "1 in scores" in (await run("--id", "lead-1", "--yes")).output
    assert "nothing is kept" in (await run("--id", "lead-1", "--yes")).output


async def test_a_dry_run_erases_nothing(store: InMemoryStore, told: list[str]) -> None:
    before = await everything(store)
    assert "lead-1  would be erased" in (await run("--email", PERSON, "--dry-run")).output
    assert (await everything(store), told) == (before, [])


def test_the_workflow_is_cancelled_and_the_audit_record_names_no_address() -> None:
    cancelled, audited = lead_erasure.records(["lead-1"], "ann", NOW)
    assert (cancelled.topic, cancelled.headers["ce_type"]) == (MESSAGES, WORKFLOW_CANCELLED.encode())
    assert (audited.topic, audited.headers["ce_type"]) == (AUDIT, b"lead.erased")
    assert audited.key == b"lead/lead-1"
