"""Processes stand still for long, and wake up believing that nothing happened."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from signal import SIGTERM

import pytest

from tests.chaos.lab import Lab
from tests.e2e.system import ROOT
from tests.witness import eventually

AGENTS = ("lead_scoring", "send_email")
LONGER_THAN_SESSION_AND_TRANSACTION_S = 12
BROKER_FROZEN_S = 30
BROKER_BACK_WITHIN_S = 45
EXIT_DEPENDENCY = 4
FENCED = b"a second process under the same name?"


@pytest.mark.critical
def test_a_frozen_agent_wakes_up_when_another_has_its_name_and_its_work(lab: Lab, tmp_path: Path) -> None:
    experiment = lab.experiment("F11", "SIGSTOP of an agent, another process takes its name and its work, SIGCONT")
    lab.partners.model.faults.latency_ms = 700
    lab.partners.mail.slow_s, lab.partners.mail.dice = 1.0, experiment.dice_for_a_thread()
    freezes = len(AGENTS) * lab.tier.times(1)
    try:
        experiment.load(over_s=20 * freezes)
        for number in range(freezes):
            agent = AGENTS[number % len(AGENTS)]
            experiment.pause(3, 5)
            log = lab.system.data_dir / "logs" / f"agent-{agent}.log"
            with ExitStack() as replacement:
                with experiment.frozen(f"agent-{agent}") as since:
                    replacement.enter_context(_in_its_place(lab, agent, tmp_path / str(number)))
                    experiment.agent_again(agent, since)
                    experiment.stand_still_until(since + LONGER_THAN_SESSION_AND_TRANSACTION_S)
                    read = log.stat().st_size
                eventually(partial(_is_fenced, log, read), within_s=60, what=f"a fenced {agent}")
        experiment.finish()
    finally:
        lab.partners.mail.slow_s = 0.0


@pytest.mark.nightly
def test_broker_frozen(lab: Lab) -> None:
    experiment = lab.experiment("F5b", f"SIGSTOP of the Kafka broker for {BROKER_FROZEN_S} s, then SIGCONT")
    experiment.load(over_s=BROKER_FROZEN_S + 20)
    for _ in range(lab.tier.times(1)):
        experiment.pause(3, 6)
        with experiment.frozen("kafka") as since:
            experiment.stand_still_until(since + BROKER_FROZEN_S)
        experiment.routing_again(time.monotonic(), within_s=BROKER_BACK_WITHIN_S)
    experiment.finish()


@contextmanager
def _in_its_place(lab: Lab, agent: str, elsewhere: Path) -> Iterator[None]:
    """The same agent under the same name from another folder, as on another machine; fenced itself in the end."""
    elsewhere.mkdir()
    shutil.copyfile(lab.system.data_dir / "stack.json", elsewhere / "stack.json")
    env = {**lab.system.env, "POINTSMAN_DATA_DIR": str(elsewhere)}
    with (elsewhere / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "agents", agent], cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        # By now the one under supervision has the name again, so this one may be fenced, or just about to end for it.
        assert process.wait(timeout=15) in {0, EXIT_DEPENDENCY, -SIGTERM}, (elsewhere / "log").read_text()[-2000:]


def _is_fenced(log: Path, since_byte: int) -> bool:
    with log.open("rb") as handle:
        handle.seek(since_byte)
        return FENCED in handle.read()
