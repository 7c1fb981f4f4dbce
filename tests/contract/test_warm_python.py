"""What a TaskManager imports before a job comes: nothing that a job brings along, and only what is pinned."""

from __future__ import annotations

import re
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = (ROOT / "connectors" / "src" / "main" / "java" / "pointsman" / "WarmPython.java").read_text()
POM = (ROOT / "connectors" / "pom.xml").read_text()
PINNED = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


def spelled(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


def modules() -> list[str]:
    listed = re.search(r"MODULES = List\.of\(([^)]*)\)", SOURCE)
    assert listed
    return re.findall(r'"([\w.]+)"', listed.group(1))


def test_every_module_belongs_to_a_pinned_third_party() -> None:
    found, pinned = packages_distributions(), {spelled(name) for name in PINNED}
    assert modules()
    owners = {name: {spelled(owner) for owner in found[name.partition(".")[0]]} for name in modules()}
    assert {name: of for name, of in owners.items() if not of <= pinned} == {}


def test_nothing_that_travels_with_a_job_is_imported() -> None:
    own = {each.name for each in ROOT.iterdir() if (each / "__init__.py").is_file()}
    assert {name.partition(".")[0] for name in modules()} & own == set()


def test_it_is_compiled_against_the_bridge_that_is_pinned() -> None:
    assert f"<pemja.version>{PINNED['pemja']}</pemja.version>" in POM
