"""One command stops all mails; what waits is kept and sent once when they are started again."""

from __future__ import annotations

import time

from tests.e2e.system import System, hot_lead
from tests.witness import eventually

SILENCE_S = 5


def test_no_mail_leaves_while_effects_are_stopped_and_each_leaves_once_afterwards(system: System) -> None:
    system.cli("effects", "stop", "--reason", "a test", "--by", "ann")
    try:
        time.sleep(SILENCE_S)  # the promise: within five seconds; nothing shows from outside who has heard
        assert "stopped" in system.cli("effects", "status").stdout
        workflow, address = system.insert(hot_lead())
        eventually(lambda: "campaign.drafted" in system.witness.events(workflow), what="a draft")
        eventually(lambda: system.outcomes(workflow) == ["routed"] * 4, what="the draft's way to the agent that sends")
        quiet_until = time.monotonic() + SILENCE_S
        while time.monotonic() < quiet_until:
            assert system.mails_to(address) == []
            time.sleep(0.25)
        assert system.effects(workflow) == []
    finally:
        system.cli("effects", "start", "--by", "ann")
    eventually(lambda: system.outcomes(workflow)[-1:] == ["completed"], what="the workflow's end")
    assert len(system.mails_to(address)) == 1
    assert system.effects(workflow) == ["sent"]
    assert not [seen for seen in system.witness.read("agent_errors") if seen.workflow == workflow]
    said = [seen.type for seen in system.witness.read("agent_audit") if seen.key == b"effects"]
    assert said[-2:] == ["effects.stopped", "effects.started"]


def test_a_person_says_what_became_of_an_unknown_mail(system: System) -> None:
    workflow, address = system.insert(hot_lead())
    eventually(lambda: system.effects(workflow) == ["sent"], within_s=60, what="the mail")
    (effect,) = system.database.effects.find({"facts.lead_id": workflow})
    system.database.effects.update_one({"_id": effect["_id"]}, {"$set": {"state": "unknown"}})
    (listed,) = [line for line in system.cli("effects", "ls", "--state", "unknown").stdout.splitlines()
                 if workflow in line]  # fmt: skip
    assert listed.startswith(effect["_id"])

    system.cli("effects", "resolve", effect["_id"][:12], "--as", "sent", "--by", "ann")

    assert system.effects(workflow) == ["sent"]
    assert "is sent" in system.cli("effects", "resolve", effect["_id"], "--as", "rejected", expect=1).stderr
    said = [seen.json() for seen in system.witness.read("agent_audit") if seen.key == effect["_id"].encode()]
    assert [(entry["action"], entry["by"], entry["details"]) for entry in said] == [
        ("effect.resolved", "ann", {"as": "sent"})
    ]
    assert len(system.mails_to(address)) == 1
