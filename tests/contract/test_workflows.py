"""The workflows of continuous integration: valid, pinned, with no more rights than their work takes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pointsman.contracts import Contract

ROOT = Path(__file__).parents[2]
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
SCHEMA = Path(__file__).parent / "schemas" / "github-workflow.json"


def workflow(name: str) -> dict[str, Any]:
    # YAML 1.2, where `on` is a word.
    found: dict[str, Any] = YAML(typ="safe").load(WORKFLOWS[name])
    return found


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def commands(name: str) -> str:
    return "\n".join(step.get("run", "") for step in steps(name))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_keep_githubs_schema(name: str) -> None:
    assert Contract(YAML(typ="safe").load(SCHEMA)).violation(workflow(name)) is None


def test_zizmor_finds_nothing() -> None:
    auditor = Path(sys.executable).with_name("zizmor")
    command = [str(auditor), "--offline", "--no-progress", "--quiet", str(ROOT / ".github")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_commit_and_say_which_version_that_is(name: str) -> None:
    used = re.findall(r"uses: (.*)$", WORKFLOWS[name].read_text(), re.MULTILINE)
    assert len(used) >= len(workflow(name)["jobs"])
    assert [one for one in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_has_rights_but_to_read_and_a_release_to_push_images(name: str) -> None:
    told = workflow(name)
    assert told["permissions"] == {}
    wanted = {"contents": "read"} | ({"packages": "write"} if name == "release" else {})
    for job in told["jobs"].values():
        assert job["permissions"] == wanted
        assert job["timeout-minutes"] <= 240


def test_every_change_is_tested_checked_and_audited() -> None:
    assert {"push", "pull_request"} <= set(workflow("ci")["on"])
    for command in (".ci/run", "make check-deploy", "make lint", "make audit"):
        assert re.search(rf"^{re.escape(command)}$", commands("ci"), re.MULTILINE), command


def test_the_night_runs_what_takes_long() -> None:
    (job,) = workflow("nightly")["jobs"].values()
    targets = job["strategy"]["matrix"]["target"]
    assert targets == ["test-long", "chaos-nightly", "audit"]
    makefile = (ROOT / "Makefile").read_text()
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_a_release_builds_every_image_of_the_chart_with_a_bill_of_materials() -> None:
    (job,) = workflow("release")["jobs"].values()
    built = {one["image"]: one for one in job["strategy"]["matrix"]["include"]}
    templates = "".join(path.read_text() for path in (ROOT / "docker" / "helm" / "pointsman").rglob("*.*"))
    assert set(built) == set(re.findall(r'"pointsman\.image" \(list \S+ "([\w-]+)"', templates))
    for one in built.values():
        text = (ROOT / "docker" / one["dockerfile"]).read_text()
        assert not one["target"] or f" AS {one['target']}" in text
    (told,) = (step["with"] for step in steps("release") if "build-push" in step.get("uses", ""))
    assert (told["sbom"], told["provenance"], told["build-args"]) == (True, "mode=max", "REVISION=${{ github.sha }}")
