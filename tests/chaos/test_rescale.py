"""The router job moves while leads are under way: to other parallelisms, and to the code of this checkout."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from pointsman.local import LocalStack
from tests.chaos.lab import Experiment, Lab
from tests.witness import eventually

LONGER_THAN_A_CHECKPOINT_MS = 700


@pytest.mark.nightly
def test_rescaled_under_load(lab: Lab) -> None:
    steps = lab.tier.parallelisms
    experiment = lab.experiment("F7", f"router rescaled 1→{'→'.join(map(str, steps))} by `pointsman up --parallelism`")
    lab.partners.model.faults.latency_ms = LONGER_THAN_A_CHECKPOINT_MS
    try:
        for parallelism in steps:
            rescale(experiment, parallelism)
    finally:
        LocalStack(lab.system.stack.options).up()
    experiment.finish()


def rescale(experiment: Experiment, parallelism: int) -> None:
    """Leads come in before, while and after the job moves; model calls are in flight when it stops."""
    lab = experiment.lab
    experiment.load(lab.tier.leads // 3, over_s=20)
    eventually(lambda: lab.partners.model.faults.in_flight > 0, every_s=0.01, what="a model call in flight")
    began = time.monotonic()
    LocalStack(replace(lab.system.stack.options, parallelism=parallelism)).up()
    experiment.injected += 1
    experiment.routing_again(began)
    assert instances(lab) == parallelism
    spare = lab.system.stack.options.spare_taskmanagers
    assert lab.system.flink("/overview")["slots-total"] == parallelism + spare


def instances(lab: Lab) -> int:
    """How parallel the operator that decides is."""
    vertices = lab.system.flink(f"/jobs/{lab.system.job_id()}")["vertices"]
    return max(int(vertex["parallelism"]) for vertex in vertices)


@pytest.mark.nightly
def test_upgraded_under_load(lab: Lab) -> None:
    experiment = lab.experiment("F40", "`pointsman job upgrade`, twice, with model calls in flight")
    lab.partners.model.faults.latency_ms = LONGER_THAN_A_CHECKPOINT_MS
    experiment.load(over_s=40)
    for _ in range(lab.tier.times(2)):
        eventually(lambda: lab.partners.model.faults.in_flight > 0, every_s=0.01, what="a model call in flight")
        began = time.monotonic()
        lab.system.cli("job", "upgrade")
        experiment.injected += 1
        experiment.routing_again(began)
    experiment.finish()
