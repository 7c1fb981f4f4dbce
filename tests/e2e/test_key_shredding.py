"""Values encrypted with a key per lead: leads still end as mails, and an erased one is readable nowhere any more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from pointsman import topics
from pointsman.local import LocalStack, StackOptions
from pointsman.settings import settings
from pointsman.shredding.keys import COLLECTION, name_of
from pointsman.shredding.process import _sealing
from pointsman.shredding.values import ERASED_PAYLOAD
from pointsman.shredding.wrapping import new_key
from tests.e2e.system import ROOT, System, address, hot_lead
from tests.witness import Seen, eventually

pytestmark = pytest.mark.long

WAY = ["lead.received", "lead.profiled", "lead.scored", "campaign.drafted", "email.sent"]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A stack of its own that encrypts."""
    data_dir = tmp_path_factory.mktemp("encrypted stack")
    options = StackOptions(
        data_dir=data_dir, free_ports=True, definitions_dir=ROOT / "agent_definitions",
        jars_dir=ROOT / ".pointsman" / "jars",
    )  # fmt: skip
    stack = LocalStack(options)
    running = System(stack=stack, data_dir=data_dir, early_address=address())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POINTSMAN_ENCRYPTION_KEYS", new_key("first"))
        _forget_settings()
        try:
            stack.up()
            yield running
        finally:
            running.close()
            stack.down()
            _forget_settings()
            shutil.rmtree(data_dir, ignore_errors=True)


def _forget_settings() -> None:
    settings.cache_clear()
    _sealing.cache_clear()


def everything(system: System) -> list[Seen]:
    return system.witness.read(*sorted(system.witness.topics()))


def naming(records: list[Seen], text: str) -> set[str]:
    """Topics of those records that hold `text` in a key, a value or a header."""
    marks = text.lower().encode()
    return {
        seen.topic
        for seen in records
        if any(marks in octets.lower() for octets in (seen.key or b"", seen.value or b"", *seen.headers.values()))
    }


def through(system: System, lead: dict[str, Any]) -> tuple[str, str]:
    workflow, where = system.insert(lead)
    eventually(lambda: system.mails_to(where), within_s=90, what="the mail")
    eventually(lambda: system.witness.events(workflow) == WAY, within_s=60, what="the whole way")
    return workflow, where


@pytest.fixture(scope="module")
def leads(system: System) -> tuple[str, str]:
    """Two leads that have become mails: the one that is erased later, and another."""
    erased, _ = through(system, {**hot_lead(), "first_name": "Quirina", "last_name": "Vandermolen"})
    return erased, through(system, hot_lead())[0]


def test_only_the_leads_topic_names_anybody(system: System, leads: tuple[str, str]) -> None:
    said = {seen.type: seen for seen in system.messages(leads[0])}
    assert {(seen.value or b"")[:1] for seen in said.values()} == {b"\x01"}
    assert said["lead.scored"].header("content-type") == "application/json"
    assert said["lead.scored"].header("ce_encryption") == "aes-256-siv"
    where = str(system.database.leads.find_one({"last_name": "Vandermolen"})["email"])
    everywhere = everything(system)
    assert {word: naming(everywhere, word) for word in (where, "Quirina", "Vandermolen")} == {
        where: {topics.LEADS}, "Quirina": {topics.LEADS}, "Vandermolen": {topics.LEADS},
    }  # fmt: skip
    assert {"agent_decisions", "agents.lead_scoring.inbox", "workflow_state"} <= {seen.topic for seen in everywhere}


def test_what_is_erased_is_readable_nowhere_and_others_go_on(system: System, leads: tuple[str, str]) -> None:
    erased, kept = leads
    note = json.dumps({"lead_id": erased, "note": "Quirina asked again"})
    system.cli("messages", "send", "--type", "lead.unheard_of", "--workflow", erased, "--payload", note)
    asked = eventually(lambda: unread(system, erased), within_s=60, what="an escalation or a dead letter")
    assert "Quirina asked again" in system.cli("trace", erased, "--unmask").stdout

    assert "1 in data_keys" in system.cli("leads", "erase", "--id", erased, "--yes").stdout

    at_leads = [seen for seen in system.witness.read(topics.LEADS) if seen.key == key_of(system, erased)]
    assert [seen.value is None for seen in at_leads] == [False, True]
    assert set(system.database[COLLECTION].find_one({"_id": name_of(erased.encode())})) == {"_id", "erased_at"}
    rows = json.loads(system.cli("trace", erased, "--unmask", "-o", "json").stdout)["rows"]
    said = [row for row in rows if row["part"] == "message" and row["title"] in (*WAY, "lead.unheard_of")]
    assert len(said) == len(WAY) + 1
    assert all(row["content"] == ERASED_PAYLOAD for row in said)
    if asked.topic == topics.ERRORS:
        shown = system.cli("dlq", "show", f"{asked.topic}/{asked.partition}/{asked.offset}", "--unmask").stdout
        assert '"erased": true' in shown
    assert "erased" not in system.cli("trace", kept, "--unmask").stdout
    through(system, hot_lead())
    assert system.job_restarts() == 0


def unread(system: System, workflow: str) -> Any:
    found = [
        seen
        for seen in system.witness.read(topics.ESCALATIONS, topics.ERRORS)
        if seen.workflow == workflow and seen.type == "lead.unheard_of"
    ]
    return found[0] if found else None


def key_of(system: System, lead_id: str) -> bytes | None:
    named = [seen for seen in system.witness.read(topics.LEADS) if seen.value and lead_id.encode() in seen.value]
    return named[0].key
