"""The chart's rights on a real broker: an agent can do its work, and a stolen credential of it nothing else."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its hints leave names out
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from pointsman.deployment import Acl, agent_acls, agent_user
from pointsman.envelope import Record
from pointsman.kafka import KafkaAdmin, load_catalog, publish
from pointsman.kafka.inbox import KafkaInbox
from pointsman.local.broker import Broker
from pointsman.local.jars import ensure_jars
from pointsman.local.java import find_java
from pointsman.local.layout import Layout
from pointsman.runtime.port import Position
from pointsman.settings import settings
from pointsman.topics import ALL, DECISIONS, ERRORS, MESSAGES, inbox, inbox_topic
from tests.e2e.system import ROOT
from tests.witness import eventually

AGENT, OTHER, PASSWORD = "lead_scoring", "send_email", "a-password"
LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"
SECURE = """
listeners=PLAINTEXT://127.0.0.1:{open},SASL_PLAINTEXT://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{open},SASL_PLAINTEXT://127.0.0.1:{secure}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config={login} required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


@dataclass(frozen=True, kw_only=True)
class Brokers:
    """One broker, two doors: `open_` knows no login and may do everything, `secure` asks who comes."""

    open_: str
    secure: str


class Nobody:
    """Takes no notice of partitions."""

    def assigned(self, *_: object) -> None: ...

    def revoked(self, *_: object) -> None: ...

    def lost(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    layout = Layout(data_dir=tmp_path_factory.mktemp("secure broker"), shared_jars=ROOT / ".pointsman" / "jars")
    layout.make_folders()
    ensure_jars(layout)
    java = find_java(None)
    assert java is not None
    ports = _free_ports("open", "secure", "controller")
    broker = Broker(layout, java.executable, {"kafka": ports["open"], "kafka-controller": ports["controller"]})
    broker.prepare()
    properties = layout.kafka / "broker.properties"
    properties.write_text(properties.read_text() + SECURE.format(login=LOGIN, **ports))
    (program,) = broker.programs
    with (layout.logs / "kafka.log").open("wb") as log:
        process = subprocess.Popen(program.command, cwd=layout.data_dir, stdout=log, stderr=log)
        try:
            eventually(broker.is_ready, within_s=60, what="the broker")
            made = Brokers(open_=f"127.0.0.1:{ports['open']}", secure=f"127.0.0.1:{ports['secure']}")
            _give_rights(made)
            publish(made.open_, [message(inbox(AGENT))], "test")
            yield made
        finally:
            process.terminate()
            process.wait(30)


def _free_ports(*names: str) -> dict[str, int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
    for one in sockets:
        one.close()
    return ports


def _give_rights(brokers: Brokers) -> None:
    KafkaAdmin(brokers.open_).ensure_topics([*ALL, inbox_topic(AGENT), inbox_topic(OTHER)])
    admin = AdminClient({"bootstrap.servers": brokers.open_})
    user = UserScramCredentialUpsertion(
        agent_user(AGENT), ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), PASSWORD.encode()
    )
    futures = [
        *admin.alter_user_scram_credentials([user]).values(),
        *admin.create_acls([binding for acl in agent_acls(AGENT) for binding in _bindings(acl)]).values(),
    ]
    for future in futures:
        future.result(30)


def _bindings(acl: Acl) -> list[AclBinding]:
    kinds = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "transactionalId": ResourceType.TRANSACTIONAL_ID}
    patterns = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}
    return [
        AclBinding(
            kinds[acl.type], acl.name, patterns[acl.pattern], f"User:{agent_user(AGENT)}", "*",
            AclOperation[operation.upper()], AclPermissionType.ALLOW,
        )
        for operation in acl.operations
    ]  # fmt: skip


@pytest.fixture
def as_agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process's clients log in as the agent."""
    for name, value in {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_USERNAME": agent_user(AGENT),
                        "SASL_PASSWORD": PASSWORD}.items():  # fmt: skip
        monkeypatch.setenv(f"POINTSMAN_KAFKA_{name}", value)
    settings.cache_clear()
    yield
    settings.cache_clear()


