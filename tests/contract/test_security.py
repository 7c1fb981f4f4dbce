"""The threat model names controls that are tested: every test it cites exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()
CITED = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)


def test_every_test_that_the_threat_model_cites_exists() -> None:
    missing = [f"{file}::{name}" for file, name in CITED if f"def {name}(" not in (ROOT / "tests" / file).read_text()]
    assert missing == []


def test_every_risk_of_both_lists_has_a_row_with_a_test() -> None:
    risks = [f"LLM{number:02}" for number in range(1, 11)] + [f"ASI{number:02}" for number in range(1, 11)]
    rows = {risk: re.findall(rf"^\| {risk} .*$", PAGE, re.MULTILINE) for risk in risks}
    assert [risk for risk, found in rows.items() if len(found) != 1] == []
    without_a_test = [risk for risk, (row,) in rows.items() if "::test_" not in row]
    assert without_a_test == ["LLM08"]
