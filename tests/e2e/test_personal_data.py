"""Nothing of a lead and no secret is to be read where operators look: not in a log, not on Flink's page."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from pointsman.console.keys import local_keys
from tests.e2e.system import SECRET, System, hot_lead
from tests.witness import eventually

PAGES = ("/jobs/overview", "/config", "/jobmanager/config", "/taskmanagers")
PAGES_OF_A_JOB = ("", "/config", "/exceptions", "/plan", "/checkpoints")


def marked() -> dict[str, Any]:
    """A lead with words that nobody else has in each field."""
    mark = uuid.uuid4().hex[:10]
    names = {"first_name": f"Zoe{mark}", "last_name": f"Marker{mark}"}
    own = {**names, "company": f"Depot {mark}", "phone": f"+49 30 {mark}"}
    return {**hot_lead(), **own, "message": f"{hot_lead()['message']} Ask for {mark}."}


def _text(log: Path) -> str:
    try:
        return log.read_text(errors="replace")
    except FileNotFoundError:  # RocksDB's own goes with the job that wrote it
        return ""


def test_no_lead_and_no_secret_stands_in_a_log_or_on_flinks_page(system: System) -> None:
    lead = marked()
    mark, (workflow, address) = lead["first_name"].removeprefix("Zoe"), system.insert(lead)
    eventually(lambda: system.effects(workflow) == ["sent"], within_s=60, what="the mail")
    broken = system.send("lead.scored", {"lead_id": "x", "email": address, "name": mark})
    eventually(lambda: system.outcomes(broken) == ["rejected"], what="a dead letter")
    assert mark in json.dumps([seen.json() for seen in system.messages(broken)])

    logs = [file for file in (system.data_dir / "logs").iterdir() if file.is_file()]
    shown = {file.name: _text(file) for file in logs}
    shown |= {page: json.dumps(system.flink(page)) for page in PAGES}
    shown |= {page: json.dumps(system.flink(f"/jobs/{system.job_id()}{page}")) for page in PAGES_OF_A_JOB}

    assert len(shown) > len(PAGES) + len(PAGES_OF_A_JOB)
    keys = local_keys(system.data_dir)
    secrets = {SECRET, *(key.get_secret_value() for key in keys.leads_api_keys.values())}
    assert keys.session_secret
    secrets.add(keys.session_secret.get_secret_value())
    assert len(secrets) > 2
    private = {mark, address.partition("@")[0], *secrets}
    assert [name for name, text in shown.items() if any(word in text for word in private)] == []