def stolen(brokers: Brokers, **more: Any) -> dict[str, Any]:
    """A client of whoever has the agent's credential."""
    return {
        "bootstrap.servers": brokers.secure, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": agent_user(AGENT), "sasl.password": PASSWORD, "log_level": 0, **more,
    }  # fmt: skip


def message(topic: str) -> Record:
    return Record(topic=topic, key=b"w", value=b"{}", headers={"ce_id": b"1"})


def test_an_agent_reads_the_catalog_and_its_inbox_and_answers(brokers: Brokers, as_agent: None) -> None:
    assert load_catalog(brokers.secure).sequence == 0
    _answer(KafkaInbox(brokers.secure, AGENT, "1"))


def _answer(opened: KafkaInbox) -> None:
    opened.open(Nobody())
    try:
        got = eventually(lambda: _record(opened), within_s=60, every_s=0, what="the message")
        assert got is not None
        position = Position(partition=got.partition, offset=got.offset + 1)
        opened.commit([message(MESSAGES), message(ERRORS)], [position])
    finally:
        opened.close()


def _record(opened: KafkaInbox) -> Record | None:
    got = opened.poll(0.5)
    return got if isinstance(got, Record) else None


@pytest.mark.parametrize("topic", [inbox(OTHER), DECISIONS])
def test_a_stolen_credential_does_not_even_see_another_inbox_or_the_decisions(brokers: Brokers, topic: str) -> None:
    publish(brokers.open_, [message(topic)], "test")
    consumer = Consumer(stolen(brokers, **{"group.id": f"agents.{AGENT}"}))
    try:
        error = consumer.list_topics(topic, timeout=20).topics[topic].error
        assert error is not None
        assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        consumer.assign([TopicPartition(topic, number, 0) for number in range(4)])
        assert [got for got in consumer.consume(10, timeout=3) if got.error() is None] == []
    finally:
        consumer.close()


def test_a_stolen_credential_does_not_read_what_others_say(brokers: Brokers) -> None:
    consumer = Consumer(stolen(brokers, **{"group.id": f"agents.{AGENT}"}))
    consumer.assign([TopicPartition(MESSAGES, 0, 0)])
    try:
        assert refusal(lambda: consumer.poll(0.5)) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    finally:
        consumer.close()


@pytest.mark.parametrize("topic", [DECISIONS, inbox(OTHER), inbox(AGENT), "agent_definitions", "controls"])
def test_a_stolen_credential_writes_no_decision_no_inbox_and_no_definition(brokers: Brokers, topic: str) -> None:
    failures: list[int] = []
    producer = Producer(stolen(brokers))
    producer.produce(topic, b"{}", on_delivery=lambda error, _: failures.append(error.code() if error else 0))
    producer.flush(20)
    assert failures == [KafkaError.TOPIC_AUTHORIZATION_FAILED]


def test_a_stolen_credential_joins_no_other_group_and_fences_no_other_agent(brokers: Brokers) -> None:
    consumer = Consumer(stolen(brokers, **{"group.id": f"agents.{OTHER}"}))
    consumer.subscribe([inbox(AGENT)])
    try:
        assert refusal(lambda: consumer.poll(0.5)) == KafkaError.GROUP_AUTHORIZATION_FAILED
    finally:
        consumer.close()
    with pytest.raises(KafkaException) as caught:
        Producer(stolen(brokers, **{"transactional.id": f"pointsman.{OTHER}.1"})).init_transactions(20)
    assert caught.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_without_the_password_there_is_no_way_in(brokers: Brokers) -> None:
    with pytest.raises(KafkaException):
        AdminClient(stolen(brokers, **{"sasl.password": "guessed"})).list_topics(timeout=3)


def refusal(poll: Any) -> int:
    """The code of the first error that polling ends in."""

    def look() -> int:
        try:
            got = poll()
        except KafkaException as raised:
            return int(raised.args[0].code())
        found = got.error() if got is not None else None
        return 0 if found is None else int(found.code())

    return eventually(look, within_s=30, every_s=0, what="a refusal")
