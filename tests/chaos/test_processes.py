"""Processes are killed while leads are under way."""

from __future__ import annotations

import time

import pytest

from tests.chaos.lab import Experiment, Lab
from tests.witness import eventually

AGENTS = ("lead_ingestion", "lead_scoring", "active_outreach", "nurture_campaign", "send_email")
LONGER_THAN_A_CHECKPOINT_MS = 700
LEADS_BEFORE_A_KILL = 5
ROUTING_BACK_WITHIN_S = 10
AGENT_BACK_WITHIN_S = 5
MODEL_PROCESS_BACK_WITHIN_S = 5
DOWN_WITHIN_S = 40


def _have_calls_in_flight(lab: Lab, experiment: Experiment) -> None:
    for _ in range(LEADS_BEFORE_A_KILL):
        experiment.lead("hot")
    eventually(lambda: lab.partners.model.faults.in_flight > 0, every_s=0.01, what="a model call in flight")


@pytest.mark.critical
def test_taskmanager_killed_with_model_calls_in_flight(lab: Lab) -> None:
    experiment = lab.experiment("F1", "SIGKILL of the TaskManager at random, model calls in flight")
    kills = lab.tier.times(5)
    lab.partners.model.faults.latency_ms = LONGER_THAN_A_CHECKPOINT_MS
    # Leads come in as long as kills go on: each takes about a dozen seconds with all that follows.
    experiment.load(over_s=10 * kills)
    for _ in range(kills):
        experiment.pause(2, 6)
        _have_calls_in_flight(lab, experiment)
        experiment.routing_again(experiment.kill(lab.system.busy_taskmanager()))
    experiment.finish()
    eventually(lambda: lab.system.job_restarts() > 0, what="restarts in the job's own figures")
    assert experiment.back_within(ROUTING_BACK_WITHIN_S), experiment.recoveries_s


def test_model_process_killed_with_calls_in_flight(lab: Lab) -> None:
    experiment = lab.experiment("F1b", "SIGKILL of the process that asks the model, calls in flight")
    kills, restarts = lab.tier.times(5), lab.system.job_restarts()
    lab.partners.model.faults.latency_ms = LONGER_THAN_A_CHECKPOINT_MS
    experiment.load(over_s=5 * kills)
    for _ in range(kills):
        experiment.pause(1, 3)
        _have_calls_in_flight(lab, experiment)
        at = time.monotonic()
        lab.system.model_process().kill()
        experiment.injected += 1
        experiment.routing_again(at)
    experiment.finish()
    assert lab.system.job_restarts() == restarts
    assert experiment.back_within(MODEL_PROCESS_BACK_WITHIN_S), experiment.recoveries_s


@pytest.mark.critical
def test_agents_killed_at_random(lab: Lab) -> None:
    experiment = lab.experiment("F10", "SIGKILL of agents at random, each several times")
    lab.partners.model.faults.latency_ms = LONGER_THAN_A_CHECKPOINT_MS
    experiment.lukewarm = 0.25
    rounds = lab.tier.times(2)
    experiment.load(over_s=20 * rounds)
    for agent in experiment.dice.sample(AGENTS * rounds, k=len(AGENTS) * rounds):
        experiment.pause(0.5, 3)
        at = experiment.kill(f"agent-{agent}")
        experiment.lead("lukewarm" if agent == "nurture_campaign" else "hot")
        experiment.agent_again(agent, at)
    experiment.finish()
    assert experiment.back_within(AGENT_BACK_WITHIN_S), experiment.recoveries_s


@pytest.mark.critical
def test_mail_agent_killed_while_it_sends(lab: Lab) -> None:
    experiment = lab.experiment("F28", "SIGKILL of the mail agent at random, slow mail server")
    lab.partners.mail.slow_s, lab.partners.mail.dice = 1.5, experiment.dice_for_a_thread()
    try:
        experiment.load(over_s=0.4 * lab.tier.leads)
        while experiment.is_loading():
            experiment.pause(1, 5)
            eventually(
                lambda: lab.partners.mail.unanswered or not experiment.is_loading(),
                every_s=0.01, what="a mail on its way",
            )  # fmt: skip
            experiment.kill("agent-send_email")
        experiment.finish()
    finally:
        lab.partners.mail.slow_s = 0.0
    assert experiment.unknown_mails() > 0, "no kill hit a mail on its way"


@pytest.mark.critical
def test_broker_killed(lab: Lab) -> None:
    experiment = lab.experiment("F5", "SIGKILL of the Kafka broker, which starts again")
    kills = lab.tier.times(3)
    experiment.load(over_s=20 * kills)
    for _ in range(kills):
        experiment.pause(3, 8)
        experiment.routing_again(experiment.kill("kafka"))
    experiment.finish()


@pytest.mark.critical
def test_everything_stopped_under_load(lab: Lab) -> None:
    experiment = lab.experiment("F41", "SIGTERM to every process under load, then `pointsman up`")
    lab.partners.model.faults.latency_ms = LONGER_THAN_A_CHECKPOINT_MS
    for _ in range(lab.tier.times(2)):
        for _ in range(lab.tier.leads // 2):
            experiment.lead()
        eventually(lambda: lab.partners.model.faults.in_flight > 0, every_s=0.01, what="a model call in flight")
        experiment.pause(0.5, 3)
        began = time.monotonic()
        lab.system.stack.down()
        assert lab.system.stack.processes() == []
        assert time.monotonic() - began < DOWN_WITHIN_S
        began = time.monotonic()
        lab.system.stack.up()
        experiment.injected += 1
        experiment.routing_again(began)
    experiment.finish()


def test_jobmanager_killed(lab: Lab) -> None:
    experiment = lab.experiment("F2", "SIGKILL of the JobManager; `pointsman up` from the last checkpoint")
    lab.partners.model.faults.latency_ms = LONGER_THAN_A_CHECKPOINT_MS
    kills = lab.tier.times(2)
    experiment.load(over_s=20 * kills)
    for _ in range(kills):
        experiment.pause(3, 6)
        killed = experiment.kill("jobmanager")
        lab.system.stack.up()
        experiment.routing_again(killed)
    experiment.finish()
