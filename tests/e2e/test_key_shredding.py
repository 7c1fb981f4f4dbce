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


def naming(system: System, text: str) -> set[str]:
    """Topics that hold `text` in a key, a value or a header."""
    marks = text.lower().encode()
    return {
        seen.topic
        for seen in everything(system)
        if any(marks in octets.lower() for octets in (seen.key or b"", seen.value or b"", *seen.headers.values()))
    }


def through(system: System, lead: dict[str, Any]) -> tuple[str, str]:
    workflow, where = system.insert(lead)
    eventually(lambda: system.mails_to(where), within_s=60, what="the mail")
    eventually(lambda: system.witness.events(workflow) == WAY, what="the whole way")
    return workflow, where


def test_only_the_leads_topic_names_anybody_and_what_is_erased_is_readable_nowhere(system: System) -> None:
    lead = {**hot_lead(), "first_name": "Quirina", "last_name": "Vandermolen"}
    erased, where = through(system, lead)
    kept, _ = through(system, hot_lead())
    messages = {seen.type: seen for seen in system.messages(erased)}
    assert {seen.value[:1] for seen in messages.values() if seen.value} == {b"\x01"}
    assert messages["lead.scored"].header("content-type") == "application/json"
    assert messages["lead.scored"].header("ce_encryption") == "aes-256-siv"
    for word in (where, "Quirina", "Vandermolen"):
        assert naming(system, word) == {topics.LEADS}
    # What neither router nor agents can read lies on the topics of failures, encrypted, too.
    mark = {"lead_id": erased, "note": "Quirina asked again"}
    system.cli("messages", "send", "--type", "lead.unheard_of", "--workflow", erased, "--payload", json.dumps(mark))
    letter = eventually(lambda: unread(system, erased), what="an escalation or a dead letter")
    assert "Quirina" in system.cli("trace", erased, "--unmask").stdout
    assert naming(system, "Quirina") == {topics.LEADS}

    told = system.cli("leads", "erase", "--id", erased, "--yes").stdout
    assert "1 in data_keys" in told

    lead_records = [seen for seen in system.witness.read(topics.LEADS) if seen.key == key_of(system, erased)]
    assert [seen.value is None for seen in lead_records] == [False, True]
    document = system.database[COLLECTION].find_one({"_id": name_of(erased.encode())})
    assert set(document or {}) == {"_id", "erased_at"}
    trace = system.cli("trace", erased, "--unmask").stdout
    assert "erased: True" in trace
    assert "profile" not in json.loads(system.cli("trace", erased, "--unmask", "-o", "json").stdout)["rows"][0]
    if letter and letter.topic == topics.ERRORS:
        shown = system.cli("dlq", "show", f"{letter.topic}/{letter.partition}/{letter.offset}", "--unmask").stdout
        assert '"erased": true' in shown
    assert "erased: True" not in system.cli("trace", kept, "--unmask").stdout
    through(system, hot_lead())
    assert system.job_restarts() == 0


def unread(system: System, workflow: str) -> Seen | None:
    found = [
        seen
        for seen in system.witness.read(topics.ESCALATIONS, topics.ERRORS)
        if seen.workflow == workflow and seen.type == "lead.unheard_of"
    ]
    return found[0] if found else None


def key_of(system: System, lead_id: str) -> bytes | None:
    named = [seen for seen in system.witness.read(topics.LEADS) if seen.value and lead_id.encode() in seen.value]
    return named[0].key
