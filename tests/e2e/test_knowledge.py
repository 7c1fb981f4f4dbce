"""Agents cite the team's own documents: from a file in a folder to the mail's record."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.system import System, hot_lead
from tests.witness import eventually


def test_a_mail_cites_a_document_in_its_record(system: System, tmp_path: Path) -> None:
    fact = "Twelve warehouses were connected to live stock tracking within six weeks."
    (tmp_path / "case northwind.md").write_text(f"# Case study\n\n## Wholesale with warehouses\n\n{fact}\n")
    system.cli("knowledge", "add", str(tmp_path), "--collection", "product")
    try:
        workflow, address = system.insert(hot_lead())
        mail = eventually(lambda: system.mails_to(address), within_s=60, what="a mail to the lead")[0]
        effect = eventually(lambda: system.database.effects.find_one({"facts.lead_id": workflow}), what="its record")
    finally:
        system.cli("knowledge", "rm", "--all", "--collection", "product")

    assert fact in mail.get_content()
    (cited,) = effect["facts"]["citations"]
    assert (cited["source"], cited["heading"]) == ("case northwind.md", "Case study > Wholesale with warehouses")
    told = json.loads(system.cli("trace", workflow, "--unmask", "-o", "json").stdout)
    assert [row["content"]["citations"] for row in told["rows"] if row["part"] == "effect"] == [[cited]]
    scores = system.database.scores.find_one({"_id": workflow})
    assert scores is not None
    assert "citations" in scores["model"]
