"""The running job follows the catalog: no restart, no lost message, and a new agent is one YAML file."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.system import System
from tests.witness import eventually

GUIDE = Path(__file__).parents[2] / "docs" / "agents.md"
NOTE = "The coffee machine in the kitchen is broken again."


def decided(system: System, workflow: str) -> dict[str, object]:
    """The first decision on `workflow`'s first message."""
    return eventually(lambda: system.witness.decisions(workflow), what="a decision")[0]


def yaml_of_the_guide() -> str:
    """The agent that docs/agents.md has the reader add."""
    found = re.search(r"```yaml\n(# yaml-language-server.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    return found.group(1)


def test_editing_a_description_changes_the_next_decision_without_a_restart(system: System) -> None:
    job = system.job_id()
    before = decided(system, system.send("lead.activity_noted", {"lead_id": "x", "text": NOTE}))
    assert before["outcome"] == "abstained"

    with system.edited_definitions() as folder:
        path = folder / "lead_scoring.yaml"
        text = path.read_text()
        text = text.replace("examples:\n", f"examples:\n  - 'lead.activity_noted: \"{NOTE}\"'\n", 1)
        text = text.replace("  - '\"the coffee machine in the kitchen is broken\"'\n", "")
        text = text.replace("Judges how well", "Hears about the broken coffee machine in the kitchen. Judges how well")
        path.write_text(text)
        system.cli("agents", "apply", str(folder))
        after = eventually(
            lambda: _routed(system), within_s=10, every_s=0.1, what="a decision by the edited description"
        )[0]
        assert after["agent"] == "lead_scoring"
        assert after["catalog"] != before["catalog"]
        assert int(str(after["catalog_sequence"])) > int(str(before["catalog_sequence"]))
    assert system.job_id() == job


def _routed(system: System) -> list[dict[str, object]]:
    decision = decided(system, system.send("lead.activity_noted", {"lead_id": "x", "text": NOTE}))
    return [decision] if decision["outcome"] == "routed" else []


def test_a_sixth_agent_is_the_yaml_file_of_the_guide(system: System) -> None:
    with system.edited_definitions() as folder:
        (folder / "account_brief.yaml").write_text(yaml_of_the_guide())
        system.cli("agents", "apply", str(folder))
        with system.agent_process("account_brief"):
            workflow = system.send("briefing.requested", {"company": "Acme Robotics", "question": "What do they do?"})
            eventually(lambda: system.outcomes(workflow)[-1:] == ["completed"], within_s=40, what="the briefing")
            answer = [seen for seen in system.messages(workflow) if seen.type == "briefing.written"]
            assert len(answer) == 1
            assert set(answer[0].json()) == {"headline", "points"}
            assert answer[0].json()["points"]


def test_a_removed_agent_works_off_its_queue_and_gets_nothing_new(system: System) -> None:
    with system.edited_definitions() as folder:
        (folder / "account_brief.yaml").write_text(yaml_of_the_guide())
        system.cli("agents", "apply", str(folder))
        queued = [
            system.send("briefing.requested", {"company": f"Company {n}", "question": "What do they do?"})
            for n in range(5)
        ]
        eventually(lambda: all(system.outcomes(workflow) for workflow in queued), what="five routed messages")
        with system.agent_process("account_brief"):
            system.cli("agents", "remove", "account_brief")
            late = system.send("briefing.requested", {"company": "Too late", "question": "Anybody?"})
            eventually(lambda: system.outcomes(late), what="a decision on the late message")
            eventually(
                lambda: all(system.outcomes(workflow)[-1:] == ["completed"] for workflow in queued),
                within_s=40,
                what="answers to what was queued",
            )
    # A message sent in the two seconds in which the job takes the removal over may still be routed; none is lost.
    assert system.outcomes(late)[0] in {"abstained", "routed"}
    later = system.send("briefing.requested", {"company": "Later", "question": "Anybody?"})
    eventually(lambda: system.outcomes(later) == ["abstained"], what="an abstention")


def test_a_bad_file_changes_nothing(system: System) -> None:
    before = system.catalog_sequence()
    with system.edited_definitions() as folder:
        path = folder / "lead_scoring.yaml"
        path.write_text(path.read_text().replace("accepts:", "acepts:", 1))
        result = system.cli("agents", "apply", str(folder), expect=3)
        assert "lead_scoring.yaml:" in result.stderr
        assert "accepts" in result.stderr
        assert system.catalog_sequence() == before
