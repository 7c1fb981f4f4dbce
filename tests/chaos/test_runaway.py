"""Agents and model that would go on for ever."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any

import pytest

from pointsman import topics
from tests.chaos.flooding import ANSWERS
from tests.chaos.lab import Experiment, Lab
from tests.e2e.system import ROOT
from tests.witness import eventually

MAX_VISITS = 2
MAX_MODEL_CALLS = 20
MAX_REPLIES = 10
CASES = 5
DESKS = ("desk_a", "desk_b")
DESK = """\
name: {name}
version: 1.0.0
description: Hands every case over to the other desk.
accepts:
  - type: case.handed
    contract: {{type: object, required: [by, note], properties: {{by: {{enum: [desk_a, desk_b, door]}}}}}}
emits:
  - type: case.handed
    contract:
      type: object
      additionalProperties: false
      required: [by, note]
      properties: {{by: {{enum: [{name}]}}, note: {{type: integer}}}}
instructions: Hand the case over.
"""
FLOOD = """\
name: flood
version: 1.0.0
description: Answers one message with far too many.
accepts:
  - type: flood.asked
    contract: {type: object}
emits:
  - type: flood.risen
    terminal: true
    contract: {type: object, required: [number], properties: {number: {type: integer}}}
instructions: It is code that answers.
"""


@pytest.mark.critical
def test_the_model_always_says_the_other_agent(lab: Lab) -> None:
    experiment = lab.experiment("F22", "model always says: the other agent; half of the cases repeat themselves")
    model = lab.partners.model
    twisted = model.twisted
    experiment.load()
    with _desks(lab):
        model.faults.latency_ms, model.say = 10, _Bouncing()
        same = [experiment.send("case.handed", {"by": "door", "note": 0}) for _ in range(CASES)]
        ever_new = [experiment.send("case.handed", {"by": "door", "note": -1}) for _ in range(CASES)]
        cases = {*same, *ever_new}
        eventually(lambda: _parked(lab, cases) == cases, within_s=180, what="every case with a person")
        experiment.injected = model.twisted - twisted
        account = experiment.finish()
    said = Counter(one.workflow for one in lab.tail.records() if one.topic == topics.MESSAGES)
    asked = Counter(made["workflow_id"] for made in lab.system.all_decisions() if made["how"] == "model")
    # Each desk says the same twice; the third time shows the circle, and is the one over.
    assert {said[case] for case in same} == {1 + 2 * MAX_VISITS + 1}
    assert {asked[case] for case in same} == {1 + 2 * MAX_VISITS}
    # Half of the calls are the router's, half the desks': each answer is one.
    assert {asked[case] + said[case] - 1 for case in ever_new} == {MAX_MODEL_CALLS}
    assert account.reasons() == {"escalation visit_limit": CASES, "escalation model_call_limit": CASES}


class _Bouncing:
    """The answer that keeps a case going: the desk that did not write it, and a new note where it had a new one.

    What is no case is answered as ever.
    """

    def __init__(self) -> None:
        self._notes = count(1)

    def __call__(self, answer: dict[str, Any], asked: dict[str, Any]) -> object:
        given = json.loads(asked["messages"][-1]["content"])
        payload = given.get("payload", given)
        if "by" not in payload:
            return None
        if "agent" in answer:
            return {**answer, "agent": "desk_b" if payload["by"] == "desk_a" else "desk_a"}
        return {**answer, "note": next(self._notes) if payload["note"] else 0} if "note" in answer else None


def _parked(lab: Lab, cases: set[str]) -> set[str]:
    return {one.workflow for one in lab.tail.records() if one.topic == topics.ESCALATIONS} & cases


@contextmanager
def _desks(lab: Lab) -> Iterator[None]:
    with lab.system.edited_definitions() as folder, ExitStack() as running:
        for name in DESKS:
            (folder / f"{name}.yaml").write_text(DESK.format(name=name))
        lab.system.cli("agents", "apply", str(folder))
        for name in DESKS:
            running.enter_context(lab.system.agent_process(name))
        yield


@pytest.mark.critical
def test_an_agent_answers_one_message_with_a_thousand(lab: Lab) -> None:
    experiment = lab.experiment("F23", f"an agent answers one message with {ANSWERS}")
    experiment.load()
    with lab.system.edited_definitions() as folder, _flooding(experiment, folder):
        asked = [experiment.send("flood.asked", {"case": number}) for number in range(CASES)]
        eventually(lambda: not experiment.account().open(), within_s=60, what="an end for every message")
        experiment.injected = len(asked)
        account = experiment.finish()
    risen = Counter(one.workflow for one in account.seen if one.type == "flood.risen" and one.topic == topics.MESSAGES)
    assert {workflow: risen[workflow] for workflow in asked} == dict.fromkeys(asked, MAX_REPLIES)
    letters = [one for one in account.seen if one.topic == topics.ERRORS and one.workflow in asked]
    assert sorted(one.workflow for one in letters) == sorted(asked)
    assert {(one.header("x_error_reason"), one.type) for one in letters} == {("fan_out", "flood.asked")}
    assert all(str(ANSWERS) in one.header("x_error_message") for one in letters)


@contextmanager
def _flooding(experiment: Experiment, folder: Any) -> Iterator[None]:
    system = experiment.system
    (folder / "flood.yaml").write_text(FLOOD)
    system.cli("agents", "apply", str(folder))
    process = subprocess.Popen([sys.executable, "-m", "tests.chaos.flooding", "flood"], cwd=ROOT, env=system.env)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0
