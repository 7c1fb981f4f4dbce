"""Something of everything that the router keeps, brought under way before its job stops and looked at when it goes on.

No agent works: what agents say is said here, in their names. The names, payloads and numbers here are those of
savepoints that are kept (`savepoints/`): add to them, and change none.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.system import System, hot_lead, raw_message
from tests.witness import Seen, eventually

PARCEL = {"parcel": "a lamp"}
BY_RAIL = {"parcel": "The lamp is carried by rail, as all parcels by rail are."}
MODEL_CALLS = 4
_AGENT = """\
name: {name}
version: 1.0.0
description: {description}
accepts:
  - type: {takes}
    contract: {{type: object, required: [parcel], properties: {{parcel: {{type: string}}}}}}
emits:
  - type: {says}
    terminal: {terminal}
    contract: {{type: object, required: [parcel], properties: {{parcel: {{type: string}}}}}}
instructions: Say the parcel.
"""
_AGENTS = (
    ("rail_carrier", "Carries parcels by rail.", "parcel.handed_in", "parcel.delivered"),
    ("road_carrier", "Carries parcels by road.", "parcel.handed_in", "parcel.delivered"),
    ("sorter", "Sorts a parcel, again and again.", "parcel.sorted", "parcel.sorted"),
    ("scales", "Weighs a parcel.", "parcel.weighing_asked", "parcel.weighed"),
    ("labeller", "Labels a parcel.", "parcel.label_asked", "parcel.labelled"),
    ("dispatcher", "Sends a prepared parcel off.", "parcel.prepared", "parcel.dispatched"),
)
_PLAN = {
    "tasks": [
        {"id": "weigh", "event_type": "parcel.weighing_asked", "payload": PARCEL},
        {"id": "label", "event_type": "parcel.label_asked", "payload": PARCEL},
    ],
    "join": {"event_type": "parcel.prepared", "payload": PARCEL},
}
_USED = {"ce_modelcalls": b"2", "ce_inputtokens": b"100", "ce_outputtokens": b"20", "ce_costmicrousd": b"7"}
_USED_LATER = {"ce_modelcalls": b"1", "ce_inputtokens": b"10", "ce_outputtokens": b"2", "ce_costmicrousd": b"1"}
_PERSON = {"ce_source": b"/operators/test"}


def write_definitions(folder: Path) -> None:
    """The agents of whom the messages here speak, beside those in `folder`."""
    for name, description, takes, says in _AGENTS:
        text = _AGENT.format(name=name, description=description, takes=takes, says=says,
                             terminal=str(takes != says).lower())  # fmt: skip
        (folder / f"{name}.yaml").write_text(text)


@dataclass(frozen=True)
class UnderWay:
    """What is under way in one system.

    Args:
        system: the system; its catalog has the agents of `write_definitions`.
        name: how all workflows here begin.
    """

    system: System
    name: str

    def workflow(self, what: str) -> str:
        return f"{self.name}-{what}"

    @property
    def asked(self) -> list[str]:
        """Workflows about which the model is asked."""
        return [self.workflow(f"asked-{number}") for number in range(MODEL_CALLS)]

    def begin(self) -> None:
        """Bring everything under way that needs no model."""
        self._say("over", 1, "parcel.delivered")
        self._say("counted", 1, "parcel.sorted")
        self._say("counted", 2, "parcel.sorted", self._sorter(answers=1) | _USED)
        self._say("cancelled", 1, "parcel.sorted")
        self._say("cancelled", 2, "workflow.cancelled", _PERSON)
        self._say("planned", 1, "plan.proposed", _PERSON, _PLAN)
        self._answer("scales", "parcel.weighed")
        for what, decisions in {"over": 1, "counted": 2, "cancelled": 2, "planned": 4}.items():
            self._decided(what, decisions)

    def ask(self) -> None:
        """Messages that the model is asked about."""
        for workflow in self.asked:
            self.system.say_more(workflow, 1, "parcel.handed_in", BY_RAIL, {})

    def insert_lead(self, what: str) -> str:
        """A lead as the connector writes it; its workflow."""
        workflow = self.workflow(what)
        document = {"_id": workflow, "email": f"{workflow}@customer.example", **hot_lead()}
        self.system.witness.write("incoming-leads.sdr.leads", json.dumps(document).encode(), key=workflow.encode())
        return workflow

    def say_while_nobody_listens(self) -> None:
        """What comes when the job is stopped: a message, one that came before, and a lead."""
        self._say("late", 1, "parcel.sorted")
        self._say("counted", 1, "parcel.sorted")
        self.insert_lead("late-lead")

    def questions_are_answered(self) -> None:
        """What the model was asked about is decided, by the model."""
        for workflow in self.asked:
            (decision,) = eventually(lambda w=workflow: self.system.witness.decisions(w), within_s=60, what="an answer")  # type: ignore[misc]
            assert decision["model_call"]
            assert decision["agent"] == "rail_carrier"

    def plan_goes_on(self) -> None:
        """The task that was under way is answered, and the plan ends."""
        self._answer("labeller", "parcel.labelled")
        workflow = self.workflow("planned")
        joined = eventually(lambda: self._copies(workflow, "dispatcher"), what="the end of the plan")
        assert [sorted(copy.json()["results"]) for copy in joined] == [["label", "weigh"]]
        codes = Counter(decision["reason_code"] for decision in self.system.witness.decisions(workflow))
        assert (codes["plan_started"], codes["task_done"], codes["plan_joined"]) == (1, 1, 1)

    def cancellation_holds(self) -> None:
        """A message of a cancelled workflow goes nowhere."""
        self._say("cancelled", 3, "parcel.sorted")
        last = self._decided("cancelled", 3)[-1]
        assert (last["outcome"], last["reason_code"]) == ("completed", "cancelled")

    def counts_go_on(self) -> None:
        """Everything is counted from where it stood, and the limit that was half reached is reached."""
        first = self._decided("counted", 2)[0]["inputs"]["counters"]
        self._say("counted", 3, "parcel.sorted", self._sorter(answers=2) | _USED_LATER)
        third = self._decided("counted", 3)[-1]
        assert third["outcome"] == "routed"
        assert third["inputs"]["counters"] == first | {
            "step": 3, "visits": 2, "chain": 2, "model_calls": 3, "model_tokens": 132, "model_microusd": 8,
        }  # fmt: skip
        self._say("counted", 4, "parcel.sorted", self._sorter(answers=3))
        assert self._decided("counted", 4)[-1]["reason_code"] == "visit_limit"

    def say_again(self) -> list[Seen]:
        """Send every message of these workflows once more; they."""
        said = [seen for seen in self.system.witness.read("agent_messages") if seen.workflow.startswith(self.name)]
        self.system.witness.write_many("agent_messages", [(seen.key, seen.value, seen.headers) for seen in said])
        return said

    @contextmanager
    def traffic(self, every_s: float = 0.4) -> Iterator[list[str]]:
        """Messages of new workflows, one after the other, for as long as the block lasts: the workflows so far."""
        workflows: list[str] = []
        enough = threading.Event()

        def send() -> None:
            while not enough.wait(every_s):
                workflow = self.workflow(f"traffic-{len(workflows)}")
                self.system.say_more(workflow, 1, "parcel.sorted", PARCEL, {})
                workflows.append(workflow)

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield workflows
        finally:
            enough.set()
            thread.join()

    def _say(
        self, what: str, number: int, event_type: str, headers: dict[str, bytes] | None = None,
        payload: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.system.say_more(self.workflow(what), number, event_type, payload or PARCEL, headers or {})

    def _sorter(self, *, answers: int) -> dict[str, bytes]:
        cause = f"{self.workflow('counted')}/{answers}".encode()
        return {"ce_source": b"/agents/sorter", "ce_causationid": cause, "ce_hop": str(answers).encode()}

    def _answer(self, agent: str, event_type: str) -> None:
        """Answer the task of the plan in the agent's inbox, as the agents' runtime would."""
        workflow = self.workflow("planned")
        (task,) = eventually(lambda: self._copies(workflow, agent), what=f"the task of {agent}")
        own = {"ce_source": f"/agents/{agent}", "ce_id": f"{workflow}/{agent}", "ce_type": event_type,
               "ce_causationid": task.header("ce_id")}  # fmt: skip
        _, value, _ = raw_message(workflow, 0, event_type, PARCEL, {})
        headers = task.headers | {name: text.encode() for name, text in own.items()}
        self.system.witness.write_many("agent_messages", [(workflow.encode(), value, headers)])

    def _copies(self, workflow: str, agent: str) -> list[Seen]:
        return [seen for seen in self.system.witness.read(f"agents.{agent}.inbox") if seen.workflow == workflow]

    def _decided(self, what: str, number: int) -> list[dict[str, Any]]:
        """So many decisions on a workflow, in their order."""

        def found() -> list[dict[str, Any]]:
            decisions = self.system.witness.decisions(self.workflow(what))
            return decisions if len(decisions) >= number else []

        decisions = eventually(found, within_s=60, what=f"{number} decisions on {what}")
        return sorted(decisions, key=lambda decision: decision["step"])
