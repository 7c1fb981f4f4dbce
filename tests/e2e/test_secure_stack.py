"""`pointsman up --secure`: the loop over TLS with a login per process, and what a stolen login is good for."""

from __future__ import annotations

import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError

from pointsman.deployment import (
    CONNECT,
    CONSOLE,
    METRICS,
    OPERATOR,
    ROUTER,
    SWEEPER,
    agent_acls,
    agent_user,
    agent_users,
    kafka_users,
)
from pointsman.envelope import Record
from pointsman.kafka import load_catalog, publish, read_all
from pointsman.kafka.users import KafkaUsers, bindings
from pointsman.local import LocalStack, StackOptions
from pointsman.local.security import Logins
from pointsman.topics import CONTROLS, DECISIONS, DEFINITIONS, LEADS, MESSAGES, WORKFLOW_STATE, inbox
from tests.e2e.system import ROOT, System, address, hot_lead
from tests.witness import eventually

CONFIGURATIONS = (
    "kafka/broker.properties", "connect/worker.properties", "flink/conf/config.yaml", "run/supervisord.conf",
)  # fmt: skip
REFUSED = re.compile(
    r"AUTHORIZATION_FAILED|AUTHENTICATION|AuthorizationException|AuthenticationException|[Nn]ot authorized|"
    r"code (13|18)\b|CERTIFICATE_VERIFY|SSLHandshakeException"
)
AGENT, OTHER, NEW = "lead_scoring", "send_email", "second_opinion"
DEFINITION = """
name: second_opinion
version: 1.0.0
description: Looks at a lead again when somebody doubts what was found out about it
accepts:
  - type: lead.doubted
    contract: {type: object}
emits:
  - type: lead.settled
    terminal: true
    contract: {type: object}
instructions: Say whether the doubt in the user turn is justified.
"""


class Secure:
    """The running secure stack, and the logins in it.

    Attributes:
        system: the stack as its users see it.
        logins: every login of it, as a thief would have one.
    """

    def __init__(self, system: System) -> None:
        self.system = system
        self.logins = Logins(system.data_dir)
        self.bootstrap: str = system.settings["kafka_bootstrap"]

    def client(self, principal: str, **more: Any) -> dict[str, Any]:
        """Settings of a Kafka client of whoever has the principal's login."""
        login = self.logins.kafka(principal).config()
        return {"bootstrap.servers": self.bootstrap, "log_level": 0, **login, **more}

    def database(self, uri: str) -> MongoClient[dict[str, Any]]:
        return MongoClient(uri, serverSelectionTimeoutMS=2_000)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    options = StackOptions(
        data_dir=tmp_path_factory.mktemp("secure stack"), jars_dir=ROOT / ".pointsman" / "jars", free_ports=True,
        definitions_dir=ROOT / "agent_definitions", secure=True,
    )  # fmt: skip
    stack = LocalStack(options)
    system = System(stack=stack, data_dir=options.data_dir, early_address=address())
    try:
        stack.up()
        yield Secure(system)
    finally:
        system.close()
        stack.down()
        assert stack.processes() == []
        shutil.rmtree(options.data_dir, ignore_errors=True)


def test_a_posted_lead_gets_its_mail_over_tls_with_a_login_for_everybody(secure: Secure) -> None:
    where = secure.system.address()
    workflow = _post_lead(secure.system, {**hot_lead(), "email": where, "consent": True})
    eventually(lambda: secure.system.mails_to(where), within_s=90, what="a mail to the lead")
    eventually(lambda: secure.system.outcomes(workflow)[-1:] == ["completed"], what="the workflow's completion")


def _post_lead(system: System, lead: dict[str, Any]) -> str:
    key = json.loads((system.data_dir / "console-keys.json").read_text())["leads_api_keys"]["local"]
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{system.stack.addresses.console_url}/api/leads", data=json.dumps(lead).encode(), method="POST",
        headers={"Content-Type": "application/json", "X-API-Key": key},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
        return str(json.loads(answer.read())["id"])


