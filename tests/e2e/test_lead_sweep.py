"""A lead that the connector has missed is sent on, and is the same lead when the connector brings it after all."""

from __future__ import annotations

import json
import urllib.request

from tests.e2e.system import System, hot_lead
from tests.witness import eventually

OLD_ENOUGH = ("--older-than", "0s")


def connector(system: System, word: str, state: str) -> None:
    """`pause` or `resume` the connector, and wait until its task is in `state`."""
    port = system.stack.addresses.ports["connect"]
    base = f"http://127.0.0.1:{port}/connectors/leads-source"
    request = urllib.request.Request(f"{base}/{word}", method="PUT")  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
        assert answer.status == 202
    eventually(lambda: _states(base) == {state}, within_s=30, what=f"connector and task {state}")


def _states(base: str) -> set[str]:
    with urllib.request.urlopen(f"{base}/status", timeout=10) as answer:  # noqa: S310 - loopback
        status = json.loads(answer.read())
    return {part["state"] for part in (status["connector"], *status["tasks"])}


def delivered(system: System, workflow: str) -> int:
    """How often the lead stands in the leads topic."""
    return sum(workflow.encode() in (seen.value or b"") for seen in system.witness.read("incoming-leads.sdr.leads"))


def test_a_missed_lead_is_swept_once_and_its_late_delivery_sends_no_second_mail(system: System) -> None:
    early, _ = system.insert(hot_lead())
    eventually(lambda: delivered(system, early), within_s=60, what="the connector at work")
    connector(system, "pause", "PAUSED")
    try:
        workflow, address = system.insert(hot_lead())
        # The time in an id of MongoDB's own making is that of its second.
        dry = ("leads", "sweep", *OLD_ENOUGH, "--dry-run")
        eventually(lambda: workflow in system.cli(*dry).stdout, within_s=30, what="the lead's second to be over")
        assert delivered(system, workflow) == 0
        swept = system.cli("leads", "sweep", *OLD_ENOUGH).stdout
        assert workflow in swept
        assert early not in swept
        eventually(lambda: system.effects(workflow) == ["sent"], within_s=60, what="the mail")
        assert workflow not in system.cli("leads", "sweep", *OLD_ENOUGH).stdout
    finally:
        connector(system, "resume", "RUNNING")
    eventually(lambda: delivered(system, workflow) == 2, within_s=60, what="the connector's late delivery")
    late, late_address = system.insert(hot_lead())
    eventually(lambda: system.effects(late) == ["sent"], within_s=60, what="a lead behind it")
    assert [len(system.mails_to(each)) for each in (address, late_address)] == [1, 1]
    received = [made for made in system.witness.decisions(workflow) if made["event_type"] == "lead.received"]
    assert len(received) == 1
