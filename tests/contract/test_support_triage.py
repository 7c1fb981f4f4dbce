"""Another workflow than sales, by definitions alone: proof that the router and the runtime know none."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pointsman.catalog import Catalog
from pointsman.definitions import AgentDefinition
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.envelope import Envelope
from pointsman.models.factory import chat_model
from pointsman.models.offline.server import start
from pointsman.models.port import ChatModel
from pointsman.routing import Counters, Decision, Router, RoutingOptions
from pointsman.runtime.declarative import DeclarativeAgent
from pointsman.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "support-triage" / "agent_definitions"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
TICKETS = {
    "incident.opened": ("Login", "The login page is down with error 503 since this morning, nobody can log in."),
    "answer.drafted": ("Export", "How do I export my data to a spreadsheet?"),
    "refund.proposed": ("Invoice", "I was charged twice this month, please refund one charge."),
}


@pytest.fixture
async def model() -> AsyncIterator[ChatModel]:
    runner, port = await start("127.0.0.1", 0)
    asked = chat_model(Settings(openai_base_url=f"http://127.0.0.1:{port}/v1"))
    yield asked
    await asked.close()
    await runner.cleanup()


async def way(model: ChatModel, subject: str, text: str) -> list[str]:
    """Event types and agents on the way of a ticket, to the outcome of its last message."""
    definitions = {one.name: one for one in load_folder_or_raise(FOLDER).definitions}
    router = Router(Catalog.of(list(definitions.values())), RoutingOptions())
    message = Envelope(
        id="1", source="/operators/ann", event_type="ticket.opened", workflow_id="t", time=NOW,
        payload={"ticket_id": "t", "subject": subject, "text": text},
    )  # fmt: skip
    seen: list[str] = []
    for step in range(1, 6):
        prepared = router.prepare(message, Counters(step=step), NOW)
        asked = not isinstance(prepared, Decision)
        decision = (
            prepared
            if isinstance(prepared, Decision)
            else router.conclude(prepared, await model.complete(prepared.request))
        )
        if decision.agent is None:
            return [*seen, message.event_type, str(decision.outcome)]
        seen += [message.event_type, f"{decision.agent}{' by model' if asked else ''}"]
        (reply,) = await DeclarativeAgent(definition=definitions[decision.agent], model=model).handle(message)
        message = message.reply(
            agent=decision.agent, agent_version="1.0.0", index=0, event_type=reply.event_type, payload=reply.payload,
            time=NOW,
        )  # fmt: skip
    pytest.fail("the ticket goes round in circles")


def test_it_is_four_agents_of_yaml_alone_with_event_types_of_their_own() -> None:
    ours = load_folder_or_raise(FOLDER).definitions
    theirs = load_folder_or_raise(ROOT / "agent_definitions").definitions
    assert len(ours) == 4
    assert not [one.name for one in ours if (ROOT / "agents" / f"{one.name}.py").exists()]
    assert not any(event_types(one) & event_types(other) for one in ours for other in theirs)
    assert {path.name for path in FOLDER.parent.rglob("*") if path.suffix not in {".yaml", ".md", ""}} == set()


@pytest.mark.parametrize("end", TICKETS)
async def test_each_ticket_goes_where_it_belongs(model: ChatModel, end: str) -> None:
    agent = {"incident.opened": "incident_desk", "answer.drafted": "help_writer by model"}
    assert await way(model, *TICKETS[end]) == [
        "ticket.opened", "ticket_triage", "ticket.sorted", agent.get(end, "billing_desk by model"), end, "completed",
    ]  # fmt: skip


EDGES = {
    "pointsman/cli/leads.py", "pointsman/cli/lead_erasure.py", "pointsman/cli/demo.py", "pointsman/cli/demo_report.py",
    "pointsman/cli/main.py", "pointsman/local/connect.py", "pointsman/topics.py", "flink_jobs/sql_files.py",
}  # fmt: skip
"""Where leads come in, and the commands that are about them."""


@pytest.mark.parametrize("room", ["pointsman", "flink_jobs"])
def test_no_string_in_the_router_or_the_runtime_is_an_agent_or_an_event_of_a_workflow(room: str) -> None:
    folders = (FOLDER, ROOT / "agent_definitions")
    definitions = [one for folder in folders for one in load_folder_or_raise(folder).definitions]
    words = {one.name for one in definitions}
    for one in definitions:
        words |= event_types(one)
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value}"
        for path in (ROOT / room).rglob("*.py")
        if str(path.relative_to(ROOT)) not in EDGES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in words
    ]
    assert found == []


def test_the_only_sql_that_knows_leads_is_the_one_that_takes_them_in() -> None:
    knowing = {path.stem for path in (ROOT / "sql").glob("*.sql") if re.search(r"\blead", without_comments(path))}
    assert knowing == {
        "checked_leads",
        "lead_messages",
        "lead_errors",
        "leads_to_seal",
        "write_outbox",
        "ml_predict_router",
    }


def event_types(definition: AgentDefinition) -> set[str]:
    return {entry.type for entry in definition.accepts} | {entry.type for entry in definition.emits}


def without_comments(path: Path) -> str:
    return re.sub(r"--.*", "", path.read_text())
