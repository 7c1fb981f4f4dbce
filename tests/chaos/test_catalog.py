"""Definitions change while messages are on their way."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from pointsman.definitions.loader import load_folder_or_raise
from pointsman.publish import KafkaCatalogTopic, apply
from tests.chaos.lab import Lab
from tests.e2e.system import ROOT
from tests.witness import eventually

APPLIES = 50
GUIDE = ROOT / "docs" / "agents.md"


def test_fifty_applies_under_load_ten_of_them_invalid(lab: Lab) -> None:
    experiment = lab.experiment("F32", "50 applies of definitions under load, 10 invalid")
    job, before = lab.system.job_id(), lab.system.catalog_sequence()
    # What `pointsman agents apply` does, without a new interpreter each time.
    topic = KafkaCatalogTopic(lab.system.settings["kafka_bootstrap"])
    invalid = set(experiment.dice.sample(range(APPLIES), k=10))
    experiment.load(over_s=35)
    with lab.system.edited_definitions() as folder:
        path = folder / "lead_scoring.yaml"
        good = path.read_text()
        for number in range(APPLIES):
            text = good.replace("Judges how well", f"Edition {number}. Judges how well")
            assert text != good
            if number in invalid:
                path.write_text(text.replace("accepts:", "acepts:", 1))
                assert "lead_scoring.yaml:" in lab.system.cli("agents", "apply", str(folder), expect=3).stderr
            else:
                path.write_text(text)
                apply(topic, load_folder_or_raise(folder).definitions)
            experiment.injected += 1
            experiment.pause(0, 0.5)
        assert lab.system.catalog_sequence() == before + APPLIES - len(invalid)
        experiment.routing_again(time.monotonic())
        experiment.finish()
    ours = [decision for decision in lab.system.all_decisions() if decision["workflow_id"] in experiment.workflows]
    assert len({decision["catalog"] for decision in ours}) > 5
    assert lab.system.job_id() == job


def test_an_agent_removed_with_messages_queued(lab: Lab) -> None:
    experiment = lab.experiment("F33", "an agent removed with 50 messages queued and more coming")
    yaml = re.search(r"```yaml\n(# yaml-language-server.*?)```", GUIDE.read_text(), re.DOTALL)
    assert yaml is not None
    experiment.load()
    with lab.system.edited_definitions() as folder:
        (folder / "account_brief.yaml").write_text(yaml.group(1))
        lab.system.cli("agents", "apply", str(folder))
        queued = [_ask(lab, experiment.send, number) for number in range(50)]
        eventually(lambda: all(_decided(lab, workflow) for workflow in queued), within_s=60, what="50 queued messages")
        with lab.system.agent_process("account_brief"):
            lab.system.cli("agents", "remove", "account_brief")
            experiment.injected += 1
            for number in range(50, 60):
                _ask(lab, experiment.send, number)
            eventually(lambda: not experiment.account().open(), within_s=120, what="an end for every message")
    account = experiment.finish()
    assert account.last_types()["briefing.written"] >= len(queued)
    # With its definition gone, nobody declares its last answers terminal any more: a person hears of them too.
    assert set(account.reasons()) <= {"escalation no_agent_accepts"}


def _ask(lab: Lab, send: object, number: int) -> str:
    assert callable(send)
    return str(send("briefing.requested", {"company": f"Company {number}", "question": "What do they do?"}))


def _decided(lab: Lab, workflow: str) -> bool:
    return any(one.workflow == workflow and one.topic == "agent_decisions" for one in lab.tail.records())


def test_agents_scaled_up_and_down_under_load(lab: Lab) -> None:
    experiment = lab.experiment("F12", "agents scaled from 1 to 3 instances and back, under load")
    lab.partners.model.faults.latency_ms = 700
    experiment.load(over_s=30 * lab.tier.times(1))
    while experiment.is_loading():
        agent = experiment.dice.choice(["lead_ingestion", "lead_scoring", "active_outreach", "send_email"])
        with ExitStack() as instances:
            for name in ("extra2", "extra3"):
                instances.callback(_end, *_start(lab, agent, name, experiment.dice.randrange(10**9)))
                experiment.injected += 1
                experiment.pause(0, 2)
            experiment.injected += 2
    experiment.finish()


def _start(lab: Lab, agent: str, instance: str, number: int) -> tuple[subprocess.Popen[bytes], Path]:
    """One more instance, once it has been given partitions."""
    log = lab.system.data_dir / "logs" / f"{agent}-{instance}-{number}.log"
    command = [sys.executable, "-m", "agents", agent, "--instance", instance]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=lab.system.env, stdout=output, stderr=output)
    eventually(lambda: "partitions assigned" in log.read_text(), within_s=60, what=f"partitions of {agent} {instance}")
    return process, log


def _end(process: subprocess.Popen[bytes], log: Path) -> None:
    process.terminate()
    assert process.wait(timeout=15) == 0, log.read_text()[-2000:]
