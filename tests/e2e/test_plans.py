"""A plan on the real stack: tasks side by side, one join, only what failed again, compensation, and a killed job."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.system import ROOT, System
from tests.witness import Seen, eventually

EXAMPLE = ROOT / "examples" / "account-research"
PAGE = b"""<html><head><title>Northwind Wholesale</title>
<meta name="description" content="Cold chain wholesale from nine depots."></head><body></body></html>"""
COMPANY = {"company": "Northwind Wholesale", "domain": "northwind.example"}
HISTORY = {"id": "history", "event_type": "account.history_requested", "payload": COMPANY}
JOIN = {"event_type": "account.findings_joined", "payload": COMPANY}
SEATS = """\
name: {name}
version: 1.0.0
description: {description}
accepts:
  - type: {got}
    contract: {{type: object, required: [room], properties: {{room: {{enum: [blue]}}}}}}
emits:
  - type: {said}
    terminal: true
    contract:
      type: object
      additionalProperties: false
      required: [room]
      properties: {{room: {{enum: [blue]}}}}
instructions: Say the room.
"""


@dataclass
class Site:
    """A web site that does as it is told."""

    address: str = ""
    status: int = 200
    requests: int = 0
    may_answer: threading.Event = field(default_factory=threading.Event)
    refuse_next: int = 0

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        status = self.status
        if self.refuse_next:
            self.refuse_next, status = self.refuse_next - 1, 503
        else:
            self.may_answer.wait(60)
        handler.send_response(status)
        handler.send_header("Content-Type", "text/html")
        handler.end_headers()
        handler.wfile.write(PAGE)

    def reset(self, *, status: int = 200, refuse_next: int = 0, may_answer: bool = True) -> None:
        """Forget what was, and behave so from now on."""
        self.status, self.refuse_next, self.requests = status, refuse_next, 0
        (self.may_answer.set if may_answer else self.may_answer.clear)()


@pytest.fixture(scope="module")
def site(system: System) -> Iterator[Site]:
    """A site, and the agents of the example at work on it; and two that take a seat and give it back."""
    told = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test's output is for the test."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.address = f"127.0.0.1:{server.server_port}"
    with research(system, told):
        yield told
        told.may_answer.set()
    server.shutdown()
    server.server_close()


@contextmanager
def research(system: System, site: Site) -> Iterator[None]:
    with system.edited_definitions() as folder, ExitStack() as agents:
        for file in EXAMPLE.glob("*.yaml"):
            shutil.copy(file, folder)
        adapt(folder / "account_site.yaml", site)
        seats = {"seat_taker": ("seat.wanted", "seat.taken"), "seat_giver": ("seat.unwanted", "seat.given_back")}
        for name, (got, said) in seats.items():
            text = SEATS.format(name=name, description=f"Notes that a {got} is over.", got=got, said=said)
            (folder / f"{name}.yaml").write_text(text)
        system.cli("agents", "apply", str(folder))
        for name in ("account_research", "account_site", "account_history", "account_news", *seats):
            agents.enter_context(system.agent_process(name))
        yield


def adapt(file: Path, site: Site) -> None:
    text = file.read_text()
    assert "also_allow: []" in text
    assert "\n  timeout_s: 5\n" in text
    told = text.replace("also_allow: []", f"also_allow: ['{site.address}']")
    file.write_text(told.replace("\n  timeout_s: 5\n", "\n  timeout_s: 30\n"))


def ask(system: System, site: Site) -> str:
    return system.send("account.research_requested", {**COMPANY, "website": f"http://{site.address}/"})


def propose(system: System, *tasks: dict[str, Any]) -> str:
    """A plan of a person's; its workflow."""
    plan = {"tasks": list(tasks), "join": JOIN}
    return system.send("plan.proposed", plan, headers={"ce_source": b"/operators/test"})


def site_task(site: Site, **more: Any) -> dict[str, Any]:
    payload = {"company": "Northwind Wholesale", "website": f"http://{site.address}/"}
    return {"id": "site", "event_type": "account.site_requested", "payload": payload, "attempts": 1, **more}


def types(system: System, workflow: str) -> Counter[str]:
    return Counter(system.witness.events(workflow))


def one(system: System, workflow: str, event_type: str) -> Seen:
    """The one message of that type."""
    found = eventually(
        lambda: [seen for seen in system.messages(workflow) if seen.type == event_type], within_s=90, what=event_type
    )
    assert len(found) == 1
    return found[0]


def plan_of(system: System, workflow: str) -> dict[str, tuple[str, int]]:
    """Status and attempts of each task, as `workflow_state` tells it."""
    states = [seen for seen in system.witness.read("workflow_state") if seen.key == workflow.encode()]
    plan = (states[-1].json() or {}).get("plan") if states else None
    return {task["id"]: (task["status"], task["attempts"]) for task in plan["tasks"]} if plan else {}


def dead_letters(system: System, workflow: str) -> list[Seen]:
    return [seen for seen in system.witness.read("agent_errors") if seen.workflow == workflow]


def status_of(system: System, workflow: str) -> str:
    states = [seen for seen in system.witness.read("workflow_state") if seen.key == workflow.encode()]
    return str(states[-1].json()["status"]) if states else ""


