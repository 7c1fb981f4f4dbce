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
        eventually(lambda: all(system.outcomes_of(queued).values()), what="five routed messages")
        with system.agent_process("account_brief"):
            system.cli("agents", "remove", "account_brief")
            late = system.send("briefing.requested", {"company": "Too late", "question": "Anybody?"})
            eventually(lambda: system.outcomes(late), what="a decision on the late message")
            eventually(
                lambda: system.are_completed(queued),
                within_s=40,
                what="answers to what was queued",
            )
    # A message sent in the two seconds in which the job takes the removal over may still be routed; none is lost.
    assert system.outcomes(late)[0] in {"abstained", "routed"}
    later = system.send("briefing.requested", {"company": "Later", "question": "Anybody?"})
    eventually(lambda: system.outcomes(later) == ["abstained"], what="an abstention")


OLD_SHAPE = {"company": "Acme Robotics", "question": "What do they do?"}
NEW_SHAPE = {"company": "Acme Robotics", "topic": "business"}
TAKES_OLD = "required: [company, question]"
TAKES_BOTH = "required: [company]\n      anyOf: [{required: [question]}, {required: [topic]}]"
TAKES_NEW = "required: [company, topic]"


def test_a_contract_changes_while_messages_of_the_old_shape_are_under_way(system: System) -> None:
    """Expand, move the producers, contract: what docs/agents.md tells to do."""
    with system.edited_definitions() as folder:

        def apply(required: str) -> None:
            text = yaml_of_the_guide().replace(TAKES_OLD, required, 1)
            topic = "        topic: {type: string, minLength: 1, maxLength: 200}\n"
            text = text.replace("        question:", f"{topic}        question:", 1)
            (folder / "account_brief.yaml").write_text(text)
            system.cli("agents", "apply", str(folder))
            system.wait_for_router()

        def send(payload: dict[str, str]) -> str:
            return system.send("briefing.requested", dict(payload))

        apply(TAKES_OLD)
        under_way = [send(OLD_SHAPE) for _ in range(3)]
        eventually(lambda: all(map(system.outcomes, under_way)), what="messages that wait in the inbox")
        apply(TAKES_BOTH)
        under_way += [send(OLD_SHAPE), send(NEW_SHAPE)]
        with system.agent_process("account_brief"):
            eventually(lambda: all(_is_briefed(system, each) for each in under_way), within_s=60, what="all answers")
        apply(TAKES_NEW)
        late = send(OLD_SHAPE)
        eventually(lambda: system.outcomes(late) == ["rejected"], what="a dead letter of the late producer")
        apply(TAKES_BOTH)
        (letter,) = (seen for seen in system.witness.read("agent_errors") if seen.workflow == late)
        assert letter.header("x_error_reason") == "contract_violation"
        system.cli("dlq", "redrive", f"agent_errors/{letter.partition}/{letter.offset}")
        with system.agent_process("account_brief"):
            eventually(lambda: _is_briefed(system, late), within_s=60, what="the late message's answer")
    assert [each for each in (*under_way, late) if not _is_briefed(system, each)] == []


def _is_briefed(system: System, workflow: str) -> bool:
    """Whether it has ended with one answer, and no more."""
    answers = [seen for seen in system.messages(workflow) if seen.type == "briefing.written"]
    return system.outcomes(workflow)[-1:] == ["completed"] and len(answers) == 1


def test_a_bad_file_changes_nothing(system: System) -> None:
    before = system.catalog_sequence()
    with system.edited_definitions() as folder:
        path = folder / "lead_scoring.yaml"
        path.write_text(path.read_text().replace("accepts:", "acepts:", 1))
        result = system.cli("agents", "apply", str(folder), expect=3)
        assert "lead_scoring.yaml:" in result.stderr
        assert "accepts" in result.stderr
        assert system.catalog_sequence() == before
