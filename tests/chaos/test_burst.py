"""Many more messages at once than model and agents can take: everything queues, and nothing grows without bound."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any

import pytest

from flink_jobs.operators.shard import MAX_WAITING
from pointsman import topics
from tests.chaos.lab import Experiment, Lab
from tests.chaos.memory import MemoryWatch, fill_the_databases_cache
from tests.chaos.partners import Call
from tests.e2e.system import raw_message
from tests.witness import Seen, eventually

TIMES_THE_USUAL = 10
WARM_UP_LEADS = 30
MORE_MEMORY_AT_MOST = 1.5
SMALL_MIB = 100
"""Room that a process may take whatever its size: its first thousand messages are no steady state yet."""
ROUTER_CALLS = 256
AGENT_CALLS = 8
TOO_MANY = 120
CASES = 4 * ROUTER_CALLS
URGENT = 4
DESK = """\
name: {name}
version: 1.0.0
description: Closes cases.
accepts:
  - type: case.opened
    contract: {{type: object, required: [number], properties: {{number: {{type: integer}}}}}}
emits:
  - type: case.closed
    terminal: true
    contract: {{type: object, additionalProperties: false, properties: {{number: {{type: integer}}}}}}
instructions: Close the case.
limits: {{in_flight: {in_flight}}}
"""


@pytest.mark.nightly
def test_what_model_and_agents_cannot_take_yet_waits_in_kafka_and_what_is_urgent_overtakes(lab: Lab) -> None:
    experiment = lab.experiment("F37b", f"{CASES} messages at once on a model that takes three seconds")
    model, restarts, failed = lab.partners.model, lab.system.job_restarts(), lab.system.failed_checkpoints()
    before = len(model.calls)
    with _desks(experiment):
        model.faults.latency_ms, model.say = 3000, _either_desk
        crowded = _send(experiment, MAX_WAITING + TOO_MANY, shard="0")
        eventually(lambda: model.faults.in_flight >= MAX_WAITING, within_s=60, every_s=0.05, what="a full shard")
        spread = _send(experiment, CASES)
        urgent = _send(experiment, URGENT, priority=9)
        cases = [*crowded, *spread, *urgent]
        decided = eventually(lambda: _decided(lab, cases), within_s=120, every_s=0.5, what="a decision on every case")
        router_calls = model.calls[before:]
        model.faults.latency_ms = 300
        experiment.injected = len(cases)
        eventually(lambda: not experiment.account().open(), within_s=240, every_s=1, what="an end for every case")
        account = experiment.finish()
    assert _most_at_once(router_calls) <= ROUTER_CALLS + 2 * AGENT_CALLS
    # They came last, and a model's slot that became free was theirs before all others'.
    assert max(decided.index(case) for case in urgent) < len(cases) - ROUTER_CALLS
    assert Counter(_routed(account.seen, cases).values()) == {1: len(cases)}
    assert (lab.system.job_restarts(), lab.system.failed_checkpoints()) == (restarts, failed)


@contextmanager
def _desks(experiment: Experiment) -> Iterator[None]:
    """Two agents that may both take a case, so that the model is asked; each does eight at a time."""
    system = experiment.system
    with system.edited_definitions() as folder, ExitStack() as running:
        for name in ("desk_a", "desk_b"):
            (folder / f"{name}.yaml").write_text(DESK.format(name=name, in_flight=AGENT_CALLS))
        system.cli("agents", "apply", str(folder))
        system.wait_for_router()
        for name in ("desk_a", "desk_b"):
            running.enter_context(system.agent_process(name))
        yield


def _either_desk(answer: dict[str, Any], asked: dict[str, Any]) -> object:
    """The model's answer, with a desk in it where it is asked for one."""
    desk = "desk_b" if len(asked["messages"][-1]["content"]) % 2 else "desk_a"
    return {**answer, "agent": desk} if "agent" in answer else None


def _send(experiment: Experiment, number: int, *, shard: str = "", priority: int = 5) -> list[str]:
    """So many cases at once, all of one shard of the router's if it is named; their workflow ids."""
    names = (f"case-{experiment.dice.random()}-{one}" for one in count())
    fitting = (name for name in names if _shard_of(name).startswith(shard))
    cases = [next(fitting) for _ in range(number)]
    said = {"ce_priority": str(priority).encode()}
    messages = [raw_message(case, 1, "case.opened", {"number": one}, said) for one, case in enumerate(cases)]
    experiment.system.witness.write_many(topics.MESSAGES, messages)
    experiment.workflows.update(dict.fromkeys(cases, ""))
    return cases


def _shard_of(workflow: str) -> str:
    """The first digit decides on the shard, as `sql/counted_messages.sql` has it."""
    return hashlib.md5(workflow.encode(), usedforsecurity=False).hexdigest()


def _decided(lab: Lab, cases: list[str]) -> list[str]:
    """The cases in the order in which they were decided; empty until all are."""
    wanted = set(cases)
    seen = [one for one in lab.tail.records() if one.topic == topics.DECISIONS and one.workflow in wanted]
    first = [(one.json()["decided_at"], one.workflow) for one in seen if one.json()["event_type"] == "case.opened"]
    return [case for _, case in sorted(first)] if len(first) == len(cases) else []


def _routed(seen: Collection[Seen], cases: list[str]) -> Counter[str]:
    """How often each case came to a desk's inbox."""
    inboxes, wanted = {topics.inbox("desk_a"), topics.inbox("desk_b")}, set(cases)
    return Counter(one.workflow for one in seen if one.topic in inboxes and one.workflow in wanted)


def _most_at_once(calls: list[Call]) -> int:
    moments = sorted([(call.began, 1) for call in calls] + [(call.ended, -1) for call in calls])
    now = most = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most


@pytest.mark.nightly
def test_ten_times_the_leads_at_once_on_a_slow_model(lab: Lab) -> None:
    leads = TIMES_THE_USUAL * lab.tier.leads
    experiment = lab.experiment("F37", f"{leads} leads within seconds, on a model that takes a second")
    restarts, failed = lab.system.job_restarts(), lab.system.failed_checkpoints()
    fill_the_databases_cache(lab.system)
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