def test_tasks_run_side_by_side_and_the_one_that_failed_is_tried_again_alone(system: System, site: Site) -> None:
    site.reset(refuse_next=1, may_answer=False)
    workflow = ask(system, site)
    waiting = {"site": ("running", 2), "history": ("done", 1), "news": ("done", 1)}
    eventually(lambda: plan_of(system, workflow) == waiting and site.requests == 2, within_s=90, what="all but one")
    assert types(system, workflow)["account.findings_joined"] == 0
    shown = system.cli("workflows", "show", workflow).stdout.splitlines()
    assert [line.split()[:3] for line in shown if line.startswith("    site ")] == [["site", "running", "2"]]

    site.may_answer.set()
    profile = one(system, workflow, "account.profiled").json()
    eventually(lambda: status_of(system, workflow) == "completed", what="the workflow's end")

    said = [fact["fact"] for fact in profile["facts"]]
    assert any("nine depots" in fact for fact in said), said
    assert any("Leipzig" in fact for fact in said), said
    assert profile["missing"] == []
    assert system.database.accounts.find_one({"_id": "northwind.example"})["profile"] == profile
    sent = types(system, workflow)
    asked = {name: sent[f"account.{name}"] for name in ("site_requested", "history_requested", "news_requested")}
    assert asked == {"site_requested": 2, "history_requested": 1, "news_requested": 1}
    assert site.requests == 2
    assert (sent["account.findings_joined"], sent["task.failed"]) == (1, 1)
    traces = {
        seen.header("traceparent").split("-")[1] for seen in system.messages(workflow) if "traceparent" in seen.headers
    }
    assert len(traces) == 1
    codes = Counter(decision["reason_code"] for decision in system.witness.decisions(workflow))
    assert {code: codes[code] for code in ("plan_started", "task_retried", "task_done", "plan_joined")} == {
        "plan_started": 1, "task_retried": 1, "task_done": 2, "plan_joined": 1,
    }  # fmt: skip


def test_a_taskmanager_killed_in_the_middle_of_a_plan_loses_none_of_it(system: System, site: Site) -> None:
    site.reset(may_answer=False)
    workflow = ask(system, site)
    eventually(lambda: plan_of(system, workflow).get("history") == ("done", 1) and site.requests == 1,
               within_s=90, what="a plan in the middle")  # fmt: skip
    restarts = system.job_restarts()
    assert system.kill("taskmanager", signal.SIGKILL)
    site.may_answer.set()
    eventually(lambda: system.job_restarts() > restarts, within_s=60, what="the job's restart")
    one(system, workflow, "account.profiled")
    eventually(lambda: status_of(system, workflow) == "completed", within_s=60, what="the workflow's end")
    sent = types(system, workflow)
    assert set(sent.values()) == {1}, sent
    assert sent["account.findings_joined"] == 1
    joined = one(system, workflow, "account.findings_joined").json()
    assert set(joined["results"]) == {"site", "history", "news"}


def test_a_failed_plan_waits_for_a_person_who_has_only_the_failed_task_sent_again(system: System, site: Site) -> None:
    site.reset(status=503)
    workflow = propose(system, site_task(site), HISTORY)
    failed = one(system, workflow, "plan.failed").json()
    assert (failed["failed"], failed["compensated"]) == ({"site": "attempts_exhausted"}, [])
    eventually(lambda: plan_of(system, workflow).get("history") == ("done", 1), what="the other task")
    eventually(lambda: status_of(system, workflow) == "waiting_for_person", what="a person's work")
    assert "plan.failed" in system.cli("workflows", "show", workflow).stdout

    site.status = 200
    assert "site" in system.cli("workflows", "retry", workflow).stdout
    one(system, workflow, "account.profiled")
    eventually(lambda: status_of(system, workflow) == "completed", what="the workflow's end")
    sent = types(system, workflow)
    assert (sent["account.site_requested"], sent["account.history_requested"]) == (2, 1)
    assert plan_of(system, workflow) == {"site": ("done", 2), "history": ("done", 1)}


def test_what_was_done_is_compensated_when_a_plan_fails(system: System, site: Site) -> None:
    site.reset(status=503)
    undo = {"event_type": "seat.unwanted", "payload": {"room": "blue"}}
    seat = {"id": "seat", "event_type": "seat.wanted", "payload": {"room": "blue"}, "compensate": undo}
    workflow = propose(system, seat, site_task(site, needs=["seat"]))
    failed = one(system, workflow, "plan.failed").json()
    assert (failed["compensated"], failed["not_compensated"]) == (["seat"], [])
    given_back = one(system, workflow, "seat.unwanted").json()
    assert given_back == {"room": "blue", "results": {"seat": {"room": "blue"}}}
    order = system.witness.events(workflow)
    assert order.index("task.failed") < order.index("seat.unwanted") < order.index("plan.failed")
    assert types(system, workflow)["account.findings_joined"] == 0


def test_a_plan_that_cannot_be_carried_out_is_a_dead_letter_that_names_its_task(system: System, site: Site) -> None:
    workflow = propose(system, {**HISTORY, "event_type": "no.body"})
    letters = eventually(lambda: dead_letters(system, workflow), what="a dead letter")
    assert [letter.header("x_error_reason") for letter in letters] == ["invalid_plan"]
    assert "task history" in letters[0].header("x_error_message")
    assert json.loads(letters[0].value or b"")["tasks"][0]["id"] == "history"
    assert system.witness.events(workflow) == ["plan.proposed"]
