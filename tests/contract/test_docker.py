"""The container files, held against the code: versions, topics, ports, agents, and rules that a reader can rely on."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pointsman.contracts import Contract
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.local.broker import BATCH_OVERHEAD_BYTES
from pointsman.local.layout import CONFIG
from pointsman.local.ports import DEFAULT_PORTS
from pointsman.settings import Settings
from pointsman.topics import MAX_RECORD_BYTES
from tests.compose_secrets import FROM_THE_IMAGE, make_secrets

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = YAML(typ="safe").load(DOCKER / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
ONE_SHOTS = {"archive", "catalog", "connector", "job", "users"}
OPTIONAL = {"registry"}
"""Waited for where their profile is chosen."""
ADD_OPERATOR = "console account add operator --role operator"
"""`tests/unit/test_cli_console.py` runs it."""
WITHOUT_A_CHECK = {"otlp"}
"""Its image has no shell and no client to ask with."""


def pinned(name: str) -> str:
    found = re.search(rf"^{name}==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found
    return found.group(1)


def pom(name: str) -> str:
    found = re.search(rf"<{name}>([^<]+)</{name}>", (ROOT / "connectors" / "pom.xml").read_text())
    assert found
    return found.group(1)


def argument(dockerfile: str, name: str) -> str:
    found = re.search(rf"^ARG {name}=(\S+)$", (DOCKER / f"{dockerfile}.Dockerfile").read_text(), re.MULTILINE)
    assert found
    return found.group(1)


def properties(text: str) -> dict[str, str]:
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_compose_keeps_the_compose_specification() -> None:
    specification = YAML(typ="safe").load(Path(__file__).parent / "schemas" / "compose-spec.json")
    assert Contract(specification).violation(COMPOSE) is None


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_hadolint_finds_nothing(path: Path) -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, "--no-color", path], capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_what_is_copied_is_there_and_reaches_the_builder(path: Path) -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", path.read_text(), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert sources
    assert [one for one in sources if not (ROOT / one).exists()] == []
    assert [one for one in sources if not any(f"!{let}" in ignored for let in (one, *Path(one).parents))] == []


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_images_run_as_a_numbered_user_and_say_what_they_are(path: Path) -> None:
    last_stage = re.split(r"^FROM ", path.read_text(), flags=re.MULTILINE)[-1]
    (user,) = re.findall(r"^USER (\S+)$", last_stage, re.MULTILINE)
    assert int(user) > 0
    for label in ("title", "version", "revision", "licenses"):
        assert f"org.opencontainers.image.{label}=" in last_stage
    assert "HEALTHCHECK" in last_stage


def test_versions_are_those_that_the_tests_run_on() -> None:
    assert argument("flink", "FLINK_VERSION") == pinned("apache-flink")
    assert argument("connect", "KAFKA_VERSION") == pom("kafka.version")
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{pom('kafka.version')}"
    assert not pom("kafka.version").startswith(("4.3.", "4.4.0")), "half of a transaction may be kept: see ADR 26"
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for path in DOCKERFILES:
        assert argument(path.stem, "VERSION") == wanted
    for name in ("flink", "pointsman"):
        assert argument(name, "UV_VERSION") == pinned("uv")
    assert argument("pointsman", "PYTHON_IMAGE").startswith("python:3.11.")


def test_every_image_from_elsewhere_has_an_exact_tag() -> None:
    own = {"pointsman", "pointsman-flink", "pointsman-connect"}
    images = {service["image"] for service in SERVICES.values()} - own
    images |= {match for path in DOCKERFILES for match in re.findall(r"^ARG \w+_IMAGE=(\S+)$", path.read_text(), re.M)}
    assert images
    assert [image for image in images if not re.search(r":v?\d+\.\d+(\.\d+)?", image)] == []


def test_there_is_one_process_per_agent_definition() -> None:
    definitions = load_folder_or_raise(ROOT / "agent_definitions").definitions
    wanted = {f"agent-{one.name}": ["agents", one.name] for one in definitions}
    found = {name: service["command"] for name, service in SERVICES.items() if name.startswith("agent-")}
    assert found == wanted


def test_who_waits_waits_for_health_or_for_the_end() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONE_SHOTS else "service_healthy"
            assert how == {"condition": wanted} | ({"required": False} if other in OPTIONAL else {})


def test_everything_that_stays_up_says_whether_it_works() -> None:
    silent = {name for name, service in SERVICES.items() if "healthcheck" not in service}
    assert silent == ONE_SHOTS | WITHOUT_A_CHECK


def test_ports_are_published_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_ports_are_the_usual_ones() -> None:
    assert f"127.0.0.1:{DEFAULT_PORTS['console']}:{DEFAULT_PORTS['console']}" in SERVICES["console"]["ports"]
    assert f"127.0.0.1:{DEFAULT_PORTS['flink']}:8081" in SERVICES["jobmanager"]["ports"]
    assert SERVICES["console"]["command"][-1] == str(DEFAULT_PORTS["console"])


def test_no_secret_stands_in_the_environment() -> None:
    words = re.compile(r"(password|secret|api_key|token)$", re.IGNORECASE)
    named = {variable for service in SERVICES.values() for variable in service.get("environment", {})}
    assert [variable for variable in named if words.search(variable)] == []


def test_secrets_are_made_once_by_the_script_and_kept(tmp_path: Path) -> None:
    script = tmp_path / "a folder" / "make_secrets.sh"
    script.parent.mkdir()
    for name in ("make_secrets.sh", ".env.example", "compose.yaml"):
        (script.parent / name).write_bytes((DOCKER / name).read_bytes())
    for _ in range(2):
        calls = make_secrets(script.parent)
        made = {file.name: file.read_text() for file in (script.parent / "secrets").iterdir() if file.is_file()}
    assert set(made) == set(COMPOSE["secrets"])
    filled = [value for value in made.values() if value]
    assert len(set(filled)) == len(filled)
    assert made["pointsman_console_accounts"] == FROM_THE_IMAGE
    assert calls == [
        "build --quiet --tag pointsman --file pointsman.Dockerfile ..",
        f"run --rm {SERVICES['console']['image']} pointsman {ADD_OPERATOR}",
    ]
    assert (script.parent / "secrets").stat().st_mode & 0o077 == 0


def test_secrets_have_the_names_of_settings() -> None:
    known = {alias for name, one in Settings.model_fields.items() for alias in _names(name, one.validation_alias)}
    ours = [service for service in SERVICES.values() if service["image"] in {"pointsman", "pointsman-flink"}]
    for_us = {name for service in ours for name in service.get("secrets", [])}
    assert "openai_api_key" in for_us
    assert for_us <= known


def test_variables_are_settings_and_have_a_value_in_the_example() -> None:
    known = {alias for name, one in Settings.model_fields.items() for alias in _names(name, one.validation_alias)}
    text = (DOCKER / ".env.example").read_text()
    given = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    used = set(re.findall(r"(?<!\$)\$\{(\w+)\}", (DOCKER / "compose.yaml").read_text()))
    assert used == set(given)
    assert {name.lower() for name in given} - known == {"parallelism", "checkpoint_interval_ms", "delivery"}


def test_kafka_is_told_what_the_local_broker_is_told() -> None:
    largest = MAX_RECORD_BYTES + BATCH_OVERHEAD_BYTES
    local = properties((CONFIG / "broker.properties").read_text().replace("${max_record_bytes}", str(largest)))
    told = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    for name in (
        "auto.create.topics.enable", "message.max.bytes", "replica.fetch.max.bytes",
        "transaction.state.log.replication.factor", "group.initial.rebalance.delay.ms",
    ):  # fmt: skip
        assert told[name] == local[name]


def test_connect_is_told_what_the_local_worker_is_told() -> None:
    largest = str(MAX_RECORD_BYTES + BATCH_OVERHEAD_BYTES)
    local = properties((ROOT / "connectors" / "worker.properties").read_text().replace("${max_record_bytes}", largest))
    told = properties((DOCKER / "connect" / "worker.properties").read_text())
    elsewhere = {
        "bootstrap.servers", "listeners", "rest.advertised.host.name", "plugin.path", "plugin.discovery",
        "scheduled.rebalance.max.delay.ms", "session.timeout.ms", "heartbeat.interval.ms",
    }  # fmt: skip
    assert {name: value for name, value in local.items() if name not in elsewhere}.items() <= told.items()


def test_flink_is_told_what_the_local_cluster_is_told() -> None:
    yaml = YAML(typ="safe")
    local = yaml.load(re.sub(r"\$\{\w+\}", "x", (CONFIG / "flink.yaml").read_text()))
    for service in ("jobmanager", "taskmanager"):
        told = yaml.load(SERVICES[service]["environment"]["FLINK_PROPERTIES"])
        for name in (
            "heartbeat.interval", "heartbeat.timeout", "taskmanager.numberOfTaskSlots", "web.submit.enable",
            "execution.checkpointing.externalized-checkpoint-retention",
        ):  # fmt: skip
            assert told[name] == local[name]


def _names(name: str, alias: Any) -> set[str]:
    if alias is None:
        return {f"pointsman_{name}"}
    return {str(choice).lower() for choice in alias.choices}
