"""The broker of compose.yaml, run here with the settings and the logins that its container gets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr
from ruamel.yaml import YAML

from pointsman.deployment import OPERATOR, agent_acls, agent_user
from pointsman.envelope import Record
from pointsman.flink_login import PASSWORD_FILE, USERNAME_FILE
from pointsman.kafka import KafkaAdmin, KafkaLogin, publish, read_all
from pointsman.kafka.users import KafkaUsers, bindings
from pointsman.local.java import java_or_raise
from pointsman.local.security import ADMIN
from pointsman.settings import Settings
from pointsman.topics import ALL, DECISIONS, MESSAGES
from tests.compose_secrets import make_secrets
from tests.e2e.system import ROOT
from tests.e2e.test_secure_stack import write_error
from tests.witness import eventually

pytestmark = pytest.mark.long

DOCKER = ROOT / "docker"
TOLD: dict[str, str] = YAML(typ="safe").load(DOCKER / "compose.yaml")["services"]["kafka"]["environment"]
AGENT = agent_user("lead_scoring")


@dataclass(frozen=True, kw_only=True)
class Broker:
    """The broker, and who may log in.

    Attributes:
        folder: with its properties, its data, and `secrets`.
        ports: by the name of the listener.
    """

    folder: Path
    ports: dict[str, int]

    def address(self, listener: str) -> str:
        return f"127.0.0.1:{self.ports[listener]}"

    def login(self, principal: str) -> KafkaLogin:
        own = self.folder / "secrets" / "logins" / principal
        return KafkaLogin(
            protocol="SASL_PLAINTEXT", mechanism="PLAIN" if principal == ADMIN else "SCRAM-SHA-512",
            username=(own / USERNAME_FILE).read_text(), password=SecretStr((own / PASSWORD_FILE).read_text()),
        )  # fmt: skip

    def client(self, principal: str, listener: str = "CLIENT") -> dict[str, Any]:
        return {"bootstrap.servers": self.address(listener), "log_level": 0, **self.login(principal).config()}

    def is_up(self) -> bool:
        return KafkaAdmin(self.address("ADMIN"), self.login(ADMIN)).is_alive(2.0)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("compose broker") / "docker"
    folder.mkdir()
    for name in ("make_secrets.sh", ".env.example", "compose.yaml"):
        (folder / name).write_bytes((DOCKER / name).read_bytes())
    make_secrets(folder)
    ports = {}
    for name in ("CLIENT", "ADMIN", "CONTROLLER"):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            ports[name] = probe.getsockname()[1]
    made = Broker(folder=folder, ports=ports)
    (folder / "server.properties").write_text(properties(made))
    jars = ROOT / ".pointsman" / "jars" / "lib" / "*"
    java = [java_or_raise(Settings().java_home), "-Xmx512m", "-cp", str(jars)]
    format_it = ["kafka.tools.StorageTool", "format", "--cluster-id", "kQWO1tmLT0a3VCTN1oVR5A", "--config"]
    subprocess.run([*java, *format_it, "server.properties"], cwd=folder, check=True, capture_output=True)
    options = TOLD["KAFKA_OPTS"].replace("/run/secrets", "secrets")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*java, options, "kafka.Kafka", "server.properties"], cwd=folder, stdout=log, stderr=log
        )
    try:
        eventually(made.is_up, within_s=90, what="the broker")
        yield made
    finally:
        process.terminate()
        process.wait(timeout=60)


def properties(broker: Broker) -> str:
    """As the image makes them of its environment; elsewhere only where it listens and keeps its data."""
    told = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in TOLD.items()
        if name != "KAFKA_OPTS"
    }
    doors = {name: broker.address(name) for name in broker.ports}
    elsewhere = {
        "listeners": ",".join(f"{name}://{door}" for name, door in doors.items()),
        "advertised.listeners": ",".join(f"{name}://{door}" for name, door in doors.items() if name != "CONTROLLER"),
        "controller.quorum.voters": f"1@{doors['CONTROLLER']}",
        "log.dirs": str(broker.folder / "data"),
    }
    assert set(elsewhere) <= set(told)
    return "".join(f"{name}={value}\n" for name, value in {**told, **elsewhere}.items())


@pytest.fixture(scope="module")
def applied(broker: Broker) -> Broker:
    """After the services `users` and `catalog`, as far as they have to do with Kafka."""
    env = {
        **os.environ, "POINTSMAN_DATA_DIR": str(broker.folder), "KAFKA_BOOTSTRAP_SERVERS": broker.address("ADMIN"),
        "POINTSMAN_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "POINTSMAN_KAFKA_SASL_MECHANISM": "PLAIN",
        "POINTSMAN_LOGIN_DIR": str(broker.folder / "secrets" / "logins" / ADMIN),
    }  # fmt: skip
    command = [sys.executable, "-m", "pointsman", "logins", "apply", str(broker.folder / "secrets" / "logins")]
    done = subprocess.run([*command, "--no-mongodb"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    KafkaAdmin(broker.address("CLIENT"), broker.login(OPERATOR)).ensure_topics(ALL)
    return broker


def test_every_login_has_the_rights_of_the_code(applied: Broker) -> None:
    users = KafkaUsers(applied.address("ADMIN"), applied.login(ADMIN))
    assert users.rights_of(AGENT) == bindings(AGENT, agent_acls("lead_scoring"))


def test_an_agent_writes_messages_and_no_decision(applied: Broker) -> None:
    record = Record(topic=MESSAGES, key=b"w", value=b"{}", headers={})
    publish(applied.address("CLIENT"), [record], "pointsman.lead_scoring.1", applied.login(AGENT))
    read = list(read_all(applied.address("CLIENT"), MESSAGES, login=applied.login(OPERATOR)))
    assert [one.value for one in read] == [b"{}"]
    assert write_error(applied.client(AGENT), DECISIONS) == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("listener", ["CLIENT", "ADMIN"])
def test_no_door_is_open_without_a_login(applied: Broker, listener: str) -> None:
    with pytest.raises(KafkaException, match=r"_TRANSPORT|_TIMED_OUT"):
        AdminClient({"bootstrap.servers": applied.address(listener), "log_level": 0}).list_topics(timeout=3)


def test_an_agents_login_opens_the_administrators_door_not(applied: Broker) -> None:
    told = {**applied.client(AGENT, "ADMIN"), "sasl.mechanism": "PLAIN"}
    with pytest.raises(KafkaException, match=r"_TRANSPORT|_TIMED_OUT|_AUTHENTICATION"):
        AdminClient(told).list_topics(timeout=3)
