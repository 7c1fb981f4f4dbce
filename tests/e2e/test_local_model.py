"""While no model answers, the local model decides where it is sure, and the rest waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.system import ROOT, System
from tests.witness import eventually

DATASET = ROOT / "examples" / "evaluation" / "sdr.jsonl"
UNSURE = {"lead_id": "x", "text": "Zyx wvu tsr qpo."}


@pytest.fixture
def local_model(system: System, tmp_path: Path) -> Iterator[Path]:
    """A local model that the running job uses, until the test is over."""
    file = tmp_path / "a local model.npz"
    system.cli("local-model", "train", str(DATASET), "--output", str(file), "--accuracy", "0.9")
    system.cli("job", "upgrade", "--local-model", str(file))
    yield file
    system.cli("job", "upgrade", "--no-local-model")


def scored(step: str, score: int, words: str) -> dict[str, Any]:
    """A scored lead that is not in the data set."""
    profile = {
        "lead_id": "x", "email_domain": "northwind.example", "title": "Head of Operations",
        "company": "Northwind Wholesale", "source": "demo request" if step == "engage" else "newsletter",
        "interest": "stock tracking", "summary": "Runs operations at Northwind Wholesale.",
        "facts": [{"fact": f"Wrote: {words}", "source": "form"}],
    }  # fmt: skip
    return {
        "lead_id": "x", "score": score, "fit": score, "intent": score, "next_step": step, "reasons": [words],
        "talking_points": [], "profile": profile,
    }  # fmt: skip


def test_scored_leads_are_routed_by_the_local_model_while_the_model_is_down(system: System, local_model: Path) -> None:
    restarts = system.job_restarts()
    with system.model_control(fail_rate=1):
        hot = system.send("lead.scored", scored("engage", 90, "We want a demo this month, budget is approved."))
        cool = system.send("lead.scored", scored("nurture", 41, "Only looking around, perhaps next year."))
        unsure = system.send("lead.activity_noted", UNSURE)
        decisions = {
            workflow: eventually(lambda w=workflow: system.witness.decisions(w), what="a decision")[0]  # type: ignore[misc]
            for workflow in (hot, cool)
        }
        assert system.outcomes(unsure) == []
    assert [decisions[hot]["agent"], decisions[cool]["agent"]] == ["active_outreach", "nurture_campaign"]
    for decision in decisions.values():
        assert decision["how"] == "local_model"
        assert decision["local_call"]["confidence"] >= decision["local_call"]["threshold"] > 0.5
        assert "the local model is" in decision["reason"]
        assert decision["model_call"] is None
    eventually(lambda: system.outcomes(unsure) == ["abstained"], within_s=90, what="what the local model left")
    assert system.witness.decisions(unsure)[0]["how"] == "model"
    assert system.job_restarts() == restarts
