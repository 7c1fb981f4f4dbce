"""Many more leads at once than the model can take: everything queues, and nothing grows without bound."""

from __future__ import annotations

import pytest

from tests.chaos.lab import Lab
from tests.chaos.memory import MemoryWatch
from tests.witness import eventually

TIMES_THE_USUAL = 10
WARM_UP_LEADS = 30
MORE_MEMORY_AT_MOST = 1.5
SMALL_MIB = 100
"""Room that a process may take whatever its size: its first thousand messages are no steady state yet."""


@pytest.mark.nightly
def test_ten_times_the_leads_at_once_on_a_slow_model(lab: Lab) -> None:
    leads = TIMES_THE_USUAL * lab.tier.leads
    experiment = lab.experiment("F37", f"{leads} leads within seconds, on a model that takes a second")
    restarts, failed = lab.system.job_restarts(), lab.system.failed_checkpoints()
    experiment.load(WARM_UP_LEADS, over_s=5)
    experiment.loaded()
    eventually(lambda: not experiment.account().open(), within_s=120, every_s=1, what="a warm system")
    steady = _mib(lab)
    watch = MemoryWatch(lab.system.stack, every_s=1.0)
    try:
        lab.partners.model.faults.latency_ms = 1000
        experiment.load(leads, over_s=leads / 200)
        experiment.loaded()
        experiment.injected += leads
        experiment.finish(within_s=1200)
    finally:
        watch.close()
    peaks = {name: max(size for _, size in samples) / 2**20 for name, samples in watch.since(0).items()}
    allowed = {name: max(MORE_MEMORY_AT_MOST * mib, mib + SMALL_MIB) for name, mib in steady.items()}
    assert {name: (peak, allowed[name]) for name, peak in peaks.items() if peak > allowed[name]} == {}
    assert (lab.system.job_restarts(), lab.system.failed_checkpoints()) == (restarts, failed)


def _mib(lab: Lab) -> dict[str, float]:
    return {status.name: status.rss_bytes / 2**20 for status in lab.system.stack.status()}
