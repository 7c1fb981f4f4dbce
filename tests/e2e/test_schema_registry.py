"""Messages as Avro, on a real schema registry: leads still end as mails, and nothing is lost on the way there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pointsman.avro.registry import ConfluentRegistry, Registry
from pointsman.local import LocalStack, StackOptions
from pointsman.settings import Settings, settings
from tests.apicurio import Apicurio, apicurio
from tests.e2e.system import ROOT, System, address, hot_lead
from tests.memory_registry import MemoryRegistry
from tests.witness import Seen, eventually

pytestmark = pytest.mark.long

AVRO = "application/avro"
WAY = ["lead.received", "lead.profiled", "lead.scored", "campaign.drafted", "email.sent"]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    with apicurio(tmp_path_factory.mktemp("registry") / "log") as running:
        yield running


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, registry: Apicurio) -> Iterator[System]:
    """A stack of its own that is told of the registry."""
    data_dir = tmp_path_factory.mktemp("avro stack")
    options = StackOptions(
        data_dir=data_dir, free_ports=True, definitions_dir=ROOT / "agent_definitions",
        jars_dir=ROOT / ".pointsman" / "jars",
    )  # fmt: skip
    stack = LocalStack(options)
    running = System(stack=stack, data_dir=data_dir, early_address=address())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POINTSMAN_SCHEMA_REGISTRY_URL", registry.url)
        settings.cache_clear()
        try:
            stack.up()
            yield running
        finally:
            running.close()
            stack.down()
            settings.cache_clear()
            shutil.rmtree(data_dir, ignore_errors=True)


def schema(*fields: Any) -> str:
    return json.dumps({"type": "record", "name": "said", "namespace": "word", "fields": fields})


def what_happens(registry: Registry) -> list[Any]:
    one, other = {"name": "a", "type": "string"}, {"name": "b", "type": ["null", "string"], "default": None}
    first = registry.register("t-word.said", schema(one))
    latest = registry.latest("t-word.said")
    assert latest is not None
    assert (latest.id, json.loads(latest.text)) == (first, json.loads(schema(one)))
    assert json.loads(registry.by_id(first) or "") == json.loads(schema(one))
    return [
        registry.latest("t-nobody"),
        registry.by_id(987_654),
        registry.takes("t-nobody", schema(one)),
        registry.takes("t-word.said", schema(one, other)),
        registry.takes("t-word.said", schema(one, {"name": "b", "type": "string"})),
        registry.takes("t-word.said", schema({"name": "a", "type": "long"})),
        registry.register("t-word.said", schema(one, other)) != first,
        registry.register("t-word.said", schema(one, other)) == (registry.latest("t-word.said") or latest).id,
    ]


def test_the_registry_in_memory_is_like_the_real_one(registry: Apicurio) -> None:
    real = ConfluentRegistry(Settings(schema_registry_url=registry.url))
    assert what_happens(real) == what_happens(MemoryRegistry()) == [None, None, True, True, False, False, True, True]


def test_what_another_process_registers_is_the_newest_soon(registry: Apicurio) -> None:
    one, other = (ConfluentRegistry(Settings(schema_registry_url=registry.url)) for _ in range(2))
    first = {"name": "a", "type": "string"}
    one.register("t-word.changed", schema(first))
    assert other.latest("t-word.changed") is not None
    newest = one.register("t-word.changed", schema(first, {"name": "b", "type": ["null", "long"], "default": None}))
    eventually(lambda: (found := other.latest("t-word.changed")) and found.id == newest, what="the newest schema")


def said(system: System, workflow: str) -> dict[str, Seen]:
    """What is on `agent_messages`, by type, once the mail is out."""
    eventually(lambda: "email.sent" in system.witness.events(workflow), within_s=90, what="the mail's event")
    return {seen.type: seen for seen in system.messages(workflow)}


def test_a_lead_goes_over_avro_to_the_mail(system: System, registry: Apicurio) -> None:
    workflow, where = system.insert(hot_lead())
    messages = said(system, workflow)
    assert len(system.mails_to(where)) == 1
    assert [*messages] == WAY
    assert messages["lead.received"].header("content-type") == "application/json", "as the connector wrote it"
    for event_type in WAY[1:]:
        assert messages[event_type].header("content-type") == AVRO
        assert registry.read(messages[event_type].value or b"")["lead_id"] == workflow
    inboxes = system.witness.read("agents.send_email.inbox")
    copy = next(seen for seen in inboxes if seen.workflow == workflow)
    assert copy.value == messages["campaign.drafted"].value
    assert "agent_messages-lead.scored" in registry.get("/subjects")
    assert registry.get("/config/agent_messages-lead.scored") == {"compatibilityLevel": "BACKWARD"}
    assert "email.sent" in system.cli("trace", workflow).stdout
    assert "schemas of" in system.cli("doctor").stdout


def test_what_lies_there_as_json_is_worked_on_beside_it(system: System) -> None:
    workflow, where = "old-json", system.address()
    payload = {**hot_lead(), "email": where, "_id": workflow}
    system.witness.write(
        "agent_messages", json.dumps(payload).encode(), key=workflow.encode(),
        headers={
            "ce_specversion": b"1.0", "ce_id": b"old/1", "ce_source": b"/test", "ce_type": b"lead.received",
            "ce_workflowid": workflow.encode(), "content-type": b"application/json",
        },
    )  # fmt: skip
    assert said(system, workflow)["lead.scored"].header("content-type") == AVRO
    eventually(lambda: system.mails_to(where), what="the mail")


def test_what_a_person_sends_is_avro_from_the_first_message_on(system: System) -> None:
    where = system.address()
    payload = {**hot_lead(), "email": where, "_id": "sent"}
    system.cli(
        "messages", "send", "--type", "lead.received", "--workflow", "sent", "--payload", json.dumps(payload)
    )  # fmt: skip
    assert said(system, "sent")["lead.received"].header("content-type") == AVRO
    eventually(lambda: system.mails_to(where), what="the mail")


def test_an_incompatible_contract_is_refused_before_anything_is_applied(system: System, tmp_path: Path) -> None:
    folder = tmp_path / "agent_definitions"
    shutil.copytree(ROOT / "agent_definitions", folder)
    for path in folder.glob("*.yaml"):
        path.write_text(path.read_text().replace("subject: { type: string,", "subject: { type: integer,"))
    sequence = system.catalog_sequence()
    for command in ("validate", "apply"):
        refused = system.cli("agents", command, str(folder), expect=3).stderr
        assert "field subject of campaign.drafted was string and is long now" in refused
        assert "send_email.yaml:" in refused or "active_outreach.yaml:" in refused
    assert system.catalog_sequence() == sequence
    assert "are valid" in system.cli("agents", "validate", str(ROOT / "agent_definitions")).stdout


def test_while_the_registry_is_away_leads_go_on_and_nothing_is_applied(system: System, registry: Apicurio) -> None:
    with registry.away():
        workflow, where = system.insert(hot_lead())
        assert said(system, workflow)["lead.scored"].header("content-type") == AVRO
        eventually(lambda: system.mails_to(where), what="the mail")
        assert "schema registry" in system.cli("agents", "apply", expect=4).stderr
        sending = ("messages", "send", "--type", "lead.received", "--workflow", "unsent", "--payload", "{}")
        assert "schema registry" in system.cli(*sending, expect=4).stderr
    assert system.messages("unsent") == []
    assert system.job_restarts() == 0
