"""Processes are killed while leads are under way."""

from __future__ import annotations

import time
from signal import SIGKILL

from tests.chaos.lab import Experiment, Lab
from tests.witness import eventually

AGENTS = ("lead_ingestion", "lead_scoring", "active_outreach", "send_email")
LONGER_THAN_A_CHECKPOINT_MS = 700


def kill(experiment: Experiment, program: str) -> float:
    """SIGKILL `program`, once it runs again after an earlier kill; when that was."""
    killed = eventually(lambda: experiment.system.stack.kill(program, SIGKILL), within_s=60, what=f"a live {program}")
    experiment.injected += len(killed)
    return time.monotonic()


def test_taskmanager_killed_with_model_calls_in_flight(lab: Lab) -> None:
    experiment = lab.experiment("F1", "SIGKILL of the TaskManager at random, model calls in flight")
    lab.partners.model.faults.latency_ms = LONGER_THAN_A_CHECKPOINT_MS
    experiment.load(100, over_s=60)
    for _ in range(5):
        experiment.pause(2, 6)
        eventually(lambda: lab.partners.model.faults.in_flight > 0, every_s=0.01, what="a model call in flight")
        experiment.routing_again(kill(experiment, "taskmanager"))
    experiment.finish()
    eventually(lambda: lab.system.job_restarts() > 0, what="restarts in the job's own figures")


def test_agents_killed_at_random(lab: Lab) -> None:
    experiment = lab.experiment("F10", "SIGKILL of agents at random, each several times")
    lab.partners.model.faults.latency_ms = LONGER_THAN_A_CHECKPOINT_MS
    experiment.load(90, over_s=60)
    for agent in experiment.dice.sample(AGENTS * 2, k=len(AGENTS) * 2):
        experiment.pause(0.5, 3)
        experiment.agent_again(agent, kill(experiment, f"agent-{agent}"))
    experiment.finish()


def test_mail_agent_killed_while_it_sends(lab: Lab) -> None:
    experiment = lab.experiment("F28", "SIGKILL of the mail agent at random, slow mail server")
    lab.partners.mail.slow_s, lab.partners.mail.dice = 1.5, experiment.dice
    try:
        experiment.load(100, over_s=60)
        while experiment.is_loading():
            experiment.pause(1, 5)
            kill(experiment, "agent-send_email")
        experiment.finish()
    finally:
        lab.partners.mail.slow_s = 0.0
    assert experiment.unknown_mails() > 0, "no kill hit a mail on its way"


def test_broker_killed(lab: Lab) -> None:
    experiment = lab.experiment("F5", "SIGKILL of the Kafka broker, which starts again")
    experiment.load(80, over_s=50)
    for _ in range(3):
        experiment.pause(3, 8)
        experiment.routing_again(kill(experiment, "kafka"))
    experiment.finish()


def test_everything_stopped_under_load(lab: Lab) -> None:
    experiment = lab.experiment("F41", "SIGTERM to every process under load, then `pointsman up`")
    lab.partners.model.faults.latency_ms = LONGER_THAN_A_CHECKPOINT_MS
    for _ in range(50):
        experiment.lead()
    eventually(lambda: lab.partners.model.faults.in_flight > 0, every_s=0.01, what="a model call in flight")
    experiment.pause(0.5, 3)
    began = time.monotonic()
    lab.system.stack.down()
    assert lab.system.stack.processes() == []
    assert time.monotonic() - began < 40
    began = time.monotonic()
    lab.system.stack.up()
    experiment.injected += 1
    experiment.routing_again(began)
    experiment.finish()


def test_jobmanager_killed(lab: Lab) -> None:
    experiment = lab.experiment("F2", "SIGKILL of the JobManager; `pointsman up` from the last checkpoint")
    lab.partners.model.faults.latency_ms = LONGER_THAN_A_CHECKPOINT_MS
    experiment.load(80, over_s=40)
    for _ in range(2):
        experiment.pause(3, 6)
        killed = kill(experiment, "jobmanager")
        lab.system.stack.up()
        experiment.routing_again(killed)
    experiment.finish()
