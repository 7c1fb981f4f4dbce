"""What came of decisions becomes labels: a mail's outcome and a person's correction, through Kafka and the ledger."""

from __future__ import annotations

from pathlib import Path

from pointsman.evaluation.dataset import read_dataset
from tests.e2e.system import System, hot_lead
from tests.witness import eventually


def test_what_became_of_a_mail_and_a_persons_correction_become_labels(system: System, tmp_path: Path) -> None:
    won, wrong = (system.insert(hot_lead()) for _ in range(2))
    for _, where in (won, wrong):
        eventually(lambda w=where: system.mails_to(w), within_s=90, what="a mail")  # type: ignore[misc]
    scored = {
        workflow: next(each["message_id"] for each in system.witness.decisions(workflow) if each["how"] == "model")
        for workflow, _ in (won, wrong)
    }
    eventually(lambda: system.effects(won[0]) == ["sent"], what="the ledger's word")
    system.cli("mail", "outcome", won[0], "--as", "meeting")
    system.cli("decisions", "correct", scored[wrong[0]], "--agent", "nurture_campaign", "--reason", "too early")

    labels = tmp_path / "labels.jsonl"
    said = system.cli("eval", "examples", "--output", str(labels), "--source", "outcome", "--source", "correction")
    assert "outcome:meeting" in said.stdout
    found = {each.id: (each.answer, each.source) for each in read_dataset(labels)}
    assert found[scored[won[0]]] == ("active_outreach", "outcome:meeting")
    assert found[scored[wrong[0]]] == ("nurture_campaign", "correction")
