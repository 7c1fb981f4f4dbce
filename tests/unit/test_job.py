"""What goes to the cluster, and how the client is called."""

import stat
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from pointsman import job
from pointsman.errors import ConfigurationError
from pointsman.flink_client import JobSubmissionError, SubmitOptions
from pointsman.flink_rest import FlinkJob, FlinkRest
from pointsman.job import check_local_model, pack, submit
from pointsman.job_options import JobOptions

ID = "0123456789abcdef0123456789abcdef"
OWN_JAR = "pointsman-flink-2.3.0.jar"
JARS = ("flink-dist-2.3.0.jar", "flink-python-2.3.0.jar", "flink-sql-connector-kafka-5.0.0-2.2.jar", OWN_JAR)


@pytest.fixture
def _no_live_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FlinkRest, "jobs", lambda self: [])


def options(folder: Path, client: str) -> SubmitOptions:
    """A submission by a client that is a shell script, in a folder whose name has a space."""
    lib, java = folder / "flink lib", folder / "java"
    lib.mkdir()
    for name in JARS:
        (lib / name).touch()
    java.write_text(f"#!/bin/sh\n{client}\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    told = JobOptions(kafka_bootstrap="k:9092", name="my router", always_ask_model=True)
    return SubmitOptions(
        job=told, flink_url="http://flink:8081", flink_lib_dir=lib, java=str(java), restore_from="/s p"
    )


def test_arguments_come_back_as_they_were() -> None:
    told = JobOptions(kafka_bootstrap="a:1,b:2", name="x y", parallelism=3, model_timeout_s=2.5, always_ask_model=True)

    assert JobOptions.parse(told.arguments()) == told
    assert JobOptions.parse(["--kafka-bootstrap=k"]) == JobOptions(kafka_bootstrap="k")


def test_a_running_job_says_what_it_was_told() -> None:
    told = JobOptions(kafka_bootstrap="a:1,b:2", name="x y", parallelism=3, model_timeout_s=2.5, always_ask_model=True)

    assert JobOptions.from_parameters(told.parameters()) == told
    assert JobOptions.from_parameters({**told.parameters(), "of_a_later_version": "1"}) == told


@pytest.mark.parametrize(
    "wrong", [["--python-mode=fast"], ["--state-backend=forst"], ["--nonsense=1"], ["--parallel=1"], []]
)
def test_unknown_arguments_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        JobOptions.parse([*wrong, "--kafka-bootstrap=k"] if wrong else [])
    assert "usage" in capsys.readouterr().err


def test_the_archive_holds_the_language_the_job_and_the_sql_and_nothing_else(tmp_path: Path) -> None:
    names = zipfile.ZipFile(pack(tmp_path / "job.zip")).namelist()

    assert {Path(name).parts[0] for name in names} == {"pointsman", "flink_jobs", "sql"}
    assert {"pointsman/envelope.py", "flink_jobs/route_messages.py", "sql/outbox.sql"} <= set(names)
    assert {Path(name).suffix for name in names} == {".py", ".sql"}


@pytest.mark.usefixtures("_no_live_job")
def test_the_client_is_called_with_everything_it_needs(tmp_path: Path) -> None:
    log = tmp_path / "called with"
    client = f'printf "%s\\n" "$@" > "{log}"; cat "$FLINK_CONF_DIR/config.yaml" >> "{log}"; '

    assert submit(options(tmp_path, client + f"echo Job has been submitted with JobID {ID}")) == ID

    said = log.read_text().splitlines()
    assert said[said.index("--pyModule") + 1] == "flink_jobs.route_messages"
    assert said[said.index("--fromSavepoint") + 1] == "/s p"
    assert said[said.index("--pyClientExecutable") + 1] == sys.executable
    assert said[said.index("-cp") + 1] == str(tmp_path / "flink lib" / "*")
    assert {"--name=my router", "--always-ask-model", 'rest.address: "flink"', "rest.port: 8081"} <= set(said)


@pytest.mark.usefixtures("_no_live_job")
def test_our_own_classes_travel_with_the_job_in_place_of_what_every_cluster_has_of_python(tmp_path: Path) -> None:
    sent = tmp_path / "sent.jar"
    # The client takes the one jar of that name.
    client = f'cp "$FLINK_OPT_DIR"/flink-python*.jar "{sent}"; '
    asked = options(tmp_path, client + f"echo Job has been submitted with JobID {ID}")
    (asked.flink_lib_dir / OWN_JAR).write_bytes(b"our own")
    submit(asked)

    assert sent.read_bytes() == b"our own"


@pytest.mark.usefixtures("_no_live_job")
def test_what_the_client_leaves_in_its_temporary_folder_is_deleted(tmp_path: Path) -> None:
    # Flink's client makes a folder there for each job that it sends, and deletes none.
    log = tmp_path / "temporary folder"
    told = 'for one; do case $one in -Djava.io.tmpdir=*) at=${one#*=};; esac; done; mkdir "$at/left"'
    client = f'{told}; echo "$at" > "{log}"; '
    submit(options(tmp_path, client + f"echo Job has been submitted with JobID {ID}"))

    folder = Path(log.read_text().strip())
    assert folder.is_absolute()
    assert not folder.exists()


@pytest.mark.usefixtures("_no_live_job")
@pytest.mark.parametrize("new_guard", [False, True])
def test_state_that_finds_no_operator_is_left_out_only_when_asked_for(tmp_path: Path, new_guard: bool) -> None:
    log = tmp_path / "said"
    asked = options(tmp_path, f"printf '%s\\n' \"$@\" > '{log}'; echo 'Job has been submitted with JobID {ID}'")
    submit(replace(asked, new_guard=new_guard))

    assert ("--allowNonRestoredState" in log.read_text().splitlines()) is new_guard


@pytest.mark.usefixtures("_no_live_job")
def test_a_client_that_fails_is_quoted_by_its_causes(tmp_path: Path) -> None:
    client = 'echo "Caused by: the reason" >&2; echo "	at a.b.C" >&2; exit 31'

    with pytest.raises(JobSubmissionError, match=r"exit code 31\):\nCaused by: the reason$"):
        submit(options(tmp_path, client))


@pytest.mark.usefixtures("_no_live_job")
@pytest.mark.parametrize("name", ["flink-sql-connector-kafka", "pointsman-flink"])
def test_a_missing_jar_is_named_before_anything_starts(tmp_path: Path, name: str) -> None:
    told = options(tmp_path, "exit 1")
    next(told.flink_lib_dir.glob(f"{name}-*")).unlink()

    with pytest.raises(ConfigurationError, match=name):
        submit(told)


def test_a_live_job_of_the_name_is_not_submitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = FlinkJob(id=ID, name="my router", state="RESTARTING", started_ms=1)
    monkeypatch.setattr(FlinkRest, "jobs", lambda self: [live])

    assert submit(options(tmp_path, "exit 1")) == ID


def test_an_upgrade_to_another_python_mode_is_refused_before_the_job_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = FlinkJob(id=ID, name="my router", state="RUNNING", started_ms=1)
    monkeypatch.setattr(FlinkRest, "jobs", lambda self: [live])
    runs = JobOptions(kafka_bootstrap="k:9092", name="my router", python_mode="process")
    monkeypatch.setattr(FlinkRest, "parameters", lambda self, job_id: runs.parameters())

    with pytest.raises(ConfigurationError, match="Python mode process"):
        job.upgrade(options(tmp_path, "exit 1"))


def test_a_local_model_is_looked_at_before_anything_is_stopped_or_started(tmp_path: Path) -> None:
    check_local_model(JobOptions(kafka_bootstrap="b"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        check_local_model(JobOptions(kafka_bootstrap="b", local_model=str(tmp_path / "missing")))
    with pytest.raises(ConfigurationError, match="needs a local model"):
        check_local_model(JobOptions(kafka_bootstrap="b", local_first=True))
