"""The cold tier on real parts: every record of Kafka stands in the files once, and decisions are proven from them."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from signal import Signals
from typing import Any

import fastavro
import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from pointsman.local import LocalStack, StackOptions
from pointsman.topics import DECISIONS, ERRORS, ESCALATIONS, MESSAGES
from tests.e2e.system import ROOT, System, address, hot_lead
from tests.witness import eventually

pytestmark = pytest.mark.long

KEPT = (MESSAGES, DECISIONS, ESCALATIONS, ERRORS)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A stack of its own with the archive job."""
    data_dir = tmp_path_factory.mktemp("archive stack")
    options = StackOptions(
        data_dir=data_dir, free_ports=True, definitions_dir=ROOT / "agent_definitions", archive=True,
        jars_dir=ROOT / ".pointsman" / "jars",
    )  # fmt: skip
    stack = LocalStack(options)
    running = System(stack=stack, data_dir=data_dir, early_address=address())
    try:
        stack.up()
        yield running
    finally:
        running.close()
        stack.down()
        shutil.rmtree(data_dir, ignore_errors=True)


def archived(folder: Path) -> Counter[tuple[Any, ...]]:
    """What the files hold, read without our code."""
    found: Counter[tuple[Any, ...]] = Counter()
    for file in folder.glob("topic=*/day=*/part-*"):
        topic = file.parent.parent.name.removeprefix("topic=")
        with file.open("rb") as opened:
            rows: Any = fastavro.reader(opened)
            for row in rows:
                headers = tuple(sorted((name, value or b"") for name, value in row["headers"].items()))
                found[(topic, row["kafka_partition"], row["kafka_offset"], row["k"], row["v"], headers)] += 1
    return found


def on_kafka(system: System) -> Counter[tuple[Any, ...]]:
    return Counter(
        (seen.topic, seen.partition, seen.offset, seen.key, seen.value, tuple(sorted(seen.headers.items())))
        for seen in system.witness.read(*KEPT)
    )


def run_a_lead(system: System) -> None:
    hot, where = system.insert(hot_lead())
    system.witness.write(MESSAGES, b"\x00 no json \xff", headers={"ce_id": b"x"})
    eventually(lambda: system.mails_to(where), within_s=90, what="a mail")
    eventually(lambda: system.outcomes(hot)[-1:] == ["completed"], within_s=30, what="its end")


def run_messages(system: System) -> None:
    sent = [system.send("weather.changed", {"to": "rain", "number": number}) for number in range(20)]
    eventually(lambda: system.outcomes(sent[-1]), within_s=60, what="a decision on the last one")


def replayed(system: System, *arguments: str, expect: int = 0) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(system.cli("replay", "--frozen", "-o", "json", *arguments, expect=expect).stdout)
    return told


def test_after_a_crash_and_a_restart_every_record_is_in_the_files_once(system: System) -> None:
    folder = Path(system.settings["archive_dir"])
    run_a_lead(system)
    eventually(lambda: archived(folder), within_s=60, what="the first files")
    assert list((system.data_dir / "archive.state" / "checkpoints").iterdir()), "apart from the router's"
    system.kill("taskmanager", Signals.SIGKILL)
    run_messages(system)
    assert "/archive.state/savepoints/" in system.cli("archive", "stop").stdout, "apart from the router's"
    system.send("weather.changed", {"to": "sun"})
    system.stack.up()
    eventually(lambda: archived(folder) == on_kafka(system), within_s=60, what="every record once in the files")
    assert len({key[0] for key in on_kafka(system)}) == len(KEPT), "every topic had something"
    listed = json.loads(system.cli("archive", "ls", "-o", "json").stdout)
    assert {row["topic"] for row in listed} == set(KEPT)


def test_decisions_whose_messages_kafka_no_longer_holds_are_proven_from_the_files(system: System) -> None:
    folder = Path(system.settings["archive_dir"])
    before = replayed(system)
    assert before["equal"] > 20
    assert replayed(system, "--archive", str(folder)) == before
    forget(system, MESSAGES)
    assert len(replayed(system, expect=1)["not_made_again"]) >= before["equal"]
    assert replayed(system, "--archive", str(folder)) == before


def test_what_is_about_an_erased_lead_is_in_no_file(system: System) -> None:
    folder = Path(system.settings["archive_dir"])
    lead, where = system.insert(hot_lead())
    eventually(
        lambda: any(lead.encode() in str(row).encode() for row in archived(folder)), within_s=90, what="its file"
    )
    eventually(lambda: system.outcomes(lead)[-1:] == ["completed"], within_s=90, what="its end")
    system.cli("archive", "stop")
    others = {row for row in archived(folder) if lead not in str(row)}
    assert "records erased" in system.cli("leads", "erase", "--id", lead, "--yes").stdout
    left = set(archived(folder))
    assert left == others
    assert where not in str(left)


def forget(system: System, topic: str) -> None:
    """Have Kafka delete all records of a topic, as its retention would."""
    ends = {}
    for seen in system.witness.read(topic):
        ends[TopicPartition(topic, seen.partition)] = seen.offset + 1
    admin = KafkaAdminClient(bootstrap_servers=system.settings["kafka_bootstrap"])
    try:
        admin.delete_records(ends)
    finally:
        admin.close()