def test_the_operator_finds_nothing_wrong(secure: Secure) -> None:
    found = json.loads(secure.system.cli("doctor", "--output", "json").stdout)
    assert [one for one in found if one["verdict"] in ("wrong", "down")] == []


@pytest.mark.parametrize(
    ("principal", "topic", "transaction"),
    [
        (CONSOLE, MESSAGES, "pointsman.workflows.test"),
        (OPERATOR, MESSAGES, "pointsman.messages.test"),
        (SWEEPER, LEADS, "pointsman.leads.sweep"),
    ],
)
def test_people_and_the_sweep_write_what_is_theirs(
    secure: Secure, principal: str, topic: str, transaction: str
) -> None:
    before = len(secure.system.witness.read(topic))
    record = Record(topic=topic, key=b"nobody", value=b"{}", headers={})
    publish(secure.bootstrap, [record], transaction, secure.logins.kafka(principal))
    assert len(secure.system.witness.read(topic)) == before + 1


def test_the_sweep_reads_what_it_compares(secure: Secure) -> None:
    login = secure.logins.kafka(SWEEPER)
    for topic in (LEADS, WORKFLOW_STATE):
        assert list(read_all(secure.bootstrap, topic, login=login))
    with secure.database(secure.logins.mongodb_uri(SWEEPER)) as client:
        assert client.sdr.leads.find_one() is not None


def test_the_broker_lets_everybody_do_what_the_rules_say_and_nothing_else(secure: Secure) -> None:
    users = KafkaUsers(*secure.system.stack.addresses.kafka_admin)
    agents = [file.stem for file in (ROOT / "agent_definitions").glob("*.yaml")]
    for name, acls in {**kafka_users(), **agent_users(agents)}.items():
        assert users.rights_of(name) == bindings(name, acls), name


@pytest.mark.parametrize("topic", [inbox(OTHER), DECISIONS])
def test_a_stolen_login_does_not_even_see_another_inbox_or_the_decisions(secure: Secure, topic: str) -> None:
    consumer = Consumer(secure.client(agent_user(AGENT), **{"group.id": f"agents.{AGENT}"}))
    try:
        error = consumer.list_topics(topic, timeout=20).topics[topic].error
        assert error is not None
        assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    finally:
        consumer.close()


def test_a_stolen_login_does_not_read_what_others_say(secure: Secure) -> None:
    consumer = Consumer(secure.client(agent_user(AGENT), **{"group.id": f"agents.{AGENT}"}))
    consumer.assign([TopicPartition(MESSAGES, 0, 0)])
    try:
        assert _refusal(lambda: consumer.poll(0.5)) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    finally:
        consumer.close()


