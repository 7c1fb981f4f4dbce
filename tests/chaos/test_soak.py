"""Leads for half an hour while one thing after the other goes wrong; what is lost, what comes twice, what grows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import mean

import pytest

from pointsman import topics
from pointsman.job_options import JobOptions
from tests.chaos.lab import Experiment, Lab
from tests.chaos.memory import MemoryWatch, Sample, fill_the_databases_cache, growth_percent
from tests.chaos.report import SOAK

LEADS_PER_S = 1.0
KILLS_UNTIL = 1 / 3
"""Part of the time in which processes are killed; afterwards every process lives on, so that its memory can be seen."""
MEASURED_FROM = 2 / 3
REMEMBERED = "4m"
"""The job forgets a workflow so long after its last message; by its default of a week it would forget nothing here."""
GROWTH_PERCENT_PER_10_MIN = 1.0
"""Of all processes together. One alone may look steeper: a single page of an allocator is a step in ten minutes."""
GROWTH_MIB_PER_10_MIN = 10.0
"""Of each process."""
_AGENTS = ("lead_ingestion", "lead_scoring", "active_outreach", "nurture_campaign", "send_email")


@pytest.mark.soak
@pytest.mark.timeout(2 * 3600)
def test_soak(lab: Lab, request: pytest.FixtureRequest) -> None:
    minutes = float(request.config.getoption("--minutes"))
    experiment = lab.experiment("soak", f"{minutes:g} minutes of leads and faults at random")
    experiment.lukewarm = 0.15
    # As on a cluster: the broker remembers a transactional id of every checkpoint (docs/adr/0024).
    slower = ("--checkpoint-interval-ms", str(JobOptions.checkpoint_interval_ms))
    lab.system.cli("job", "upgrade", "--state-ttl", REMEMBERED, *slower, within_s=180)
    fill_the_databases_cache(lab.system)
    began, whole_s = time.monotonic(), minutes * 60
    memory = MemoryWatch(lab.system.stack)
    try:
        experiment.load(round(whole_s * LEADS_PER_S), over_s=whole_s)
        while experiment.is_loading():
            experiment.pause(5, 25)
            kills = _KILLS if time.monotonic() < began + KILLS_UNTIL * whole_s else {}
            name, fault = experiment.dice.choice(list({**_TROUBLES, **kills}.items()))
            print(f"{time.monotonic() - began:.0f} s: {name}")  # noqa: T201 - for people
            fault(experiment)
        lab.partners.model.behave()
        account = experiment.finish(within_s=600)
    finally:
        memory.close()
    samples = memory.since(began + MEASURED_FROM * whole_s)
    grown = {name: growth_percent(found) for name, found in samples.items() if len(found) > 1}
    _keep(lab, experiment, minutes, grown, memory.since(began))
    assert account.duplicated() == []
    sizes = {name: mean(size for _, size in samples[name]) for name in grown}
    steps = {name: grown[name] / 100 * sizes[name] / 2**20 for name in grown}
    assert {name: mib for name, mib in steps.items() if mib >= GROWTH_MIB_PER_10_MIN} == {}
    assert sum(steps.values()) / (sum(sizes.values()) / 2**20) * 100 < GROWTH_PERCENT_PER_10_MIN


def _kill_agent(experiment: Experiment) -> None:
    experiment.kill(f"agent-{experiment.dice.choice(_AGENTS)}")


def _kill_taskmanager(experiment: Experiment) -> None:
    experiment.routing_again(experiment.kill(experiment.system.busy_taskmanager()))


def _kill_broker(experiment: Experiment) -> None:
    experiment.routing_again(experiment.kill("kafka"))


def _freeze_agent(experiment: Experiment) -> None:
    with experiment.frozen(f"agent-{experiment.dice.choice(_AGENTS)}"):
        experiment.pause(2, 15)


def _failing_model(experiment: Experiment) -> None:
    faults = experiment.lab.partners.model.faults
    faults.status, faults.fail_rate = experiment.dice.choice([429, 500, 503]), 0.3
    faults.retry_after_s = 2.0 if faults.status == 429 else 0.0
    experiment.pause(3, 10)
    experiment.injected += 1
    experiment.lab.partners.model.behave()


def _slow_model(experiment: Experiment) -> None:
    experiment.lab.partners.model.faults.latency_ms = 3000
    experiment.pause(3, 10)
    experiment.injected += 1
    experiment.lab.partners.model.behave()


def _refused_mails(experiment: Experiment) -> None:
    for _ in range(5):
        _, address = experiment.lead("hot")
        experiment.lab.partners.mail.plan[address] = [experiment.dice.choice(["421", "450", "451", "550"])]
        experiment.injected += 1


def _poison(experiment: Experiment) -> None:
    for topic in (topics.MESSAGES, topics.LEADS, topics.inbox("lead_scoring")):
        experiment.system.witness.write(topic, experiment.dice.randbytes(64), key=b"poison")
        experiment.injected += 1


_TROUBLES: dict[str, Callable[[Experiment], None]] = {
    "failing model": _failing_model, "slow model": _slow_model, "refused mails": _refused_mails, "poison": _poison,
}  # fmt: skip
_KILLS: dict[str, Callable[[Experiment], None]] = {
    "agent killed": _kill_agent, "TaskManager killed": _kill_taskmanager, "broker killed": _kill_broker,
    "agent frozen": _freeze_agent,
}  # fmt: skip


def _keep(
    lab: Lab, experiment: Experiment, minutes: float, grown: dict[str, float], samples: dict[str, list[Sample]]
) -> None:
    result = next(one for one in lab.results if one.fault == experiment.fault)
    found = {
        "minutes": minutes, "seed": lab.seed, "leads": result.leads, "faults": result.injected, "lost": result.lost,
        "duplicated": result.duplicated,
        "memory": {
            name: {
                "mib": samples[name][-1][1] / 2**20,
                "percent_per_10_min": percent,
                "samples_s_mib": _curve(samples[name]),
            }
            for name, percent in grown.items()
        },
    }  # fmt: skip
    SOAK.write_text(json.dumps(found, indent=2) + "\n")


def _curve(samples: list[Sample]) -> list[tuple[int, float]]:
    """Seconds from the first sample, and MiB."""
    return [(round(at - samples[0][0]), round(size / 2**20, 1)) for at, size in samples]
