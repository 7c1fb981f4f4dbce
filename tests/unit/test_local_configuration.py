"""What the stack's parts are told, held against what the rest of Pointsman says."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pointsman.cli.stack import log_files
from pointsman.errors import ConfigurationError
from pointsman.job_health import innermost_cause
from pointsman.local.addresses import Addresses, metrics_folder
from pointsman.local.broker import Broker
from pointsman.local.choices import options_from_settings
from pointsman.local.connect import Connect, connector_config
from pointsman.local.database import mongodb_uri
from pointsman.local.flink import Flink, java_options
from pointsman.local.layout import Layout
from pointsman.local.options import StackOptions
from pointsman.local.ports import DEFAULT_PORTS
from pointsman.local.programs import ENCRYPTION_SECRETS, MAIL_SECRETS, MODEL_SECRETS, REGISTRY_SECRETS, Program
from pointsman.local.routerjob import forget_checkpoints, newest_snapshot
from pointsman.local.services import agents
from pointsman.local.working_state import remove_folder
from pointsman.settings import Settings
from pointsman.telemetry.endpoint import ports_in
from pointsman.topics import LEADS, MAX_RECORD_BYTES

JAVA = Path("/jdk/bin/java")


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(data_dir=tmp_path / "my #data: 50%")
    layout.make_folders()
    yield layout
    remove_folder(layout.working_state)


@pytest.fixture
def addresses(layout: Layout) -> Addresses:
    return Addresses(data_dir=layout.data_dir, ports=DEFAULT_PORTS)


def properties(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_connector_writes_the_topic_that_the_router_reads() -> None:
    config = connector_config(mongodb_uri(1))
    assert f"{config['topic.prefix']}.{config['database']}.{config['collection']}" == LEADS
    assert config["connection.uri"] == "mongodb://127.0.0.1:1/?replicaSet=rs0"
    assert config["startup.mode"] == "copy_existing"
    assert config["mongo.errors.tolerance"] == "none"
    assert {"$match": {"operationType": "insert"}} in json.loads(config["pipeline"])


def test_the_broker_and_connect_take_the_largest_record(layout: Layout) -> None:
    Connect(layout, JAVA, DEFAULT_PORTS).prepare()
    (layout.kafka / "data").mkdir()
    (layout.kafka / "data" / "meta.properties").touch()  # formatted before
    Broker(layout, JAVA, DEFAULT_PORTS).prepare()
    broker, worker = (
        properties(layout.kafka / "broker.properties"),
        properties(layout.data_dir / "connect/worker.properties"),
    )
    assert int(broker["message.max.bytes"]) > MAX_RECORD_BYTES
    assert int(worker["producer.max.request.size"]) > MAX_RECORD_BYTES
    assert worker["bootstrap.servers"] == broker["advertised.listeners"].removeprefix("PLAINTEXT://")
    assert worker["exactly.once.source.support"] == "enabled"


def test_flinks_configuration_is_yaml_whatever_the_path(layout: Layout) -> None:
    options = StackOptions(python_mode="process", checkpoint_interval_ms=300, parallelism=2)
    Flink(layout, JAVA, DEFAULT_PORTS, options).prepare()
    config = YAML(typ="safe").load(layout.flink / "conf" / "config.yaml")
    assert config["execution.checkpointing.dir"] == f"file://{layout.checkpoints}"
    assert config["execution.checkpointing.interval"] == "300 ms"
    assert Path(config["process.taskmanager.working-dir"]) == layout.working_state.resolve()
    assert config["python.execution-mode"] == "process"
    assert config["taskmanager.numberOfTaskSlots"] == 1


def test_heaps_on_the_command_line_are_those_of_the_configuration(layout: Layout) -> None:
    flink = Flink(layout, JAVA, DEFAULT_PORTS, StackOptions())
    flink.prepare()
    config = YAML(typ="safe").load(layout.flink / "conf" / "config.yaml")

    def mib(*names: str) -> int:
        return sum(int(config[name].removesuffix("m")) for name in names)

    jobmanager, taskmanager = flink.programs
    task = "taskmanager.memory."
    assert f"-Xmx{mib('jobmanager.memory.heap.size')}m" in jobmanager.command
    assert f"-Xmx{mib(task + 'framework.heap.size', task + 'task.heap.size')}m" in taskmanager.command
    direct = mib(task + "framework.off-heap.size", task + "task.off-heap.size", task + "network.max")
    assert f"-XX:MaxDirectMemorySize={direct}m" in taskmanager.command
    assert any(option.startswith("--add-opens=") for option in java_options())
    assert set(java_options()) <= set(taskmanager.command)


def test_there_are_as_many_taskmanagers_as_parallel_decisions(layout: Layout) -> None:
    programs = Flink(layout, JAVA, DEFAULT_PORTS, StackOptions(parallelism=3)).programs
    assert [program.name for program in programs] == ["jobmanager", "taskmanager-1", "taskmanager-2", "taskmanager-3"]


def test_the_archive_has_a_taskmanager_of_its_own_and_other_commands_find_it(
    layout: Layout, addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = Flink(layout, JAVA, DEFAULT_PORTS, StackOptions(archive=True)).programs
    assert [program.name for program in programs] == ["jobmanager", "taskmanager-1", "taskmanager-2"]
    monkeypatch.setenv("POINTSMAN_DATA_DIR", str(layout.data_dir))
    for archive in (None, layout.archive):
        addresses.write(layout.stack_file, offline_model=True, mail_sink=True, archive=archive)
        assert Settings().archive_dir == archive


def test_only_what_calls_a_real_model_sees_its_key(layout: Layout, addresses: Addresses) -> None:
    own, offline = StackOptions(own_model=True), StackOptions()
    _, seeing = Flink(layout, JAVA, DEFAULT_PORTS, own).programs
    _, blind = Flink(layout, JAVA, DEFAULT_PORTS, offline).programs
    assert seeing.may_see == MODEL_SECRETS | REGISTRY_SECRETS | ENCRYPTION_SECRETS
    assert blind.may_see == REGISTRY_SECRETS | ENCRYPTION_SECRETS
    assert agent(addresses, own).may_see == MODEL_SECRETS | REGISTRY_SECRETS | ENCRYPTION_SECRETS
    assert agent(addresses, offline).environment["OPENAI_BASE_URL"] == addresses.model_url


def test_agents_mail_to_everybody_only_through_the_local_mailbox(addresses: Addresses) -> None:
    local, real = agent(addresses, StackOptions()), agent(addresses, StackOptions(own_mail=True))
    assert local.environment["POINTSMAN_SMTP_PORT"] == str(DEFAULT_PORTS["smtp"])
    assert local.environment["POINTSMAN_MAIL_ALLOW"] == '["*"]'
    assert local.may_see == REGISTRY_SECRETS | ENCRYPTION_SECRETS
    assert not {name for name in real.environment if "SMTP" in name or "MAIL" in name}
    assert real.may_see == MAIL_SECRETS | REGISTRY_SECRETS | ENCRYPTION_SECRETS


def test_other_commands_find_the_addresses_and_no_leave_to_write_to_everybody(
    layout: Layout, addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses.write(layout.stack_file, offline_model=True, mail_sink=True)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "POINTSMAN_FLINK_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POINTSMAN_DATA_DIR", str(layout.data_dir))
    found = Settings()
    assert found.kafka_bootstrap == "127.0.0.1:19092"
    assert found.mongodb_uri.get_secret_value() == "mongodb://127.0.0.1:27117/?replicaSet=rs0"
    assert found.flink_url == "http://127.0.0.1:18081"
    assert found.openai_base_url == "http://127.0.0.1:18090/v1"
    assert (found.smtp_host, found.smtp_port, found.mail_allow) == ("127.0.0.1", 11025, [])


def test_a_running_stack_keeps_its_choices_and_another_choice_is_named(tmp_path: Path) -> None:
    running = StackOptions(parallelism=2, model_latency_ms=9, ports={"kafka": 9}, free_ports=True)
    running.save(tmp_path / "options.json")
    again = StackOptions().as_running(tmp_path / "options.json")
    assert again.differences(running) == []
    assert replace(again, parallelism=3, own_model=True, model_latency_ms=5).differences(running) == [
        "the offline model, not the model of the environment",
        "model latency ms 9, not model latency ms 5",
    ]
    assert StackOptions().as_running(tmp_path / "absent.json") == StackOptions()


def test_the_environment_chooses_model_mail_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_DATA_DIR", str(tmp_path))
    (tmp_path / "stack.json").write_text('{"openai_base_url": "http://left-by-an-earlier-run", "smtp_host": "sink"}')
    offline = options_from_settings()
    assert (offline.data_dir, offline.own_model, offline.own_mail) == (tmp_path, False, False)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("POINTSMAN_SMTP_HOST", "mail.example")
    own = options_from_settings()
    assert (own.own_model, own.own_mail) == (True, True)


def test_the_job_goes_on_from_its_newest_complete_state(tmp_path: Path) -> None:
    layout = Layout(data_dir=tmp_path)
    layout.make_folders()
    assert newest_snapshot(layout) is None
    old = layout.savepoints / "savepoint-1"
    for age, folder in ((40, old), (30, layout.checkpoints / "old/chk-9"), (10, layout.checkpoints / "new/chk-4")):
        _complete(folder, age)
    (layout.checkpoints / "new" / "chk-5").mkdir()  # not complete
    assert newest_snapshot(layout) == layout.checkpoints / "new" / "chk-4"
    _complete(layout.savepoints / "savepoint-2", 5)
    assert newest_snapshot(layout) == layout.savepoints / "savepoint-2"
    forget_checkpoints(layout.checkpoints, keep={"new", "next"})
    assert [folder.name for folder in layout.checkpoints.iterdir()] == ["new"]


def _complete(folder: Path, age: int) -> None:
    folder.mkdir(parents=True)
    marker = folder / "_metadata"
    marker.touch()
    os.utime(marker, (1_000_000 - age, 1_000_000 - age))


@pytest.mark.parametrize(
    ("trace", "cause"),
    [
        ("java.io.IOException: a\n\tat x\nCaused by: b\n\tat y\nCaused by: java.lang.C: d\n\tat z", "java.lang.C: d"),
        ("java.io.IOException: a\n\tat x", "java.io.IOException: a"),
        ("", "no reason given"),
    ],
)
def test_the_innermost_cause_of_a_failure_is_what_is_told(trace: str, cause: str) -> None:
    assert innermost_cause(trace) == cause


def test_a_log_is_found_by_name_by_agent_and_by_kind(tmp_path: Path) -> None:
    for name in ("kafka", "taskmanager-1", "taskmanager-2", "agent-lead_scoring"):
        (tmp_path / f"{name}.log").touch()
    assert [file.stem for file in log_files(tmp_path, "kafka")] == ["kafka"]
    assert [file.stem for file in log_files(tmp_path, "taskmanager")] == ["taskmanager-1", "taskmanager-2"]
    assert [file.stem for file in log_files(tmp_path, "lead_scoring")] == ["agent-lead_scoring"]
    with pytest.raises(ConfigurationError, match="no log is called kafak: did you mean kafka"):
        log_files(tmp_path, "kafak")


def agent(addresses: Addresses, options: StackOptions) -> Program:
    (program,) = agents(["send_email"], addresses, options).programs
    return program


def test_each_process_of_flink_shows_its_metrics_at_a_port_of_its_own(layout: Layout) -> None:
    flink = Flink(layout, JAVA, DEFAULT_PORTS, StackOptions(parallelism=2))
    flink.prepare()
    ports = {program.name: ports_in(metrics_folder(layout.data_dir), program.name)[0] for program in flink.programs}
    assert len(set(ports.values())) == 3
    for program in flink.programs:
        assert f"metrics.reporter.prometheus.port={ports[program.name]}" in program.command


def test_only_what_traces_sees_the_key_of_the_receiver(layout: Layout, addresses: Addresses) -> None:
    jobmanager, taskmanager = Flink(layout, JAVA, DEFAULT_PORTS, StackOptions()).programs
    hidden = "-u OTEL_EXPORTER_OTLP_HEADERS"
    assert hidden in jobmanager.command_line
    assert hidden not in taskmanager.command_line
    assert hidden not in agent(addresses, StackOptions()).command_line
