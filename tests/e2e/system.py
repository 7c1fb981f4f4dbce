"""The running system as its users and an independent witness see it."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from signal import Signals
from typing import Any

import psutil
from pymongo import MongoClient

from pointsman.local import LocalStack
from pointsman.topics import MESSAGES
from tests.witness import Seen, Witness, eventually

SECRET = "a-secret-that-nobody-shows"
"""Given to every process of the stack."""
ROOT = Path(__file__).parents[2]
_LATE_HEARTBEAT = re.compile(r"heartbeat of \w+ with id \S+ +timed out", re.IGNORECASE)


def address() -> str:
    """An address nobody else in the run has."""
    return f"lead.{uuid.uuid4().hex[:12]}@customer.example"


def hot_lead() -> dict[str, Any]:
    """Somebody who decides, has a need and a date, and asks for a demo."""
    return {
        "first_name": "Dana", "last_name": "Reyes", "title": "Head of Operations", "company": "Northwind Wholesale",
        "source": "demo request",
        "message": "We run 12 warehouses and want a demo this month. Budget is approved.",
    }  # fmt: skip


def lukewarm_lead() -> dict[str, Any]:
    """Somebody who fits and has no need yet."""
    return {
        "first_name": "Lee", "last_name": "Moss", "title": "Logistics Manager", "company": "Moss Freight",
        "source": "newsletter", "message": "Just looking around, perhaps next year. Interested in delivery tracking.",
    }  # fmt: skip


def student_lead() -> dict[str, Any]:
    """Somebody who will never buy."""
    return {
        "first_name": "Sam", "last_name": "Hill", "title": "Student", "company": "State University",
        "source": "download", "message": "I am a student and write my thesis about logistics.",
    }  # fmt: skip


@dataclass
class System:
    """One running stack."""

    stack: LocalStack
    data_dir: Path
    early_address: str
    addresses: set[str] = field(default_factory=set)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The addresses that `up` left."""
        found: dict[str, Any] = json.loads((self.data_dir / "stack.json").read_text())
        return {name.lower(): value for name, value in found.items()}

    @cached_property
    def witness(self) -> Witness:
        return Witness(self.settings["kafka_bootstrap"], self._login)

    @property
    def _login(self) -> dict[str, Any]:
        """As kafka-python names the operator's login; nothing where the stack asks for none."""
        told = self.settings
        if "kafka_sasl_username" not in told:
            return {}
        return {
            "security_protocol": told["kafka_security_protocol"], "sasl_mechanism": told["kafka_sasl_mechanism"],
            "sasl_plain_username": told["kafka_sasl_username"], "sasl_plain_password": told["kafka_sasl_password"],
            "ssl_cafile": told["kafka_ssl_ca"],
        }  # fmt: skip

    @cached_property
    def _mongo(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(self.settings["mongodb_uri"])

    @property
    def database(self) -> Any:
        return self._mongo["sdr"]

    def close(self) -> None:
        """Give connections back."""
        self._mongo.close()

    @property
    def env(self) -> dict[str, str]:
        """Environment of a user who works beside this stack."""
        return {**os.environ, "POINTSMAN_DATA_DIR": str(self.data_dir)}

    def address(self) -> str:
        """An address nobody else has, of a lead that comes another way than through MongoDB."""
        where = address()
        self.addresses.add(where)
        return where

    def insert(self, lead: dict[str, Any]) -> tuple[str, str]:
        """Insert a lead with pymongo; workflow id and address."""
        where = lead.get("email", address())
        self.addresses.add(where)
        inserted = self.database.leads.insert_one({**lead, "email": where})
        return str(inserted.inserted_id), where

    def send(
        self, event_type: str, payload: dict[str, Any], *, headers: dict[str, bytes] | None = None, times: int = 1
    ) -> str:
        """Write a message of a new workflow to `agent_messages`; the workflow id."""
        workflow = _new_workflow()
        for _ in range(times):
            self.say_more(workflow, 1, event_type, payload, headers or {})
        return workflow

    def send_series(
        self, messages: list[tuple[str, dict[str, Any]]], *, answers: dict[str, bytes] | None = None
    ) -> str:
        """Write several messages of one new workflow, one right after the other; the workflow id.

        Args:
            messages: their types and payloads.
            answers: headers of all but the first.
        """
        workflow = _new_workflow()
        for number, (event_type, payload) in enumerate(messages, start=1):
            self.say_more(workflow, number, event_type, payload, (answers or {}) if number > 1 else {})
        return workflow

    def say_more(
        self, workflow: str, number: int, event_type: str, payload: dict[str, Any], headers: dict[str, bytes]
    ) -> None:
        """Write the message of that `number` of a workflow."""
        self.witness.write_many("agent_messages", [raw_message(workflow, number, event_type, payload, headers)])

    def messages(self, workflow: str) -> list[Seen]:
        return [seen for seen in self.witness.read("agent_messages") if seen.workflow == workflow]

    def outcomes(self, workflow: str) -> list[str]:
        """Outcomes of the decisions on one workflow, in the order of its steps."""
        decisions = self.witness.decisions(workflow)
        return [decision["outcome"] for decision in sorted(decisions, key=lambda decision: decision["step"])]

    def outcomes_of(self, workflows: Iterable[str]) -> dict[str, list[str]]:
        """The same for several workflows: the log, which grows with the session, is read once."""
        found: dict[str, list[str]] = {workflow: [] for workflow in workflows}
        for decision in sorted(self.all_decisions(), key=lambda decision: decision["step"]):
            if decision["workflow_id"] in found:
                found[decision["workflow_id"]].append(decision["outcome"])
        return found

    def messages_of(self, workflows: Iterable[str]) -> dict[str, int]:
        """Number of messages of each workflow on `agent_messages`."""
        seen = Counter(one.workflow for one in self.witness.read(MESSAGES))
        return {workflow: seen[workflow] for workflow in workflows}

    def are_completed(self, workflows: Iterable[str]) -> bool:
        """Whether the last decision on each of these workflows completed it."""
        return all(outcomes[-1:] == ["completed"] for outcomes in self.outcomes_of(workflows).values())

    def all_decisions(self) -> list[dict[str, Any]]:
        return [seen.json() for seen in self.witness.read("agent_decisions")]

    def mails(self) -> list[EmailMessage]:
        """Everything the SMTP sink has received."""
        files = sorted((self.data_dir / "mailbox").glob("*.eml"))
        return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]

    def mails_of(self, addresses: Iterable[str]) -> dict[str, int]:
        """Number of mails to each address; the mailbox is read once."""
        sent = Counter(str(mail["To"]).lower() for mail in self.mails())
        return {address: sent[address.lower()] for address in addresses}

    def mails_to(self, recipient: str) -> list[EmailMessage]:
        return [mail for mail in self.mails() if recipient.lower() in str(mail["To"]).lower()]

    def known_addresses(self) -> set[str]:
        """Addresses of every lead that was ever inserted, or handed in another way."""
        inserted = {str(lead.get("email")) for lead in self.database.leads.find({}, {"email": 1})}
        return {each.lower() for each in inserted | self.addresses}

    def effects(self, workflow: str) -> list[str]:
        """Ledger states of one lead's mails."""
        return [effect["state"] for effect in self.database.effects.find({"facts.lead_id": workflow})]

    def cli(self, *arguments: str, expect: int = 0, within_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `pointsman` as a user would."""
        result = subprocess.run(
            [sys.executable, "-m", "pointsman", *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True,
            timeout=within_s, check=False,
        )  # fmt: skip
        assert result.returncode == expect, f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    @contextmanager
    def edited_definitions(self) -> Iterator[Path]:
        """A copy of the definitions to edit; the original ones are in force again afterwards."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "agent_definitions"
            shutil.copytree(ROOT / "agent_definitions", copy)
            try:
                yield copy
            finally:
                self.cli("agents", "apply", "--prune", str(ROOT / "agent_definitions"))

    @contextmanager
    def agent_process(self, name: str) -> Iterator[None]:
        """`python -m agents NAME`, stopped by SIGTERM within ten seconds."""
        process = subprocess.Popen([sys.executable, "-m", "agents", name], cwd=ROOT, env=self.env)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(timeout=10) == 0

    def catalog_sequence(self) -> int:
        manifests = [seen for seen in self.witness.read("agent_definitions") if seen.key == b"@manifest"]
        return int(manifests[-1].json()["sequence"])

    def busy_taskmanager(self) -> str:
        """Name of the TaskManager in which the router's Python runs."""
        job = self.job_id()
        vertices = [one["id"] for one in self.flink(f"/jobs/{job}")["vertices"]]
        at = [self.flink(f"/jobs/{job}/vertices/{one}/taskmanagers")["taskmanagers"] for one in vertices]
        (name,) = {manager["taskmanager-id"] for managers in at for manager in managers}
        return str(name)

    def model_process(self) -> psutil.Process:
        """The process that asks the model for the router."""
        (manager,) = (row for row in self.stack.status() if row.name == self.busy_taskmanager())
        beside = psutil.Process(manager.pid).children(recursive=True)
        (found,) = (one for one in beside if "flink_jobs.model_process" in one.cmdline())
        return found

    def job_id(self) -> str:
        """Id of the one running router job."""
        jobs = self.flink("/jobs/overview")["jobs"]
        running = [job["jid"] for job in jobs if job["state"] == "RUNNING"]
        assert len(running) == 1, jobs
        return str(running[0])

    def job_restarts(self) -> int:
        """Restarts of the job, but for those after a heartbeat that came too late, as a busy machine's do."""
        metrics = self.flink(f"/jobs/{self._any_job()}/metrics?get=numRestarts")
        made = int(metrics[0]["value"]) if metrics else 0
        return made - sum(bool(_LATE_HEARTBEAT.search(failure)) for failure in self.job_failures())

    def job_failures(self) -> list[str]:
        """Why the job was restarted, the latest first: stack traces."""
        history = self.flink(f"/jobs/{self._any_job()}/exceptions")["exceptionHistory"]
        return [failure["stacktrace"] for failure in history["entries"]]

    def failed_checkpoints(self) -> int:
        """Checkpoints that failed since the job's last start, as they do while its tasks are made.

        Flink keeps its answer for some seconds: one is waited for that knows a checkpoint of after now.
        """
        now_ms = time.time() * 1000
        found = eventually(lambda: self._checkpoints_since(now_ms), within_s=90, what="a checkpoint that completes")
        return int(found["counts"]["failed"])

    def _checkpoints_since(self, moment_ms: float) -> Any:
        found = self.flink(f"/jobs/{self._any_job()}/checkpoints")
        latest = found["latest"]["completed"]
        return found if latest and latest["trigger_timestamp"] > moment_ms else None

    def kill(self, name: str, signal: Signals) -> list[int]:
        """Send `signal` to a program of the stack; the pids that got it."""
        return self.stack.kill(name, signal)

    def wait_for_definition(self, agent: str) -> None:
        """Until the running agent has taken the catalog in force over."""
        log = self.data_dir / "logs" / f"agent-{agent}.log"
        manifest = [seen for seen in self.witness.read("agent_definitions") if seen.key == b"@manifest"][-1]
        version = manifest.json()["version"]
        eventually(lambda: version in log.read_text(errors="replace"), what=f"{agent} with catalog {version}")

    def wait_for_router(self) -> None:
        """Until the router decides by the catalog in force."""
        sequence = self.catalog_sequence()
        eventually(lambda: self._probed() >= sequence, within_s=30, what=f"a decision by catalog {sequence}")

    def _probed(self) -> int:
        workflow = self.send("router.probed", {})
        made = eventually(lambda: self.witness.decisions(workflow), within_s=30, what="a decision")
        return int(made[0]["catalog_sequence"])

    @contextmanager
    def model_control(self, **control: Any) -> Iterator[None]:
        """Tell the offline model to misbehave, and to behave again afterwards."""
        self._model("POST", control)
        try:
            yield
        finally:
            calm = {
                "fail_rate": 0,
                "fail_next": 0,
                "garbage_next": 0,
                "refuse_next": 0,
                "hang_next": 0,
                "retry_after_s": 0,
            }
            self._model("POST", {"latency_ms": self.stack.options.model_latency_ms, **calm})

    def model_in_flight(self) -> int:
        return int(self._model("GET")["in_flight"])

    def model_calls(self) -> int:
        """Calls that the model has had so far."""
        return int(self._model("GET")["calls"])

    def _model(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        base = str(self.settings["openai_base_url"]).removesuffix("/v1")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{base}/_control", data=data, method=method, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
            found: dict[str, Any] = json.loads(response.read())
        return found

    def flink(self, path: str) -> Any:
        """What Flink's REST API answers."""
        with urllib.request.urlopen(self.settings["flink_url"] + path, timeout=10) as response:  # noqa: S310 - loopback
            return json.loads(response.read())

    def _any_job(self) -> str:
        jobs = sorted(self.flink("/jobs/overview")["jobs"], key=lambda job: int(job["start-time"]))
        return str(jobs[-1]["jid"])


def raw_message(
    workflow: str, number: int, event_type: str, payload: dict[str, Any], headers: dict[str, bytes]
) -> tuple[bytes, bytes, dict[str, bytes]]:
    """Key, value and headers of the message of that `number` of a workflow; `headers` stand above its own."""
    own = {
        "ce_specversion": "1.0", "ce_id": f"{workflow}/{number}", "ce_source": "/test", "ce_type": event_type,
        "ce_workflowid": workflow, "content-type": "application/json",
    }  # fmt: skip
    complete = {**{name: text.encode() for name, text in own.items()}, **headers}
    return workflow.encode(), json.dumps(payload).encode(), complete


def _new_workflow() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"
