"""Who is who in compose.yaml: a login per process, with the rights that pointsman/deployment.py gives it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ruamel.yaml import YAML

from pointsman.cli import logins
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.deployment import (
    ARCHIVER,
    CONNECT,
    CONSOLE,
    METRICS,
    OPERATOR,
    ROUTER,
    SWEEPER,
    agent_user,
    agent_users,
    kafka_users,
)
from pointsman.errors import ConfigurationError
from pointsman.flink_login import INSIDE_FLINKS_JAR, PASSWORD_FILE, SCRAM_MODULE, USERNAME_FILE
from pointsman.kafka.login import KafkaLogin
from pointsman.local.security import ADMIN
from pointsman.local.security.database_users import role_of
from pointsman.settings import settings
from tests.compose_secrets import make_secrets

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
SERVICES: dict[str, dict[str, Any]] = YAML(typ="safe").load(DOCKER / "compose.yaml")["services"]
AGENTS = [one.name for one in load_folder_or_raise(ROOT / "agent_definitions").definitions]
WHO = {
    "users": ADMIN, "catalog": OPERATOR, "job": OPERATOR, "archive": OPERATOR, "jobmanager": ROUTER,
    "taskmanager": ROUTER, "taskmanager-archive": ROUTER, "connect": CONNECT, "console": CONSOLE, "metrics": METRICS,
    "sweeper": SWEEPER,
    **{f"agent-{name}": agent_user(name) for name in AGENTS},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What make_secrets.sh makes."""
    docker = tmp_path_factory.mktemp("a folder") / "docker"
    docker.mkdir()
    for name in ("make_secrets.sh", ".env.example", "compose.yaml"):
        (docker / name).write_bytes((DOCKER / name).read_bytes())
    make_secrets(docker)
    return docker / "secrets"


def mounts(service: str) -> dict[str, str]:
    """What is mounted where, of logins."""
    told = (volume.split(":") for volume in SERVICES[service].get("volumes", []))
    return {where: what for what, where, *mode in told if mode == ["ro"] and where.startswith("/run/login")}


def test_every_service_logs_in_as_itself_and_no_other_has_a_login() -> None:
    found = {name: mounts(name)["/run/login"] for name in SERVICES if "/run/login" in mounts(name)}
    assert found == {service: f"./secrets/logins/{principal}" for service, principal in WHO.items()}


def test_only_who_makes_the_users_sees_all_logins_and_only_flink_a_second_one() -> None:
    second = {name: where for name in SERVICES if (where := set(mounts(name)) - {"/run/login"})}
    flink = {name: {"/run/login-archive"} for name in ("jobmanager", "taskmanager", "taskmanager-archive")}
    assert second == {"users": {"/run/logins"}, **flink}
    assert mounts("jobmanager")["/run/login-archive"] == f"./secrets/logins/{ARCHIVER}"
    assert "--login-dir=/run/login-archive" in SERVICES["archive"]["command"]


def test_the_script_makes_a_login_for_every_principal_of_the_catalog(folder: Path) -> None:
    made = logins.principals(folder / "logins")
    assert made == {**kafka_users(), **agent_users(sorted(AGENTS))}
    assert {path.name for path in (folder / "logins").iterdir()} == {*made, ADMIN}
    assert len(set(logins.passwords(folder / "logins", made, PASSWORD_FILE).values())) == len(made)


def test_a_login_is_a_folder_of_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*kafka_users(), *map(agent_user, AGENTS)]:
        own = folder / "logins" / name
        monkeypatch.setenv("POINTSMAN_LOGIN_DIR", str(own))
        monkeypatch.setenv("POINTSMAN_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
        monkeypatch.delenv("MONGODB_URI", raising=False)
        settings.cache_clear()
        told = settings()
        settings.cache_clear()
        assert KafkaLogin.of(told).config()["sasl.username"] == name == (own / USERNAME_FILE).read_text()
        database = urlsplit(told.mongodb_uri.get_secret_value())
        assert (database.username, database.password) == (name, (own / "mongodb_password").read_text())
        assert parse_qs(database.query)["authSource"] == ["admin"]


def test_javas_processes_find_user_and_password_by_the_class_that_they_have(folder: Path) -> None:
    for name in kafka_users():
        jaas = (folder / "logins" / name / "jaas.conf").read_text()
        assert (folder / "logins" / name / PASSWORD_FILE).read_text() in jaas
        assert jaas.split()[2] == (INSIDE_FLINKS_JAR if name == ROUTER else "") + SCRAM_MODULE
    option = "-Djava.security.auth.login.config=/run/login/jaas.conf"
    assert SERVICES["connect"]["environment"]["KAFKA_OPTS"] == option
    for process in ("jobmanager", "taskmanager"):
        assert f"env.java.opts.{process}: {option}" in SERVICES[process]["environment"]["FLINK_PROPERTIES"]


def test_no_listener_of_the_broker_is_without_a_login() -> None:
    told = SERVICES["kafka"]["environment"]
    protocols = dict(pair.split(":") for pair in told["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert set(protocols.values()) == {"SASL_PLAINTEXT"}
    assert {one.split("://")[0] for one in told["KAFKA_LISTENERS"].split(",")} == set(protocols)
    assert told["KAFKA_SUPER_USERS"] == f"User:{ADMIN}"
    assert told["KAFKA_AUTHORIZER_CLASS_NAME"].endswith("StandardAuthorizer")
    assert not any("ALLOW_EVERYONE" in name for name in told)


def test_a_folder_without_a_principal_or_a_password_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="pointsman-router"):
        logins.principals(tmp_path)
    with pytest.raises(ConfigurationError, match=re.escape(f"{ROUTER}/absent holds no password")):
        logins.passwords(folder / "logins", {ROUTER: []}, "absent")


def test_the_command_says_who_gets_what(folder: Path) -> None:
    rights = logins.principals(folder / "logins")
    told = {row["principal"]: row for row in logins.rows(rights, kafka=True, mongodb=True)}
    assert told[ROUTER]["mongodb"] == ROUTER
    assert told[agent_user(AGENTS[0])]["mongodb"] == role_of(agent_user(AGENTS[0]))
    assert told[SWEEPER]["kafka"] == f"{len(kafka_users()[SWEEPER])} rules"
    assert {row["kafka"] for row in logins.rows(rights, kafka=False, mongodb=True)} == {"-"}