@pytest.mark.parametrize("topic", [DECISIONS, inbox(OTHER), inbox(AGENT), DEFINITIONS, CONTROLS])
def test_a_stolen_login_writes_no_decision_no_inbox_and_no_definition(secure: Secure, topic: str) -> None:
    assert write_error(secure.client(agent_user(AGENT)), topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    ("principal", "topic"), [(CONSOLE, DECISIONS), (SWEEPER, MESSAGES), (METRICS, MESSAGES), (CONNECT, MESSAGES)]
)
def test_no_other_login_writes_in_the_place_of_router_or_agent(secure: Secure, principal: str, topic: str) -> None:
    assert write_error(secure.client(principal), topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_stolen_login_joins_no_other_group_and_fences_no_other_agent(secure: Secure) -> None:
    consumer = Consumer(secure.client(agent_user(AGENT), **{"group.id": f"agents.{OTHER}"}))
    consumer.subscribe([inbox(AGENT)])
    try:
        assert _refusal(lambda: consumer.poll(0.5)) == KafkaError.GROUP_AUTHORIZATION_FAILED
    finally:
        consumer.close()
    with pytest.raises(KafkaException) as caught:
        Producer(secure.client(agent_user(AGENT), **{"transactional.id": f"pointsman.{OTHER}.1"})).init_transactions(20)
    assert caught.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_kafka_lets_nobody_in_without_the_password_or_without_tls(secure: Secure) -> None:
    guessed = secure.client(agent_user(AGENT), **{"sasl.password": "guessed"})
    no_login = {**secure.client(agent_user(AGENT)), "security.protocol": "SSL"}
    plaintext: dict[str, Any] = {"bootstrap.servers": secure.bootstrap, "log_level": 0}
    for settings in (guessed, no_login, plaintext):
        with pytest.raises(KafkaException):
            AdminClient(settings).list_topics(timeout=2)


def test_only_the_administrators_certificate_administers_the_broker(secure: Secure) -> None:
    door, admin = secure.system.stack.addresses.kafka_admin
    without: dict[str, Any] = {
        "bootstrap.servers": door,
        "log_level": 0,
        "security.protocol": "SSL",
        "ssl.ca.location": str(admin.ca),
    }
    with pytest.raises(KafkaException):
        AdminClient(without).list_topics(timeout=2)
    other = str(secure.logins.ca.parent / "pointsman-mongod.pem")
    known = AdminClient({**without, "ssl.certificate.location": other, "ssl.key.location": other})
    (made,) = known.create_topics([NewTopic("mine", num_partitions=1)]).values()
    with pytest.raises(KafkaException) as caught:
        made.result(20)
    assert caught.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_mongodb_lets_nobody_in_without_a_login_or_without_tls(secure: Secure) -> None:
    address_only = secure.system.stack.addresses.mongodb_uri
    with secure.database(address_only) as client, pytest.raises(ServerSelectionTimeoutError):
        client.sdr.leads.find_one()
    with (
        secure.database(f"{address_only}&tls=true&tlsCAFile={secure.logins.ca}") as client,
        pytest.raises(OperationFailure) as refused,
    ):
        client.sdr.leads.find_one()
    assert refused.value.code == 13


@pytest.mark.parametrize(
    ("principal", "act"),
    [
        (SWEEPER, lambda sdr: sdr.leads.insert_one({"_id": "x"})),
        (SWEEPER, lambda sdr: sdr.effects.find_one()),
        (METRICS, lambda sdr: sdr.leads.find_one()),
        (CONNECT, lambda sdr: sdr.effects.find_one()),
        (CONNECT, lambda sdr: sdr.leads.delete_one({"_id": "x"})),
        (CONSOLE, lambda sdr: sdr.command("dropDatabase")),
        (agent_user(AGENT), lambda sdr: sdr.client.admin.system.users.find_one()),
    ],
)
def test_a_stolen_login_does_no_more_in_mongodb_than_its_work(
    secure: Secure, principal: str, act: Callable[[Any], object]
) -> None:
    address = secure.logins.mongodb_uri(principal)
    # Connect's driver is told by its JVM whom to trust.
    trusted = address if "tlsCAFile" in address else f"{address}&tlsCAFile={quote(str(secure.logins.ca), safe='/')}"
    with secure.database(trusted) as client, pytest.raises(OperationFailure) as refused:
        act(client.sdr)
    assert refused.value.code == 13


def test_who_has_nothing_to_do_with_the_database_is_unknown_there(secure: Secure) -> None:
    with secure.database(secure.logins.mongodb_uri(ROUTER)) as client, pytest.raises(PyMongoError):
        client.sdr.leads.find_one()


def test_a_new_agent_gets_a_login_and_its_rights_with_the_apply(secure: Secure) -> None:
    with secure.system.edited_definitions() as folder:
        (folder / f"{NEW}.yaml").write_text(DEFINITION)
        secure.system.cli("agents", "apply", str(folder))
        name = agent_user(NEW)
        users = KafkaUsers(*secure.system.stack.addresses.kafka_admin)
        assert users.rights_of(name) == bindings(name, agent_acls(NEW))
        assert NEW in load_catalog(secure.bootstrap, secure.logins.kafka(name)).definitions
        with secure.database(secure.logins.mongodb_uri(name)) as client:
            assert client.sdr.leads.find_one() is not None
        secure.system.cli("up")
        secure.system.wait_for_definition(NEW)


def test_no_process_lacks_a_right_or_a_certificate(secure: Secure) -> None:
    logs = {file.stem: file.read_text(errors="replace") for file in (secure.system.data_dir / "logs").glob("*.log")}
    # Those that refuse say so, of the thieves above.
    asking = {name: text for name, text in logs.items() if name not in ("kafka", "mongod")}
    assert len(asking) > 10
    assert [(name, line) for name, text in asking.items() for line in text.splitlines() if REFUSED.search(line)] == []
    # 4 says that a broker or database was away for a moment, as it is to a busy machine.
    supervised = (secure.system.data_dir / "logs" / "supervisord.log").read_text()
    ended = [line for line in supervised.splitlines() if " exited: " in line]
    assert [line for line in ended if "exit status 4;" not in line] == []


def test_no_secret_is_shown_by_any_page_any_process_or_any_log(secure: Secure) -> None:
    secrets = _secrets(secure.logins.ca.parent)
    assert len(secrets) > 20
    shown = {**_flink_pages(secure.system), **_connect_pages(secure.system), **_processes(secure.system)}
    shown |= {str(file): file.read_text(errors="replace") for file in (secure.system.data_dir / "logs").iterdir()}
    shown |= {name: (secure.system.data_dir / name).read_text() for name in CONFIGURATIONS}
    assert len(shown) > 40
    assert [(where, name) for where, text in shown.items() for name, secret in secrets.items() if secret in text] == []


def _secrets(folder: Path) -> dict[str, str]:
    """Every password, and a line of every private key, by where it stands."""
    passwords = {str(file): file.read_text() for file in folder.rglob("*password")} | {
        "mongod.key": (folder / "mongod.key").read_text()
    }
    keys = {str(file): file.read_text().splitlines()[1] for file in folder.glob("pointsman-*.pem")}
    return passwords | keys


def _flink_pages(system: System) -> dict[str, str]:
    job = system.job_id()
    about_job = ("", "/config", "/plan", "/exceptions", "/checkpoints/config", "/accumulators")
    vertices = [one["id"] for one in system.flink(f"/jobs/{job}")["vertices"]]
    managers = [one["id"] for one in system.flink("/taskmanagers")["taskmanagers"]]
    paths = [
        *(f"/jobs/{job}{rest}" for rest in about_job),
        *(f"/jobs/{job}/vertices/{vertex}" for vertex in vertices),
        *(f"/taskmanagers/{manager}{rest}" for manager in managers for rest in ("", "/log", "/stdout", "/thread-dump")),
        "/config", "/jobmanager/config", "/jobmanager/environment", "/jobmanager/log", "/jobmanager/stdout",
    ]  # fmt: skip
    return {path: text_of(system.settings["flink_url"] + path) for path in paths}


def _connect_pages(system: System) -> dict[str, str]:
    base = f"{system.settings['connect_url']}/connectors"
    paths = ("?expand=info&expand=status", *(f"/leads-source{rest}" for rest in ("", "/config", "/tasks", "/status")))
    pages = {path: text_of(base + path) for path in paths}
    assert "connection.uri" in pages["/leads-source/config"]
    return pages


def _processes(system: System) -> dict[str, str]:
    """What anybody on the machine sees of each process, and what its own user sees."""
    return {
        f"{process.pid} {process.name()}": "\n".join([*process.cmdline(), *process.environ().values()])
        for process in system.stack.processes()
    }


def text_of(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
            return str(answer.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        return str(error.read().decode(errors="replace"))


def write_error(client: dict[str, Any], topic: str) -> int:
    failures: list[int] = []
    producer = Producer(client)
    producer.produce(topic, b"{}", on_delivery=lambda error, _: failures.append(error.code() if error else 0))
    producer.flush(20)
    (failure,) = failures
    return failure


def _refusal(poll: Callable[[], Any]) -> int:
    """The code of the first error that polling ends in."""

    def look() -> int:
        try:
            got = poll()
        except KafkaException as raised:
            return int(raised.args[0].code())
        found = got.error() if got is not None else None
        return 0 if found is None else int(found.code())

    return eventually(look, within_s=30, every_s=0, what="a refusal")
