"""`agents` is ours alone, and the archive-relevant packages are all declared."""

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_only_our_distribution_owns_the_package_agents() -> None:
    assert set(packages_distributions().get("agents", ["pointsman"])) == {"pointsman"}


def test_every_package_folder_is_declared() -> None:
    declared = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for room in ("pointsman", "flink_jobs", "agents")
        for init in (ROOT / room).rglob("__init__.py")
    }
    assert found == declared
