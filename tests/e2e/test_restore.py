"""A copy of a stopped stack goes on elsewhere: nothing is lost, nothing happens twice."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pointsman.local import LocalStack, StackOptions
from tests.e2e.system import ROOT, System, address, hot_lead
from tests.witness import eventually

pytestmark = pytest.mark.long

LEADS = 8
EVENTS_OF_A_HOT_LEAD = 5


def test_a_stack_goes_on_from_its_backup_in_another_folder(tmp_path: Path) -> None:
    options = StackOptions(
        data_dir=tmp_path / "before", jars_dir=ROOT / ".pointsman" / "jars", free_ports=True,
        definitions_dir=ROOT / "agent_definitions", model_latency_ms=700,
    )  # fmt: skip
    leads = begin(System(stack=LocalStack(options), data_dir=options.data_dir, early_address=address()))
    # As `tar` would: the copy is the backup, and what it was made of is gone.
    elsewhere = tmp_path / "restored elsewhere"
    shutil.copytree(options.data_dir, elsewhere, symlinks=True)
    shutil.rmtree(options.data_dir)
    go_on(System(stack=LocalStack(replace(options, data_dir=elsewhere)), data_dir=elsewhere, early_address=""), leads)


def begin(system: System) -> dict[str, str]:
    """Leads of which some have their mail and some are under way when everything stops: address by workflow."""
    try:
        system.stack.up()
        leads = dict([system.insert(hot_lead())])
        eventually(system.mails, within_s=60, what="the first mail")
        leads |= dict(system.insert(hot_lead()) for _ in range(LEADS))
        eventually(lambda: system.model_in_flight() > 0, every_s=0.02, what="a model call in flight")
    finally:
        system.close()
        system.stack.down()
    assert len(system.mails()) < len(leads), "everything was over before the backup, so this run proves nothing"
    return leads


def go_on(system: System, leads: dict[str, str]) -> None:
    try:
        system.stack.up()
        workflow, recipient = system.insert(hot_lead())
        leads = {**leads, workflow: recipient}
        eventually(lambda: all(map(system.mails_to, leads.values())), within_s=120, what="all mails")
        eventually(lambda: all(system.outcomes(each)[-1:] == ["completed"] for each in leads), what="all completions")
        assert {len(system.mails_to(each)) for each in leads.values()} == {1}
        assert {len(system.outcomes(each)) for each in leads} == {EVENTS_OF_A_HOT_LEAD}
        assert {len(system.witness.events(each)) for each in leads} == {EVENTS_OF_A_HOT_LEAD}
        assert {tuple(system.effects(each)) for each in leads} == {("sent",)}
    finally:
        system.close()
        system.stack.down()
    assert system.stack.processes() == []
