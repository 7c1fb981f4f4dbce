"""Whatever the rooms import is declared in pyproject.toml: an installation and the images hold nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import files, packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("pointsman", "flink_jobs", "agents")


def test_every_third_party_module_belongs_to_a_dependency_or_an_extra() -> None:
    declared = declared_distributions(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    lacking = {
        f"{path.relative_to(ROOT)} imports {module}: {' or '.join(sorted(owners))} is not declared"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for module in third_party(path.read_text(encoding="utf-8"))
        if not (owners := distributions_of(module)) & declared
    }
    assert sorted(lacking) == []


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import openai", ["openai"]),
        ("def ask():\n    from openai.types import chat", ["openai.types.chat"]),
        ("try:\n    import one\nexcept ImportError:\n    import other", ["one", "other"]),
        ("if TYPE_CHECKING:\n    import one\nelse:\n    import other", ["other"]),
        ("if typing.TYPE_CHECKING:\n    import one", []),
        ("import json, os.path\nfrom . import near\nfrom pointsman import errors", []),
    ],
)
def test_imports_are_found_wherever_they_run(source: str, modules: list[str]) -> None:
    assert list(third_party(source)) == modules


def test_a_part_of_a_shared_package_belongs_to_who_brings_that_part() -> None:
    assert distributions_of("opentelemetry.sdk.trace.TracerProvider") == {"opentelemetry-sdk"}
    assert distributions_of("opentelemetry.trace") == {"opentelemetry-api"}
    assert distributions_of("not_installed_here.part") == {"not-installed-here"}


def declared_distributions(project: dict[str, Any]) -> set[str]:
    """Names of what an installation may hold; the group `dev` is for this repository only."""
    about = project["project"]
    wanted = [about["dependencies"], *about["optional-dependencies"].values()]
    return {plain(re.split(r"[\[<>=!~; ]", each)[0]) for one in wanted for each in one}


def third_party(source: str) -> Iterator[str]:
    """What a module imports from elsewhere when it runs, with the name that it takes from there."""
    for name in imported(ast.parse(source)):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ROOMS:
            yield name


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (each.name for each in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from (f"{node.module}.{each.name}" for each in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        yield from (name for child in node.orelse for name in imported(child))
    else:
        yield from (name for child in ast.iter_child_nodes(node) for name in imported(child))


@cache
def distributions_of(module: str) -> set[str]:
    """Who brings `module`; several where they share a package; its own name where it is not installed."""
    top = module.partition(".")[0]
    brought = set(installed().get(top, [top]))
    parts = module.split(".")
    for length in range(len(parts), 1, -1):
        path = "/".join(parts[:length])
        closest = {one for one in brought if len(brought) > 1 and {f"{path}.py", path} & held_by(one)}
        if closest:
            return {plain(one) for one in closest}
    return {plain(one) for one in brought}


@cache
def installed() -> dict[str, list[str]]:
    return dict(packages_distributions())


@cache
def held_by(distribution: str) -> set[str]:
    """The Python files of a distribution, and the folders that they are in."""
    held = [file for file in files(distribution) or [] if file.suffix == ".py"]
    return {file.as_posix() for file in held} | {folder.as_posix() for file in held for folder in file.parents}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
