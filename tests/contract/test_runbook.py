"""Every alert is tested and has its section in the runbook, and the runbook has no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.command_tree import commands

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "docker" / "prometheus"
PAGE = (ROOT / "docs" / "runbook.md").read_text()
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def rules() -> list[dict[str, Any]]:
    groups = YAML(typ="safe").load(PROMETHEUS / "alerts.yml")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_alert_has_a_section_and_its_annotation_points_there() -> None:
    alerts = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in rules()}
    assert alerts
    assert set(alerts) == set(SECTIONS)
    assert alerts == {name: f"docs/runbook.md#{name.lower()}" for name in alerts}


def test_every_section_says_what_it_means_where_to_look_and_what_to_do() -> None:
    words = ("**Means.**", "**Look", "o.**")
    assert [(name, word) for name, text in SECTIONS.items() for word in words if word not in text] == []


def test_every_command_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`pointsman ((?:[a-z]+(?:-[a-z]+)* ?){1,2})", PAGE))
    assert named
    there = [tuple(words.split()) for words, _ in commands()]
    assert sorted(words for words in named if not any(is_said(words, command) for command in there)) == []


def is_said(words: str, command: tuple[str, ...]) -> bool:
    """Whether `words`, an argument perhaps behind them, say `command`."""
    return tuple(words.split())[: len(command)] == command


def test_every_alert_is_tested_by_promtool() -> None:
    tested = re.findall(r"alertname: (\w+)", (PROMETHEUS / "alerts_test.yml").read_text())
    assert sorted(tested) == sorted(rule["alert"] for rule in rules())
