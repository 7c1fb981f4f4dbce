"""What operators do: decide, approve, mend, stop, change agents; each comes back as a record with their name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pointsman.audit import read_entry
from pointsman.catalog import Catalog
from pointsman.definitions.loader import load_text
from pointsman.envelope import Record, decode
from pointsman.publish import apply
from pointsman.rollouts.model import Rollout, Stage, Version
from pointsman.topics import AUDIT, CONTROLS, ERRORS, MESSAGES
from tests.console_desk import OPERATOR_KEY, VIEWER_KEY, MemoryCatalog, Office, acts, unlock
from tests.dead_letters import failed
from tests.definitions import GOOD
from tests.journey_records import decision, escalated, message


@pytest.fixture
def office() -> Office:
    office = Office()
    loaded = load_text(GOOD, "greeter.yaml")
    apply(MemoryCatalog(office.kafka), loaded.definitions)
    return office


@pytest.fixture
def client(office: Office) -> Iterator[TestClient]:
    with office.client(OPERATOR_KEY) as client:
        yield client


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("none_fits", "undecided"),
        ("step_limit", "limit"),
        ("deadline_passed", "limit"),
        ("approval_required", "approval"),
    ],
)
def test_what_waits_says_what_is_asked(client: TestClient, office: Office, code: str, kind: str) -> None:
    office.kafka.write(message("w", 1, "hello.said", {"company": "Nordhafen"}), escalated("w", code=code))
    (one,) = client.get("/api/waiting").json()["messages"]
    assert (one["kind"], one["title"], one["candidates"], one["reason"]) == (
        kind,
        "Nordhafen",
        ["greeter"],
        "nobody fits",
    )
    assert one["proposed"] == "greeter"
    assert one["payload"] == {"text": "[text of 22]", "company": "[text of 9]"}


def test_a_decision_reenters_as_a_message_with_the_persons_name(client: TestClient, office: Office) -> None:
    office.kafka.write(escalated("w"))
    answer = client.post("/api/workflows/w/resume", json={"message_id": "w-1", "agent": "greeter"})
    assert answer.status_code == 202
    sent = decode(office.kafka.of(MESSAGES)[-1])
    assert (sent.source, sent.target_agent, sent.causation_id) == ("/operators/Olga", "greeter", "w-1")
    assert sent.payload["text"] == "mara@nordhafen.example"
    assert acts(office) == [("workflow.resumed", "w", "Olga")]
    assert client.get("/api/waiting").json()["messages"] == []


def test_what_somebody_has_decided_cannot_be_decided_again(client: TestClient, office: Office) -> None:
    office.kafka.write(escalated("w"))
    body = {"message_id": "w-1", "agent": None}
    assert client.post("/api/workflows/w/resume", json=body).status_code == 202
    again = client.post("/api/workflows/w/resume", json=body)
    assert (again.status_code, again.json()["type"]) == (409, "urn:pointsman:problem:decided")
    assert len(office.kafka.of(MESSAGES)) == 1


def test_an_agent_that_is_not_in_force_gets_nothing(client: TestClient, office: Office) -> None:
    office.kafka.write(escalated("w"))
    assert client.post("/api/workflows/w/resume", json={"message_id": "w-1", "agent": "ghost"}).status_code == 422
    assert office.kafka.of(MESSAGES) == []


def test_ending_a_workflow_ends_all_that_waits_of_it(client: TestClient, office: Office) -> None:
    office.kafka.write(escalated("w", 1), escalated("w", 2), escalated("other"))
    assert client.post("/api/workflows/w/cancel", json={"reason": "asked to stop"}).status_code == 202
    assert [one["key"] for one in client.get("/api/waiting").json()["messages"]] == ["other"]
    assert acts(office) == [("workflow.cancelled", "w", "Olga")]


def test_the_kill_switch_is_one_record_and_shows_at_once(client: TestClient, office: Office) -> None:
    client.post("/api/effects/switch", json={"is_allowed": False, "reason": "wrong texts"})
    assert json.loads(office.kafka.of(CONTROLS)[0].value or b"")["effects"] == "stopped"
    effects = client.get("/api/overview").json()["effects"]
    assert (effects["is_allowed"], effects["by"], effects["reason"]) == (False, "Olga", "wrong texts")
    assert acts(office) == [("effects.stopped", "effects", "Olga")]


async def test_an_unknown_effect_is_decided_once_and_never_sent_again(client: TestClient, office: Office) -> None:
    facts = {"message": "m-1", "message_id": "<e1@sdr.example>", "lead_id": "w"}
    entry = {"_id": "e1", "state": "unknown", "attempt": 1, "token": "t", "facts": facts, "reserved_at": office.clock()}
    await office.store.put("effects", entry)
    (one,) = client.get("/api/waiting").json()["effects"]
    assert one["message_id"] == "<e1@sdr.example>"
    assert client.get("/api/overview").json()["unknown_effects"] == 1
    answer = client.post("/api/effects/e1/resolve", json={"verdict": "sent"})
    assert answer.json() == {"state": "sent"}
    again = client.post("/api/effects/e1/resolve", json={"verdict": "rejected"})
    assert (again.status_code, "only an effect in state unknown" in again.json()["detail"]) == (409, True)
    stored = await office.store.get("effects", "e1")
    assert stored
    assert stored["facts"]["resolved_by"] == "Olga"
    assert acts(office) == [("effect.resolved", "e1", "Olga")]


def test_dead_letters_are_browsed_by_reason_and_sent_again(client: TestClient, office: Office) -> None:
    office.kafka.write(failed(), failed(id="m-2"), failed(reason="model_answer", stage="agent/greeter", id="m-3"))
    found = client.get("/api/dead-letters").json()
    assert [(one["reason"], one["count"]) for one in found["groups"]] == [
        ("contract_violation", 2),
        ("model_answer", 1),
    ]
    ids = [one["id"] for one in found["letters"] if one["reason"] == "contract_violation"]
    told = client.post("/api/dead-letters/redrive", json={"ids": ids}).json()
    assert told["done"] == 2
    assert [record.headers["ce_attempt"] for record in office.kafka.of(MESSAGES)] == [b"1", b"1"]
    assert len(client.get("/api/dead-letters").json()["letters"]) == 1
    assert client.get("/api/overview").json()["dead_letters"] == 1
    again = client.post("/api/dead-letters/redrive", json={"ids": ids}).json()
    assert (again["done"], "Olga has sent it again" in again["results"][0]["text"]) == (0, True)


def test_a_dead_letter_is_masked_until_personal_data_is_shown_and_then_can_be_mended(
    client: TestClient, office: Office
) -> None:
    office.kafka.write(failed())
    shown = client.get("/api/dead-letters/0/0").json()
    assert shown["payload"] == {"lead_id": "w-1", "name": "[text of 9]"}
    edited = {"payload": '{"lead_id": "w-1", "name": "Mara Lind", "score": 3}'}
    assert client.post("/api/dead-letters/0/0/edit", json=edited).status_code == 403
    unlock(client)
    assert client.get("/api/dead-letters/0/0").json()["payload"]["name"] == "Mara Lind"
    assert client.post("/api/dead-letters/0/0/edit", json=edited).json()["done"] == 1
    assert json.loads(office.kafka.of(MESSAGES)[0].value or b"")["score"] == 3
    assert acts(office)[-1] == ("dead_letter.edited", "agent_errors/0/0", "Olga")


@pytest.mark.parametrize("payload", ["", "[]", "{", '{"a": NaN}', '{"a": 1, "a": 2}', "\ud800"])
def test_a_payload_that_is_no_json_object_is_not_sent(client: TestClient, office: Office, payload: str) -> None:
    office.kafka.write(failed())
    unlock(client)
    body = json.dumps({"payload": payload})
    headers = {"Content-Type": "application/json"}
    answer = client.post("/api/dead-letters/0/0/edit", content=body, headers=headers)
    assert answer.status_code == 422
    assert office.kafka.of(MESSAGES) == []


def test_a_letter_set_aside_is_shown_only_among_those_dealt_with(client: TestClient, office: Office) -> None:
    office.kafka.write(failed())
    body = {"ids": ["agent_errors/0/0"], "note": "a test"}
    assert client.post("/api/dead-letters/discard", json=body).json()["done"] == 1
    assert client.get("/api/dead-letters").json()["letters"] == []
    (one,) = client.get("/api/dead-letters", params={"handled": True}).json()["letters"]
    assert (one["handled"]["by"], one["handled"]["action"]) == ("Olga", "dead_letter.discarded")


@pytest.mark.parametrize(("ids", "status"), [(["agent_errors/0/7"], 404), (["nonsense"], 409), ([], 422)])
def test_a_letter_that_is_not_there_is_not_sent(client: TestClient, ids: list[str], status: int) -> None:
    assert client.post("/api/dead-letters/redrive", json={"ids": ids}).status_code == status


def edit(client: TestClient, text: str, verb: str = "apply", *, base: str | None = None) -> Any:
    known = client.get("/api/agents/greeter").json()["base"] if base is None else base
    return client.post(f"/api/agents/greeter/{verb}", json={"text": text, "base": known})


def test_an_agent_is_changed_with_name_and_time_and_its_history_tells_what(client: TestClient, office: Office) -> None:
    text = client.get("/api/agents/greeter").json()["yaml"].replace("who say hello", "who say good day")
    checked = edit(client, text, "check").json()
    assert (checked["is_valid"], [one["field"] for one in checked["changes"]]) == (True, ["description"])
    assert edit(client, text).json()["is_changed"] is True
    found = client.get("/api/agents/greeter").json()
    assert "good day" in found["description"]
    (step,) = found["history"]
    assert (step["by"], step["action"], [one["field"] for one in step["changes"]]) == (
        "Olga", "agent.changed", ["description"],
    )  # fmt: skip


def test_what_is_wrong_with_an_edit_is_said_with_line_and_column_and_not_applied(
    client: TestClient, office: Office
) -> None:
    before = len(office.kafka.records)
    text = GOOD.replace("version: 1.0.0", "version: one")
    (problem,) = edit(client, text, "check").json()["problems"]
    assert (problem["line"], problem["severity"]) == (2, "error")
    assert edit(client, text).status_code == 422
    assert len(office.kafka.records) == before


def test_an_edit_of_what_somebody_else_has_changed_is_refused(client: TestClient, office: Office) -> None:
    base = client.get("/api/agents/greeter").json()["base"]
    assert edit(client, GOOD.replace("hello", "hi"), base=base).status_code == 202
    late = edit(client, GOOD.replace("hello", "hey"), base=base)
    assert (late.status_code, late.json()["type"]) == (409, "urn:pointsman:problem:changed")


def test_the_yaml_that_is_shown_is_the_definition_itself(client: TestClient) -> None:
    shown = client.get("/api/agents/greeter").json()["yaml"]
    assert load_text(shown, "greeter.yaml").definitions == load_text(GOOD, "greeter.yaml").definitions


def test_agents_show_the_latest_rollout_and_where_its_sides_differ(client: TestClient, office: Office) -> None:
    assert client.get("/api/agents").json()["rollout"] is None
    at = datetime(2030, 1, 2, tzinfo=UTC)
    candidate = Version(model="new", prompt="what nobody sees here")
    office.kafka.write(
        Rollout(
            id="r", stage=Stage.SHADOW, baseline=Version(), candidate=candidate, by="dana", at=at, started_at=at
        ).to_record(),
        Record(
            topic="agent_shadow_decisions", key=b"m", headers={},
            value=b'{"release":"r/candidate","message_id":"m","workflow_id":"w@x.example","event_type":"hello.said",'
            b'"live":{"outcome":"abstained","agent":null},"outcome":"routed","agent":"greeter","skipped":2}',
        ),
    )  # fmt: skip
    answer = client.get("/api/agents")
    shown = answer.json()["rollout"]
    assert (shown["id"], shown["stage"], shown["percent"]) == ("r", "shadow", 100)
    shadow = shown["counts"]["shadow"]
    assert (shadow["decisions"], shadow["disagreed"], shadow["skipped"]) == (1, 1, 2)
    assert [(one["live"], one["shadow"]) for one in shadow["differences"]] == [("abstained", "greeter")]
    assert "w@x.example" not in answer.text
    assert "nobody sees" not in answer.text


def test_a_correction_is_on_record_with_the_persons_name_and_moves_nothing(client: TestClient, office: Office) -> None:
    candidates = [{"agent": "greeter", "version": "1.0.0", "fits": True, "why": "", "needs_approval": False}]
    office.kafka.write(
        message("w", 1, "hello.said"), decision("w", 1, "hello.said", source="/x", agent="other", candidates=candidates)
    )
    told = {"message_id": "w-1", "agent": "greeter", "reason": "it greets"}
    assert client.post("/api/workflows/w/correct", json=told).status_code == 202
    entry = read_entry(office.kafka.of(AUDIT)[-1])
    assert entry is not None
    assert (entry.action, entry.by, entry.workflow_id) == ("decision.corrected", "Olga", "w")
    assert entry.details == {"message_id": "w-1", "agent": "greeter", "decided": "other", "reason": "it greets"}
    assert client.post("/api/workflows/w/correct", json={**told, "agent": "ghost"}).status_code == 422
    assert client.post("/api/workflows/w/correct", json={**told, "message_id": "w-9"}).status_code == 404
    assert len(office.kafka.of(MESSAGES)) == 1


def test_the_graph_shows_what_contracts_allow_and_what_really_went_along(client: TestClient, office: Office) -> None:
    office.kafka.write(message("w", 1, "hello.said"), decision("w", 1, "hello.said", source="/x", agent="greeter"))
    graph = client.get("/api/agents").json()["graph"]
    assert [one["name"] for one in graph["nodes"]] == ["start", "greeter", "end"]
    assert [(one["from"], one["to"], one["count"]) for one in graph["edges"]] == [
        ("greeter", "end", 0), ("start", "greeter", 1),
    ]  # fmt: skip


def test_a_timeline_tells_why_masked_for_viewers_and_in_full_for_whom_it_is_recorded(office: Office) -> None:
    office.kafka.write(
        message("w", 1, "lead.received", {"company": "Acme", "email": "mara@nordhafen.example"}),
        decision("w", 1, "lead.received", reason="It asks for a demo."),
    )
    with office.client(VIEWER_KEY) as client:
        told = client.get("/api/workflows/w").json()
        assert told["card"]["title"] == "Acme"
        assert [row["part"] for row in told["rows"]] == ["message", "decision", "model"]
        assert told["rows"][1]["why"] == "It asks for a demo."
        assert "mara" not in json.dumps(told)
    with office.client(OPERATOR_KEY) as client:
        unlock(client)
        assert "mara@nordhafen.example" in client.get("/api/workflows/w").text


def test_a_workflow_that_is_not_in_memory_is_looked_up_in_kafka(client: TestClient, office: Office) -> None:
    old = [message("w", 1, "lead.received"), decision("w", 1, "lead.received"), message("v", 1, "lead.received")]
    office.kafka.records = [replace(record, offset=number) for number, record in enumerate(old)]
    assert len(client.get("/api/workflows/w").json()["rows"]) == 3
    assert client.get("/api/workflows/nobody").status_code == 404


def test_a_workflow_without_all_its_messages_makes_no_case(client: TestClient, office: Office) -> None:
    office.kafka.write(decision("w", 1, "lead.received"))
    answer = client.get("/api/workflows/w/case")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:pointsman:problem:case")


def test_an_id_that_holds_an_address_is_never_shown(client: TestClient, office: Office) -> None:
    for workflow in ("ann@acme.example", "abe@acme.example", "plain-1"):
        office.kafka.write(message(workflow, 1, "lead.received"), decision(workflow, 1, "lead.received"))
    cards = client.get("/api/workflows").json()["cards"]
    assert "ann@" not in json.dumps(cards)
    assert len({card["key"] for card in cards}) == 3
    hidden = next(card["key"] for card in cards if card["key"] != "plain-1")
    assert client.get(f"/api/workflows/{hidden}").status_code == 200


def test_a_message_that_died_with_its_agent_counts_until_it_is_sent_again(client: TestClient, office: Office) -> None:
    office.kafka.write(
        message("w", 1, "hello.said"),
        decision("w", 1, "hello.said", agent="greeter"),
        failed(id="w-1", workflow_id="w", stage="agent/greeter", reason="model_answer"),
    )
    (card,) = client.get("/api/workflows").json()["cards"]
    assert (card["status"], card["stage"], card["reason"]) == ("dead_letter", "", "$.lead_id is missing")
    client.post("/api/dead-letters/redrive", json={"ids": [f"{ERRORS}/0/0"]})
    (card,) = client.get("/api/workflows").json()["cards"]
    assert card["status"] == "running"


def test_nothing_is_in_force_before_the_first_apply() -> None:
    office = Office()
    with office.client(VIEWER_KEY) as client:
        found = client.get("/api/agents").json()
    assert (found["agents"], found["version"]) == ([], Catalog().version)


def test_an_agents_card_is_served_to_whoever_is_logged_in(office: Office) -> None:
    where = "/agents/{}/.well-known/agent-card.json"
    with office.client() as client:
        assert client.get(where.format("greeter")).status_code == 401
    with office.client(VIEWER_KEY) as client:
        assert client.get(where.format("greeter")).json()["name"] == "greeter"
        assert client.get(where.format("nobody")).status_code == 404
