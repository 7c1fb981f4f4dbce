"""Every alert is tested and has its section in the runbook, and the runbook has no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer
from ruamel.yaml import YAML

from pointsman.cli.main import app

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
    there = commands()
    assert sorted(words for words in named if not any(is_said(words, command) for command in there)) == []


def commands(group: Any = None, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command's words."""
    inner = getattr(group or typer.main.get_command(app), "commands", None)
    if inner is None:
        return [path]
    return [found for name, each in inner.items() for found in commands(each, (*path, name))]


def is_said(words: str, command: tuple[str, ...]) -> bool:
    """Whether `words`, an argument perhaps behind them, say `command`."""
    return tuple(words.split())[: len(command)] == command


def test_every_alert_is_tested_by_promtool() -> None:
    tested = re.findall(r"alertname: (\w+)", (PROMETHEUS / "alerts_test.yml").read_text())
    assert sorted(tested) == sorted(rule["alert"] for rule in rules())
