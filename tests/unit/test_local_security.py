"""The secure local stack, without starting it: certificates, logins, what each part is told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate
from pymongo.uri_parser import parse_uri

from pointsman.deployment import ARCHIVER, CONNECT, OPERATOR, ROUTER, agent_user, kafka_users
from pointsman.errors import ConfigurationError
from pointsman.local.addresses import Addresses
from pointsman.local.broker import Broker
from pointsman.local.connect import Connect
from pointsman.local.layout import Layout
from pointsman.local.options import StackOptions
from pointsman.local.parts import fixed_parts, programs_of
from pointsman.local.ports import DEFAULT_PORTS
from pointsman.local.security import ADMIN, Logins
from pointsman.local.security.certificates import LASTS, RENEWED_BEFORE, ensure_certificates
from pointsman.local.security.database_users import role_of
from pointsman.local.services import agents
from pointsman.settings import Settings, settings

JAVA = Path("/jdk/bin/java")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
AGENT = agent_user("send_email")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(data_dir=tmp_path / "my #data 50%")
    layout.make_folders()
    return layout


@pytest.fixture
def addresses(layout: Layout) -> Addresses:
    logins = Logins(layout.data_dir)
    logins.prepare()
    found = Addresses(data_dir=layout.data_dir, ports=DEFAULT_PORTS, logins=logins)
    logins.ensure([*kafka_users(), AGENT], found.mongodb_uri)
    return found


def secrets_of(addresses: Addresses) -> list[str]:
    folder = addresses.data_dir / "secrets"
    return [file.read_text() for file in (*folder.rglob("*password"), folder / "mongod.key")]


def test_certificates_are_made_once_and_anew_before_they_end(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NOW)
    first = (tmp_path / "ca.pem").read_bytes()
    ensure_certificates(tmp_path, NOW + LASTS - RENEWED_BEFORE - timedelta(days=1))
    assert (tmp_path / "ca.pem").read_bytes() == first
    ensure_certificates(tmp_path, NOW + LASTS - RENEWED_BEFORE)
    assert (tmp_path / "ca.pem").read_bytes() != first


def test_every_certificate_is_signed_by_the_authority_whose_key_is_kept_nowhere(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NOW)
    authority = load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    holders = list(tmp_path.glob("pointsman-*.pem"))
    for file in holders:
        load_pem_x509_certificate(file.read_bytes()).verify_directly_issued_by(authority)
    keys = [file for file in tmp_path.iterdir() if b"PRIVATE KEY" in file.read_bytes()]
    assert sorted(keys) == sorted(holders)
    assert len(holders) == 3


def test_nobody_else_on_the_machine_reads_a_secret(addresses: Addresses) -> None:
    folder = addresses.data_dir / "secrets"
    modes = {path: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_passwords_stay_and_are_nobody_elses(addresses: Addresses) -> None:
    assert addresses.logins
    first = secrets_of(addresses)
    addresses.logins.ensure(kafka_users(), addresses.mongodb_uri)
    assert secrets_of(addresses) == first
    assert len(set(first)) == len(first) > 2 * len(kafka_users())


def test_a_login_is_a_folder_of_settings(addresses: Addresses, monkeypatch: pytest.MonkeyPatch) -> None:
    assert addresses.logins
    monkeypatch.delenv("MONGODB_URI", raising=False)
    for name, text in addresses.environment(AGENT).items():
        monkeypatch.setenv(name, text)
    settings.cache_clear()
    told = settings()
    settings.cache_clear()
    assert (told.kafka_security_protocol, told.kafka_sasl_username) == ("SASL_SSL", AGENT)
    assert told.kafka_sasl_password is not None
    assert told.kafka_sasl_password.get_secret_value() == addresses.logins.password(AGENT)
    database = parse_uri(told.mongodb_uri.get_secret_value(), validate=False)
    assert (database["username"], database["nodelist"]) == (AGENT, [("127.0.0.1", DEFAULT_PORTS["mongod"])])
    assert database["options"]["tlsCAFile"] == str(addresses.logins.ca)


def test_other_commands_find_the_operators_login_where_nobody_else_reads_it(
    layout: Layout, addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses.write(layout.stack_file, offline_model=True, mail_sink=True)
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.setenv("POINTSMAN_DATA_DIR", str(layout.data_dir))
    told = Settings()
    assert told.kafka_sasl_username == OPERATOR
    assert parse_uri(told.mongodb_uri.get_secret_value(), validate=False)["username"] == OPERATOR
    assert layout.stack_file.stat().st_mode & 0o777 == 0o600


def test_no_program_has_a_secret_in_its_arguments_or_its_environment(layout: Layout, addresses: Addresses) -> None:
    parts = fixed_parts(layout, JAVA, addresses, StackOptions(secure=True))
    programs = [*programs_of(parts), *agents(["send_email"], addresses, StackOptions(secure=True)).programs]
    assert len(programs) > 8
    told = "\n".join(program.command_line for program in programs)
    assert [secret for secret in secrets_of(addresses) if secret in told] == []
    assert "POINTSMAN_LOGIN_DIR" in told


def test_a_program_does_not_take_the_users_own_login_for_its_own(addresses: Addresses) -> None:
    (program,) = agents(["send_email"], addresses, StackOptions(secure=True)).programs
    for name in ("MONGODB_URI", "POINTSMAN_KAFKA_SASL_USERNAME", "POINTSMAN_KAFKA_SASL_PASSWORD"):
        assert f"-u {name} " in program.command_line


def test_the_broker_has_no_door_without_a_login_and_forbids_what_is_not_allowed(
    layout: Layout, addresses: Addresses
) -> None:
    (layout.kafka / "data").mkdir()
    (layout.kafka / "data" / "meta.properties").touch()  # formatted before
    Broker(layout, JAVA, DEFAULT_PORTS, addresses.logins).prepare()
    found = _properties((layout.kafka / "broker.properties").read_text().splitlines())
    doors = dict(pair.split(":") for pair in found["listener.security.protocol.map"].split(","))
    assert set(doors.values()) == {"SASL_SSL", "SSL"}
    assert {door.partition("://")[0] for door in found["listeners"].split(",")} == set(doors)
    for door in (name for name, protocol in doors.items() if protocol == "SSL"):
        assert found[f"listener.name.{door.lower()}.ssl.client.auth"] == "required"
    assert found["authorizer.class.name"].endswith("StandardAuthorizer")
    assert found["super.users"] == f"User:CN=pointsman-broker;User:CN={ADMIN}"
    assert "allow.everyone.if.no.acl.found" not in found


def _properties(lines: Iterable[str]) -> dict[str, str]:
    """Every property; one that stands there twice is none of ours."""
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    assert len({name for name, _ in pairs}) == len(pairs)
    return {name: text for name, text in pairs}  # pairs are lists


def test_connects_files_name_the_secret_and_do_not_hold_it(layout: Layout, addresses: Addresses) -> None:
    assert addresses.logins
    Connect(layout, JAVA, DEFAULT_PORTS, addresses.logins).prepare()
    found = _properties((layout.data_dir / "connect" / "worker.properties").read_text().splitlines())
    own = str(addresses.logins.folder_of(CONNECT))
    assert found["config.providers.dir.param.allowed.paths"] == own
    assert {found[f"{part}security.protocol"] for part in ("", "producer.", "consumer.", "admin.")} == {"SASL_SSL"}


def test_javas_logins_name_the_class_that_each_jvm_has(addresses: Addresses) -> None:
    assert addresses.logins
    router, connect = (
        (addresses.logins.folder_of(name) / "jaas.conf").read_text().split()[2] for name in (ROUTER, CONNECT)
    )
    assert connect == "org.apache.kafka.common.security.scram.ScramLoginModule"
    assert router == f"org.apache.flink.kafka.shaded.{connect}"


@pytest.mark.parametrize("name", ["a:b", "a,b", "a}b"])
def test_a_folder_that_connect_cannot_name_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="POINTSMAN_DATA_DIR"):
        Logins(tmp_path / name).prepare()


def test_everybody_but_the_archive_job_has_a_role_in_the_database() -> None:
    assert {name for name in kafka_users() if role_of(name) is None} == {ARCHIVER}
    assert all(role_of(name) == name for name in kafka_users() if name != ARCHIVER)
    assert role_of(AGENT) == "pointsman-agent"


def test_the_running_stack_is_asked_whether_it_is_secure(tmp_path: Path) -> None:
    StackOptions(secure=True).save(tmp_path / "options.json")
    assert json.loads((tmp_path / "options.json").read_text())["secure"] is True
    running = StackOptions().as_running(tmp_path / "options.json")
    assert StackOptions().differences(running) == ["logins and TLS, not neither logins nor TLS"]
