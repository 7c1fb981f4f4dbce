"""What an operator finds out by command, about a lead that went the whole way on the real stack."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import fastavro
import pytest

from pointsman.decision_export import schema
from tests.e2e.system import ROOT, System, hot_lead, student_lead
from tests.witness import eventually


@pytest.fixture(scope="module")
def lead(system: System) -> tuple[str, str]:
    """Workflow id and address of a lead that has got its mail."""
    system.insert(student_lead())
    workflow, where = system.insert(hot_lead())
    eventually(lambda: system.mails_to(where), within_s=90, what="a mail to the lead")
    eventually(lambda: system.outcomes(workflow)[-1:] == ["completed"], within_s=30, what="the workflow's end")
    return workflow, where


def data(system: System, *words: str, expect: int = 0) -> Any:
    return json.loads(system.cli(*words, "-o", "json", expect=expect).stdout)


def test_trace_tells_the_whole_way_and_the_mail_as_it_was_sent(system: System, lead: tuple[str, str]) -> None:
    workflow, where = lead
    told = system.cli("trace", workflow).stdout
    for part in ("lead ", "message ", "decision ", "model ", "inbox ", "effect "):
        assert f"  {part}" in told, part
    assert re.search(r"\+ nurture_campaign [\d.]+: the contract takes the message", told)
    assert where not in told
    rows = data(system, "trace", workflow, "--unmask")["rows"]
    (effect,) = [row for row in rows if row["part"] == "effect"]
    (mail,) = system.mails_to(where)
    assert effect["content"]["content"]["Subject"] == str(mail["Subject"])
    assert effect["content"]["content"]["Text"].split() == mail.get_content().split()
    places = [row["place"] for row in rows if row["part"] == "message"]
    assert places == [f"agent_messages-{seen.partition}@{seen.offset}" for seen in system.messages(workflow)]


def test_every_decision_is_made_again_from_the_log_alone(system: System, lead: tuple[str, str]) -> None:
    proved = data(system, "replay", "--frozen")
    assert (proved["different"], proved["not_made_again"]) == ([], [])
    of_lead = data(system, "replay", "--frozen", "--workflow", lead[0])
    assert of_lead["equal"] == len(system.outcomes(lead[0])) == 5
    calls = system.model_calls()
    same = data(system, "replay", "--with", f"catalog={ROOT / 'agent_definitions'}", "--workflow", lead[0])
    assert (same["changed"], same["skipped"]) == ([], [])
    assert sum(row["count"] for row in same["summary"]) == 5
    assert system.model_calls() == calls, "the log has the answers to the same questions"


def test_replay_shows_what_other_definitions_would_change(
    system: System, lead: tuple[str, str], tmp_path: Path
) -> None:
    for file in (ROOT / "agent_definitions").glob("*.yaml"):
        if file.stem != "nurture_campaign":
            shutil.copy(file, tmp_path)
    strict = tmp_path / "active_outreach.yaml"
    strict.write_text(strict.read_text().replace("required: [", "required: [asked_for_by_nobody, ", 1))
    told = data(system, "replay", "--with", f"catalog={tmp_path}", "--workflow", lead[0])
    assert [(row["event_type"], row["before"], row["after"]) for row in told["changed"]] == [
        ("lead.scored", "active_outreach", "rejected")
    ]


def test_the_states_rebuilt_from_events_are_those_that_are_kept(system: System, lead: tuple[str, str]) -> None:
    told = data(system, "workflows", "rebuild")
    assert told["different"] == []
    assert told["rebuilt"] >= 2
    assert data(system, "workflows", "rebuild", lead[0])["rebuilt"] == 1


def test_decisions_are_listed_shown_and_exported_whole(system: System, lead: tuple[str, str], tmp_path: Path) -> None:
    workflow, where = lead
    listed = data(system, "decisions", "ls", "--workflow", workflow)
    assert [row["outcome"] for row in listed] == ["routed"] * 4 + ["completed"]
    shown = system.cli("decisions", "show", listed[2]["message_id"]).stdout
    assert "prompt_hash: " in shown
    assert where not in shown
    avro, lines = tmp_path / "decisions.avro", tmp_path / "decisions.jsonl"
    system.cli("decisions", "export", "--output", str(avro), "--format", "avro", "--since", "1h")
    system.cli("decisions", "export", "--output", str(lines), "--since", "1h")
    with avro.open("rb") as file:
        reader = fastavro.reader(file)
        rows: list[Any] = list(reader)
    exported = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(rows) == len(exported) == len(system.all_decisions())
    assert {row["message_id"] for row in rows} == {decision["message_id"] for decision in system.all_decisions()}
    assert [field["name"] for field in schema()["fields"]] == list(rows[0])
    assert json.loads(rows[0]["entry"]).items() <= exported[0].items()


def test_a_workflow_becomes_a_regression_test_that_names_nobody(
    system: System, lead: tuple[str, str], tmp_path: Path
) -> None:
    workflow, where = lead
    system.cli("case", "save", workflow, "-o", str(tmp_path))
    (file,) = tmp_path.glob("*.case.json")
    assert where not in file.read_text()
    assert "Northwind" not in file.read_text()
    results = data(system, "case", "run", str(file))
    assert [row["result"] for row in results] == ["same"] * 5
    told = json.loads(file.read_text())
    told["steps"][2]["decision"]["agent"] = "nurture_campaign"
    file.write_text(json.dumps(told))
    assert "agent: nurture_campaign → active_outreach" in system.cli("case", "run", str(file), expect=1).stdout


def test_route_explains_without_sending(system: System, lead: tuple[str, str], tmp_path: Path) -> None:
    (scored,) = [seen for seen in system.messages(lead[0]) if seen.headers["ce_type"] == b"lead.scored"]
    payload = tmp_path / "payload.json"
    payload.write_bytes(scored.value or b"")
    words = ("route", "--dry-run", "--type", "lead.scored", "--payload", str(payload), "--source", "lead_scoring")
    before, calls = len(system.witness.read("agent_messages")), system.model_calls()
    asked = data(system, *words)
    assert {one["agent"] for one in asked["candidates"] if one["fits"]} == {"active_outreach", "nurture_campaign"}
    assert "You route one message" in asked["question"]["system"]
    assert (asked["decision"], system.model_calls()) == (None, calls)
    answered = data(system, *words, "--ask")
    assert (answered["decision"]["agent"], system.model_calls()) == ("active_outreach", calls + 1)
    assert len(system.witness.read("agent_messages")) == before


def test_who_changed_an_agent_is_told_with_what_they_changed(system: System) -> None:
    version = data(system, "agents", "ls")["version"]
    with system.edited_definitions() as folder:
        file = folder / "lead_scoring.yaml"
        file.write_text(file.read_text().replace("Judges how well", "Edition for ann. Judges how well"))
        system.cli("agents", "apply", str(folder), "--by", "ann")
        (change,) = [row for row in data(system, "agents", "history", "lead_scoring") if row["by"] == "ann"]
        assert (change["what"], change["fields"], change["catalog_before"]) == ("changed", ["description"], version)
        assert "+ Edition for ann." in system.cli("agents", "diff", "--version", version[:8]).stdout


def test_connect_is_asked_what_it_thinks_of_a_connector_without_making_one(system: System) -> None:
    at, ours = system.settings["connect_url"], system.settings["mongodb_uri"]
    told = system.cli("leads", "connect", "--connect-url", at, "--mongodb-uri", ours, "--dry-run").stdout
    assert "finds nothing wrong" in told
    wrong = system.cli("leads", "connect", "--connect-url", at, "--mongodb-uri", "nonsense", "--dry-run", expect=3)
    assert "connection.uri" in wrong.stderr


def test_costs_count_calls_and_mails(system: System, lead: tuple[str, str]) -> None:
    total = data(system, "costs", "--since", "1h")["total"]
    assert total["calls"] >= 1
    assert total["mails"] >= 1


def test_the_doctor_finds_nothing_wrong_with_a_running_stack(system: System, lead: tuple[str, str]) -> None:
    found = data(system, "doctor")
    assert {row["area"] for row in found} == {
        "kafka",
        "connect",
        "mongodb",
        "flink",
        "model",
        "mail",
        "clock",
        "disk",
        "retention",
    }
    assert [row for row in found if row["verdict"] not in {"ok", "warning"}] == []


def test_the_doctor_names_what_is_down_and_says_the_fix(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_FLINK_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("POINTSMAN_SMTP_PORT", "9")
    found = data(system, "doctor", expect=4)
    down = {row["area"]: row["fix"] for row in found if row["verdict"] == "down"}
    assert set(down) == {"flink", "mail"}
    assert "POINTSMAN_FLINK_URL" in down["flink"]
    monkeypatch.undo()
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", system.settings["kafka_bootstrap"])
    assert data(system, "doctor", "--name", "nobody", expect=1)
