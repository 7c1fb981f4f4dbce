"""`pointsman up --secure --archive`: two jobs in the same JVMs, each with a login of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from pointsman.archive.options import ARCHIVE_JOB
from pointsman.deployment import ARCHIVER
from pointsman.local import LocalStack, StackOptions
from pointsman.local.security import Logins
from pointsman.topics import MESSAGES
from tests.e2e.system import ROOT, System, address
from tests.e2e.test_archive import archived, on_kafka, run_a_lead
from tests.e2e.test_secure_stack import REFUSED, Secure, text_of, write_error
from tests.witness import eventually

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A secure stack of its own with the archive job."""
    options = StackOptions(
        data_dir=tmp_path_factory.mktemp("secure archive stack"), jars_dir=ROOT / ".pointsman" / "jars",
        free_ports=True, definitions_dir=ROOT / "agent_definitions", archive=True, secure=True,
    )  # fmt: skip
    stack = LocalStack(options)
    running = System(stack=stack, data_dir=options.data_dir, early_address=address())
    try:
        stack.up()
        yield running
    finally:
        running.close()
        stack.down()
        shutil.rmtree(options.data_dir, ignore_errors=True)


def test_the_archive_has_every_record_also_after_it_was_stopped_and_started(system: System) -> None:
    folder = Path(system.settings["archive_dir"])
    run_a_lead(system)
    eventually(lambda: archived(folder) == on_kafka(system), within_s=60, what="every record once in the files")
    system.cli("archive", "stop")
    login = str(Logins(system.data_dir).folder_of(ARCHIVER))
    system.cli("archive", "start", "--checkpoint-interval-ms", "2000", "--login-dir", login)
    system.send("weather.changed", {"to": "sun"})
    eventually(
        lambda: len(found := on_kafka(system)) > 10 and archived(folder) == found, within_s=90, what="what came later"
    )


def test_the_archives_login_writes_nothing(system: System) -> None:
    client = Secure(system).client(ARCHIVER)
    assert write_error(client, MESSAGES) == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_flink_shows_where_the_login_is_and_not_what_it_says(system: System) -> None:
    jobs = system.flink("/jobs/overview")["jobs"]
    (job,) = (one["jid"] for one in jobs if one["name"] == ARCHIVE_JOB and one["state"] == "RUNNING")
    shown = "".join(text_of(f"{system.settings['flink_url']}/jobs/{job}{rest}") for rest in ("", "/config", "/plan"))
    logs = {file.stem: file.read_text(errors="replace") for file in (system.data_dir / "logs").glob("*.log")}
    assert str(Logins(system.data_dir).folder_of(ARCHIVER)) in shown
    assert Logins(system.data_dir).password(ARCHIVER) not in shown + "".join(logs.values())
    flink = [text for name, text in logs.items() if name.startswith(("jobmanager", "taskmanager"))]
    assert len(flink) >= 3
    assert not any(REFUSED.search(text) for text in flink)
