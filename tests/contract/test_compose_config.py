"""What `docker compose config` would look at: variables, references and files, as a parser of its own resolves them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pointsman.contracts import Contract
from pointsman.settings import settings
from tests.compose_secrets import make_secrets

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
# The parser takes two seconds of a whole core.
pytestmark = pytest.mark.timeout(120)
OPTIONAL_VARIABLES = ("POINTSMAN_SCHEMA_REGISTRY_URL", "POINTSMAN_SCHEMA_REGISTRY_WRITES")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of docker/ as it is after make_secrets.sh."""
    copy = tmp_path_factory.mktemp("a checkout") / "docker"
    shutil.copytree(DOCKER, copy, ignore=shutil.ignore_patterns("secrets", ".env"))
    make_secrets(copy)
    return copy


@pytest.fixture(scope="module")
def resolved(place: Path) -> dict[str, Any]:
    """The file with every variable filled in from .env, every extension merged, every profile chosen."""
    parser = Path(sys.executable).with_name("podman-compose")
    every = [word for name in ("archive", "registry") for word in ("--profile", name)]
    done = subprocess.run(
        [parser, "--dry-run", "-f", "compose.yaml", *every, "config"], cwd=place, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = YAML(typ="safe").load(done.stdout)
    return found


def test_the_resolved_file_keeps_the_compose_specification(resolved: dict[str, Any]) -> None:
    specification = YAML(typ="safe").load(Path(__file__).parent / "schemas" / "compose-spec.json")
    assert Contract(specification).violation(resolved) is None


def test_every_variable_has_a_value(resolved: dict[str, Any], place: Path) -> None:
    given = dict(re.findall(r"^(\w+)='?(.*?)'?$", (place / ".env").read_text(), re.MULTILINE))
    assert len(given) > 10
    for service in resolved["services"].values():
        for name, value in (service.get("environment") or {}).items():
            assert value is not None or name in OPTIONAL_VARIABLES
            assert "${" not in str(value)
            if name in given:
                assert value == given[name]


def test_a_dollar_that_is_meant_stays_one(resolved: dict[str, Any]) -> None:
    assert resolved["services"]["connector"]["command"][-1] == "${dir:/run/login:mongodb_uri}"


def test_what_agents_are_told_is_taken_by_the_settings(
    resolved: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in resolved["services"]["agent-send_email"]["environment"].items():
        if value is not None:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("POINTSMAN_SECRETS_DIR", str(place / "secrets"))
    monkeypatch.setenv("POINTSMAN_LOGIN_DIR", str(place / "secrets" / "logins" / "agent-send-email"))
    settings.cache_clear()
    told = settings()
    settings.cache_clear()
    assert (told.kafka_sasl_username, told.mail_allow) == ("agent-send-email", ["*"])
    assert told.schema_registry_url is None


def test_every_name_that_is_referred_to_is_there(resolved: dict[str, Any]) -> None:
    services = resolved["services"]
    for service in services.values():
        assert set(service.get("depends_on") or {}) <= set(services)
        assert set(service.get("secrets") or []) <= set(resolved["secrets"])
        named = {volume.split(":")[0] for volume in service.get("volumes") or []}
        assert {name for name in named if not name.startswith((".", "/"))} <= set(resolved["volumes"])


def test_every_file_that_is_mounted_or_built_from_is_there(resolved: dict[str, Any], place: Path) -> None:
    mounted = {
        volume.split(":")[0]
        for service in resolved["services"].values()
        for volume in service.get("volumes") or []
        if volume.startswith(".")
    } | {secret["file"] for secret in resolved["secrets"].values()}
    assert len(mounted) > 15
    assert [name for name in mounted if not (place / name).exists()] == []
    built = {service["build"]["dockerfile"] for service in resolved["services"].values() if "build" in service}
    assert built == {f"docker/{path.name}" for path in DOCKER.glob("*.Dockerfile")}


def test_nobody_waits_for_somebody_who_waits_for_them(resolved: dict[str, Any]) -> None:
    waits = {name: set(service.get("depends_on") or {}) for name, service in resolved["services"].items()}
    while free := [name for name, others in waits.items() if not others & set(waits)]:
        for name in free:
            del waits[name]
    assert waits == {}
