"""Rollouts on the running job: a copy in shadow, a bad canary that ends itself, workflows that stay as they began."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pointsman.topics import inbox
from tests.e2e.system import ROOT, System
from tests.e2e.test_catalog_changes import NOTE, yaml_of_the_guide
from tests.witness import eventually

BRIEFING = {"company": "Acme Robotics", "question": "What do they do?"}


def rollout_file(folder: Path, *lines: str) -> str:
    path = folder / "a rollout.yaml"
    path.write_text("\n".join(("name: under-test", *lines)) + "\n")
    return str(path)


def status(system: System) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(system.cli("rollout", "status", "-o", "json").stdout)
    return found


@pytest.fixture
def aborted(system: System) -> Iterator[None]:
    """No rollout is left under way."""
    yield
    if status(system)["stage"] in ("shadow", "canary"):
        system.cli("rollout", "abort", "--reason", "the test is over")


def claiming_the_coffee(folder: Path) -> None:
    """In `folder`, lead_scoring takes what nobody takes."""
    path = folder / "lead_scoring.yaml"
    text = path.read_text().replace("examples:\n", f"examples:\n  - 'lead.activity_noted: \"{NOTE}\"'\n", 1)
    text = text.replace("  - '\"the coffee machine in the kitchen is broken\"'\n", "")
    text = text.replace("Judges how well", "Hears about the broken coffee machine in the kitchen. Judges how well")
    path.write_text(text.replace("version: 1", "version: 9", 1))


def noted(system: System, count: int) -> list[str]:
    return [system.send("lead.activity_noted", {"lead_id": "x", "text": NOTE}) for _ in range(count)]


def first_decisions(system: System, workflows: list[str]) -> list[dict[str, Any]]:
    return [eventually(lambda w=w: system.witness.decisions(w), what="a decision")[0] for w in workflows]  # type: ignore[misc]


@pytest.mark.usefixtures("aborted")
@pytest.mark.long
def test_a_candidate_in_shadow_shows_where_it_differs_and_moves_nothing(system: System, tmp_path: Path) -> None:
    with system.edited_definitions() as folder:
        claiming_the_coffee(folder)
        system.cli("rollout", "start", rollout_file(tmp_path, f"candidate: {{catalog: {json.dumps(str(folder))}}}"))

        def differing() -> dict[str, Any]:
            decisions = first_decisions(system, noted(system, 1))
            assert [one["outcome"] for one in decisions] == ["abstained"]
            shadow: dict[str, Any] = status(system)["counts"]["shadow"]
            return shadow if shadow["disagreed"] >= 2 else {}

        shadow = eventually(differing, within_s=40, what="two differences")
        assert {"live": "abstained", "shadow": "lead_scoring", "count": shadow["disagreed"]} in shadow["pairs"]
        looked_at = {one["workflow_id"] for one in shadow["differences"]}
        assert not [seen for seen in system.witness.read(inbox("lead_scoring")) if seen.workflow in looked_at]
        assert "abstained" in system.cli("rollout", "status").stdout


@pytest.mark.usefixtures("aborted")
def test_a_bad_canary_is_rolled_back_by_its_own_rule(system: System, tmp_path: Path) -> None:
    with system.edited_definitions() as folder:
        for path in folder.glob("*.yaml"):
            text = path.read_text()
            if "lead.activity_noted" in text and "accepts:" in text:
                bad = text.replace("required: [lead_id, text]", "required: [lead_id, text, what_nobody_sends]")
                path.write_text(bad.replace("version: 1", "version: 9", 1))
        system.cli(
            "rollout", "start", rollout_file(
                tmp_path, f"candidate: {{catalog: {json.dumps(str(folder))}}}", "mode: canary", "percent: 100",
                "roll_back_when: {min_decisions: 3, error_rate: 0.5}",
            )
        )  # fmt: skip

        def rolled_back() -> dict[str, Any]:
            first_decisions(system, noted(system, 1))
            found = status(system)
            return found if found["stage"] == "rolled_back" else {}

        ended = eventually(rolled_back, within_s=60, what="the end of the canary")
        assert ended["reason"].startswith("error rate 1.000 of ")
        assert ended["by"] == "rollout-watch"
        audit = [seen.json() for seen in system.witness.read("agent_audit")]
        assert [one["details"]["reason"] for one in audit if one["action"] == "rollout.rolled_back"] == [
            ended["reason"]
        ]

        after = eventually(
            lambda: [d for d in first_decisions(system, noted(system, 1)) if d["outcome"] == "abstained"],
            what="a decision of what was in force before",
        )[0]
        assert after["release"] is None


@contextmanager
def version_process(system: System, name: str, version: str) -> Iterator[None]:
    command = [sys.executable, "-m", "agents", name, "--version", version]
    process = subprocess.Popen(command, cwd=ROOT, env=system.env)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0


@pytest.mark.usefixtures("aborted")
@pytest.mark.long
def test_a_workflow_finishes_on_the_version_that_it_began_with(system: System, tmp_path: Path) -> None:
    with system.edited_definitions() as folder, system.agent_process("account_brief"):
        (folder / "account_brief.yaml").write_text(yaml_of_the_guide())
        system.cli("agents", "apply", str(folder))
        candidate = tmp_path / "candidate"
        candidate.mkdir()
        for path in folder.glob("*"):
            (candidate / path.name).write_bytes(path.read_bytes())
        newer = yaml_of_the_guide().replace("version: 1.0.0", "version: 1.1.0")
        (candidate / "account_brief.yaml").write_text(newer)
        file = rollout_file(tmp_path, "candidate: {catalog: candidate}", "mode: canary", "percent: 100")
        told = system.cli("rollout", "start", file)
        assert "python -m agents account_brief --version 1.1.0" in told.stderr

        def begun(arm: str) -> str:
            workflow = system.send("briefing.requested", BRIEFING)
            return workflow if _release(system, workflow, 0).endswith(arm) else ""

        trying = eventually(lambda: begun("/candidate"), within_s=20, what="a workflow of the candidate")
        queued = [seen for seen in system.witness.read(inbox("account_brief", "1.1.0")) if seen.workflow == trying]
        assert [dict(seen.headers)["ce_targetversion"] for seen in queued] == [b"1.1.0"]

        system.cli("rollout", "ramp", "0")
        staying = eventually(lambda: begun("/baseline"), within_s=20, what="a workflow of what is in force")
        with version_process(system, "account_brief", "1.1.0"):
            for workflow, arm, version in ((trying, "/candidate", b"1.1.0"), (staying, "/baseline", b"1.0.0")):
                eventually(lambda w=workflow: len(system.outcomes(w)) == 2, within_s=40, what="the end of a workflow")  # type: ignore[misc]
                assert _release(system, workflow, 1).endswith(arm)
                written = [seen for seen in system.messages(workflow) if seen.type == "briefing.written"]
                assert [dict(seen.headers)["ce_agentversion"] for seen in written] == [version]
        system.cli("replay", "--frozen", "--since", "20s")


def _release(system: System, workflow: str, index: int) -> str:
    decisions = eventually(lambda: _decisions(system, workflow, index + 1), what="a decision")
    return str(decisions[index]["release"])


def _decisions(system: System, workflow: str, count: int) -> list[dict[str, Any]]:
    found = sorted(system.witness.decisions(workflow), key=lambda one: int(one["step"]))
    return found if len(found) >= count else []
