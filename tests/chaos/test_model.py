"""The model fails, asks for patience, talks rubbish or names nobody that exists."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.lab import Lab
from tests.witness import eventually

LEADS = 60


def test_a_fifth_of_all_calls_fails_or_hangs(lab: Lab) -> None:
    experiment = lab.experiment("F14", "model answers 500 to 20 % of all calls, some hang")
    faults = lab.partners.model.faults
    before = faults.failed + faults.hung
    faults.fail_rate, faults.status, faults.hang_next = 0.2, 500, 3
    faults._dice.seed(lab.seed)
    experiment.load(LEADS, over_s=25)
    experiment.loaded()
    eventually(lambda: not experiment.account().open(), within_s=240, every_s=1, what="all leads at an end")
    experiment.injected = faults.failed + faults.hung - before
    experiment.finish()


def test_too_many_requests(lab: Lab) -> None:
    experiment = lab.experiment("F13", "model answers 429 with Retry-After")
    faults = lab.partners.model.faults
    before = faults.failed
    experiment.load(LEADS, over_s=20)
    experiment.pause(2, 4)
    faults.status, faults.retry_after_s, faults.fail_next = 429, 3.0, 25
    experiment.loaded()
    eventually(lambda: faults.fail_next == 0, within_s=120, what="25 refusals")
    faults.retry_after_s = 0.0
    experiment.injected = faults.failed - before
    experiment.finish()


def test_rubbish_instead_of_answers(lab: Lab) -> None:
    experiment = lab.experiment("F17", "model answers no JSON, half of it, the wrong JSON, nothing, 1 MB")
    model = lab.partners.model
    before = model.faults.garbage
    wrong: list[Any] = ["", "{", "[]", "null", {"unexpected": True}, "x" * 1_000_000, '{"agent": 7}']

    def sometimes(_: dict[str, Any]) -> object:
        return experiment.dice.choice(wrong) if experiment.dice.random() < 0.3 else None

    model.say, model.faults.garbage_next = sometimes, 20
    experiment.load(LEADS, over_s=20)
    experiment.loaded()
    eventually(lambda: not experiment.account().open(), within_s=200, every_s=1, what="all leads at an end")
    experiment.injected = model.faults.garbage - before + model.twisted
    restarts = lab.system.job_restarts()
    experiment.finish()
    assert lab.system.job_restarts() == restarts


NOBODY = ["supervisor", "Active_Outreach", "active_outreach\n", "send_email", "active_outreach,nurture_campaign", "", 7]


def test_the_model_names_an_agent_that_is_no_candidate(lab: Lab) -> None:
    experiment = lab.experiment("F18", "model chooses an agent that does not exist or is no candidate")
    model = lab.partners.model
    twisted = model.twisted

    def named(answer: dict[str, Any]) -> object:
        return {**answer, "agent": experiment.dice.choice(NOBODY)} if "agent" in answer else None

    model.say = named
    experiment.load(LEADS, over_s=15)
    experiment.loaded()
    eventually(lambda: not experiment.account().open(), within_s=200, every_s=1, what="all leads at an end")
    experiment.injected = model.twisted - twisted
    account = experiment.finish()
    known = {f"agents.{path.stem}.inbox" for path in lab.system.stack.options.definitions_dir.glob("*.yaml")}  # type: ignore[union-attr]
    assert {topic for topic in lab.system.witness.topics() if topic.startswith("agents.")} <= known | {
        "agents.account_brief.inbox"
    }
    by_model = [
        decision
        for decision in lab.system.all_decisions()
        if decision["workflow_id"] in experiment.mailed and decision["event_type"] == "lead.scored"
    ]
    assert {decision["outcome"] for decision in by_model} == {"abstained"}
    assert set(account.to_a_person()) >= experiment.mailed
    assert not [w for w in experiment.mailed if lab.partners.mail.to(experiment.workflows[w])]


@pytest.mark.parametrize("outage_s", [20])
def test_nobody_answers_where_the_model_was(lab: Lab, outage_s: int) -> None:
    experiment = lab.experiment("F15", f"model gone for {outage_s} s")
    restarts = lab.system.job_restarts()
    experiment.load(LEADS, over_s=30)
    experiment.pause(2, 4)
    lab.partners.stop_model()
    try:
        experiment.injected += 1
        experiment.pause(outage_s, outage_s)
    finally:
        lab.partners.start_model()
    experiment.finish()
    assert lab.system.job_restarts() == restarts
