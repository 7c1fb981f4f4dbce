"""The model fails, asks for patience, talks rubbish or names nobody that exists."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from tests.chaos.lab import Lab
from tests.chaos.partners import Call
from tests.witness import eventually

RETRY_AFTER_S = 4
EARLIER_S = 0.2
"""Clocks of both sides and the way to the model."""
UNDER_WAY_S = 0.5
"""A call that began before the refusal was read is not too early."""
MOST_IN_FLIGHT = 64
BREAKER_FAILURES = 5
BREAKER_OPEN_WITHIN_S = 10
PROBE_AT_MOST_EVERY_S = 10


def test_a_fifth_of_all_calls_fails_or_hangs(lab: Lab) -> None:
    experiment = lab.experiment("F14", "model answers 500 to 20 % of all calls, some hang")
    faults = lab.partners.model.faults
    before = faults.failed + faults.hung
    faults.fail_rate, faults.status, faults.hang_next = 0.2, 500, 3
    faults._dice.seed(lab.seed)
    experiment.load()
    experiment.loaded()
    eventually(lambda: not experiment.account().open(), within_s=240, every_s=1, what="all leads at an end")
    experiment.injected = faults.failed + faults.hung - before
    experiment.finish()


def test_too_many_requests(lab: Lab) -> None:
    experiment = lab.experiment("F13", f"model answers 429 with Retry-After: {RETRY_AFTER_S}")
    model = lab.partners.model
    first = len(model.calls)
    experiment.load()
    experiment.pause(2, 4)
    began = time.monotonic()
    model.faults.status, model.faults.retry_after_s, model.faults.fail_rate = 429, float(RETRY_AFTER_S), 1.0
    experiment.stand_still_until(began + 4 * RETRY_AFTER_S)
    model.faults.fail_rate = 0.0
    over_s = time.monotonic() - began
    back = time.monotonic()
    experiment.injected = sum(call.status == 429 for call in model.calls[first:])
    account = experiment.finish()
    calls = model.calls[first:]
    refused = [call for call in calls if call.status == 429]
    assert _too_early(calls) == []
    # Each process asks again when the time is over, and never more often.
    most_at_once = max(Counter(call.asker for call in refused).values())
    assert len({call.asker for call in refused}) > 1
    assert most_at_once <= MOST_IN_FLIGHT * (over_s / RETRY_AFTER_S + 1)
    assert account.to_a_person() == []
    assert time.monotonic() - back < 2 * over_s + experiment.tier.load_s


def _too_early(calls: list[Call]) -> list[str]:
    """Calls that came to a process's model before the time was over that it had been asked to wait."""
    found = []
    for refusal in (call for call in calls if call.status == 429):
        until = refusal.ended + RETRY_AFTER_S - EARLIER_S
        early = [c for c in calls if c.asker == refusal.asker and refusal.ended + UNDER_WAY_S < c.began < until]
        found += [f"{until - call.began:.2f} s too early" for call in early]
    return found


def test_rubbish_instead_of_answers(lab: Lab) -> None:
    experiment = lab.experiment("F17", "model answers no JSON, half of it, the wrong JSON, nothing, 1 MB")
    model = lab.partners.model
    before = model.faults.garbage
    wrong: list[Any] = ["", "{", "[]", "null", {"unexpected": True}, "x" * 1_000_000, '{"agent": 7}']

    dice = experiment.dice_for_a_thread()

    def sometimes(*_: dict[str, Any]) -> object:
        return dice.choice(wrong) if dice.random() < 0.3 else None

    model.say, model.faults.garbage_next = sometimes, 20
    experiment.load()
    experiment.loaded()
    eventually(lambda: not experiment.account().open(), within_s=200, every_s=1, what="all leads at an end")
    experiment.injected = model.faults.garbage - before + model.twisted
    restarts = lab.system.job_restarts()
    experiment.finish()
    assert lab.system.job_restarts() == restarts


NOBODY = ["supervisor", "Active_Outreach", "active_outreach\n", "send_email", "active_outreach,nurture_campaign", "", 7]


def _inboxes(lab: Lab) -> set[str]:
    return {topic for topic in lab.system.witness.topics() if topic.startswith("agents.")}


@pytest.mark.critical
def test_the_model_names_an_agent_that_is_no_candidate(lab: Lab) -> None:
    experiment = lab.experiment("F18", "model chooses an agent that does not exist or is no candidate")
    model = lab.partners.model
    twisted, before = model.twisted, _inboxes(lab)

    dice = experiment.dice_for_a_thread()

    def named(answer: dict[str, Any], _: dict[str, Any]) -> object:
        return {**answer, "agent": dice.choice(NOBODY)} if "agent" in answer else None

    model.say = named
    experiment.load()
    experiment.loaded()
    eventually(lambda: not experiment.account().open(), within_s=200, every_s=1, what="all leads at an end")
    experiment.injected = model.twisted - twisted
    account = experiment.finish()
    assert _inboxes(lab) == before
    by_model = [
        decision
        for decision in lab.system.all_decisions()
        if decision["workflow_id"] in experiment.mailed and decision["event_type"] == "lead.scored"
    ]
    assert {decision["outcome"] for decision in by_model} == {"abstained"}
    assert set(account.to_a_person()) >= experiment.mailed
    assert not [w for w in experiment.mailed if lab.partners.mail.to(experiment.workflows[w])]


def test_nobody_answers_where_the_model_was(lab: Lab) -> None:
    outage_s = lab.tier.outage_s
    experiment = lab.experiment("F15", f"model down for {outage_s:g} s")
    model = lab.partners.model
    first, restarts = len(model.calls), lab.system.job_restarts()
    failed_checkpoints = lab.system.failed_checkpoints()
    experiment.load(over_s=0.75 * outage_s)
    experiment.pause(2, 4)
    began = time.monotonic()
    model.faults.status, model.faults.fail_rate = 503, 1.0
    experiment.stand_still_until(began + outage_s / 2)
    lab.partners.stop_model()  # for the other half nobody even listens
    experiment.stand_still_until(began + outage_s)
    model.faults.fail_rate = 0.0
    lab.partners.start_model()
    back = time.monotonic()
    experiment.injected = 1
    account = experiment.finish(within_s=3 * outage_s)
    drained_s = time.monotonic() - back
    refused = [call for call in model.calls[first:] if call.status == 503]
    assert len(refused) >= BREAKER_FAILURES
    assert _asks_while_open(refused, began) == []
    assert account.to_a_person() == []
    assert lab.system.job_restarts() == restarts
    assert lab.system.failed_checkpoints() == failed_checkpoints
    assert drained_s < 2 * outage_s, f"drained in {drained_s:.0f} s"


def _asks_while_open(refused: list[Call], began: float) -> list[str]:
    """Who went on asking a model that does not answer, more often than a breaker lets through, and how often."""
    late = Counter(call.asker for call in refused if call.began > began + BREAKER_OPEN_WITHIN_S)
    seconds = max((call.began for call in refused), default=began) - began - BREAKER_OPEN_WITHIN_S
    allowed = 1 + seconds / PROBE_AT_MOST_EVERY_S
    return [f"{asker}: {times}" for asker, times in late.items() if times > allowed]
