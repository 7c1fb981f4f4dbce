"""A dead letter is mended and sent back, and its workflow goes on as if nothing had happened; but not for ever."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from pointsman import topics
from tests.e2e.system import System, hot_lead
from tests.witness import Seen, eventually


def letters(system: System, workflow: str) -> list[Seen]:
    return [seen for seen in system.witness.read(topics.ERRORS) if seen.workflow == workflow]


def the_letter(system: System, workflow: str, number: int = 1) -> str:
    """The id of the newest of `number` dead letters of a workflow, once it is there."""
    found = eventually(lambda: letters(system, workflow)[number - 1 : number], what=f"dead letter {number}")
    return f"{topics.ERRORS}/{found[0].partition}/{found[0].offset}"


def draft(lead_id: str) -> dict[str, Any]:
    return {
        "lead_id": lead_id, "campaign_id": f"{lead_id}:by-hand", "step": 1, "subject": "Two minutes?",
        "body": "Hello,\n\nshall we talk?\n\nAlex Kim", "kind": "outreach",
    }  # fmt: skip


def add_profile(system: System, lead_id: str, where: str) -> None:
    """What lead_ingestion would have kept of that lead."""
    domain = where.partition("@")[2]
    profile = {"_id": lead_id, "email": where, "email_domain": domain, "person": where, "consent": True, "profile": {}}
    system.database.profiles.insert_one(profile)


def profiled(system: System) -> tuple[str, str]:
    """Lead id and address of somebody who has a profile."""
    lead_id, where = f"lead-{uuid.uuid4().hex[:12]}", system.address()
    add_profile(system, lead_id, where)
    return lead_id, where


def audit(system: System, letter: str) -> list[dict[str, Any]]:
    return [seen.json() for seen in system.witness.read(topics.AUDIT) if seen.key == letter.encode()]


def test_a_message_that_breaks_its_contract_is_mended_sent_back_and_completes(system: System, tmp_path: Path) -> None:
    lead_id, where = profiled(system)
    broken = {name: value for name, value in draft(lead_id).items() if name != "body"}
    workflow = system.send("campaign.drafted", broken)
    letter = the_letter(system, workflow)
    assert "contract_violation" in system.cli("dlq", "show", letter).stdout
    mended = tmp_path / "mended.json"
    mended.write_text(json.dumps(draft(lead_id)))

    system.cli("dlq", "edit", letter, "--payload", str(mended), "--by", "ann")

    eventually(lambda: system.outcomes(workflow)[-1:] == ["completed"], what="the workflow's end")
    assert system.outcomes(workflow) == ["rejected", "routed", "completed"]
    assert len(system.mails_to(where)) == 1
    (entry,) = audit(system, letter)
    assert (entry["action"], entry["by"]) == ("dead_letter.edited", "ann")
    assert letter not in system.cli("dlq", "ls", "--each").stdout
    assert letter in system.cli("dlq", "ls", "--each", "--all").stdout


def test_what_failed_at_an_agent_goes_back_to_that_agent(system: System) -> None:
    lead_id, where = f"lead-{uuid.uuid4().hex[:12]}", system.address()
    workflow = system.send("campaign.drafted", draft(lead_id))
    letter = the_letter(system, workflow)
    assert "agent/send_email" in system.cli("dlq", "show", letter).stdout
    add_profile(system, lead_id, where)

    system.cli("dlq", "redrive", letter)

    eventually(lambda: system.outcomes(workflow)[-1:] == ["completed"], what="the workflow's end")
    assert system.outcomes(workflow) == ["routed", "completed"]
    assert len(system.mails_to(where)) == 1
    refused = system.cli("dlq", "redrive", letter, expect=1)
    assert "has sent it again" in refused.stderr


def test_a_lead_that_was_no_document_is_mended_and_gets_its_mail(system: System, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    system.witness.write(topics.LEADS, f"no document {mark}".encode(), key=mark.encode())
    found = eventually(
        lambda: [seen for seen in system.witness.read(topics.ERRORS) if seen.key == mark.encode()], what="a dead letter"
    )[0]
    where = system.address()
    mended = tmp_path / "mended.json"
    mended.write_text(json.dumps({**hot_lead(), "_id": f"lead-{mark[:12]}", "email": where}))

    system.cli("dlq", "edit", f"{topics.ERRORS}/{found.partition}/{found.offset}", "--payload", str(mended))

    eventually(lambda: system.mails_to(where), within_s=60, what="a mail to the lead")


def test_the_fourth_redrive_of_a_message_is_refused(system: System) -> None:
    workflow = system.send("campaign.drafted", {"lead_id": "x"})
    for number in (1, 2, 3):
        letter = the_letter(system, workflow, number)
        assert f"attempt {number}" in system.cli("dlq", "redrive", letter).stdout

    refused = system.cli("dlq", "redrive", the_letter(system, workflow, 4), expect=1)

    assert "sent again 3 times, 3 are allowed" in refused.stderr
    assert system.outcomes(workflow) == ["rejected"] * 4
    decided = [decision["attempt"] for decision in system.witness.decisions(workflow)]
    assert sorted(decided) == [0, 1, 2, 3]


@pytest.mark.parametrize("stage", ["router", "send_email"])
def test_dead_letters_can_be_listed_exported_and_set_aside_by_stage(system: System, stage: str, tmp_path: Path) -> None:
    workflow = system.send("campaign.drafted", {"lead_id": "x"} if stage == "router" else draft("nobody"))
    letter = the_letter(system, workflow)
    assert letter in system.cli("dlq", "ls", "--each", "--stage", stage).stdout
    assert stage in system.cli("dlq", "ls").stdout
    file = tmp_path / "letters.jsonl"
    system.cli("dlq", "export", "--output", str(file), "--stage", stage)
    assert letter in [json.loads(line)["id"] for line in file.read_text().splitlines()]
    system.cli("dlq", "discard", letter, "--note", "a test")
    assert letter not in system.cli("dlq", "ls", "--each", "--stage", stage).stdout
