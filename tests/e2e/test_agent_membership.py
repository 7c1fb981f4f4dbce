"""Instances whose names do not come back, as the pods of a Deployment: who has which partition, and who may write."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from signal import SIGCONT, SIGSTOP

import pytest
from confluent_kafka.admin import AdminClient

from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError
from pointsman.kafka.admin import KafkaAdmin
from pointsman.kafka.inbox import KafkaInbox
from pointsman.runtime.port import PartitionEnd, Position
from pointsman.topics import inbox, inbox_topic
from tests.e2e.system import ROOT, System
from tests.witness import eventually

PARTITIONS = 2
FROZEN = """
import sys
from tests.e2e.test_agent_membership import Member
member = Member(sys.argv[1], sys.argv[2], "frozen")
while not member.work:
    member.turn()
print("has work", flush=True)
sys.stdin.readline()
try:
    member.answer()
except Exception as error:
    print(type(error).__name__, flush=True)
else:
    print("written", flush=True)
"""


class Member:
    """An instance, turned by hand.

    Attributes:
        mine: the partitions that it has.
        work: records that it read and has not answered.
    """

    def __init__(self, bootstrap: str, agent: str, name: str) -> None:
        self.mine: set[int] = set()
        self.work: list[Record] = []
        self._name = name
        self._answers = f"agents.{agent}_answers.inbox"
        self._inbox = KafkaInbox(bootstrap, agent, name, returns=False)
        eventually(self._is_open, within_s=60, what="an open inbox")

    def _is_open(self) -> bool:
        try:
            self._inbox.open(self)
        except BrokerUnavailableError:
            return False
        return True

    def turn(self) -> None:
        found = self._inbox.poll(0.1)
        if found is not None and not isinstance(found, PartitionEnd):
            self.work.append(found)

    def answer(self) -> None:
        """Answer what was read, in one transaction with its positions."""
        answers = [Record(topic=self._answers, key=b"w", value=self._name.encode(), headers={}) for _ in self.work]
        positions = [Position(partition=one.partition, offset=one.offset + 1) for one in self.work]
        self._inbox.commit(answers, positions)
        self.work = []

    def pause(self) -> None:
        """Read nothing more of what it has."""
        self._inbox.pause(sorted(self.mine))

    def assigned(self, positions: Sequence[Position]) -> None:
        self.mine |= {position.partition for position in positions}

    def revoked(self, partitions: Sequence[int]) -> None:
        self.mine -= set(partitions)

    lost = revoked

    def close(self) -> None:
        self._inbox.close()


@pytest.fixture
def agent(system: System, request: pytest.FixtureRequest) -> str:
    """An inbox that nobody else reads."""
    name = f"mover_{len(request.node.name)}"
    topics = [inbox_topic(name, PARTITIONS), inbox_topic(f"{name}_answers", 1)]
    KafkaAdmin(system.settings["kafka_bootstrap"]).ensure_topics(topics)
    return name


def has(member: Member, count: int) -> bool:
    member.turn()
    return len(member.mine) == count


def test_who_ends_gives_its_partitions_to_the_others_at_once(system: System, agent: str) -> None:
    bootstrap = system.settings["kafka_bootstrap"]
    with closing(Member(bootstrap, agent, "pod-b")) as stays:
        with closing(Member(bootstrap, agent, "pod-a")) as ends:
            eventually(lambda: has(ends, 1) & has(stays, 1), every_s=0, what="a partition for each")
        # A static member would stay until its session ends, 6 s later.
        eventually(lambda: members(bootstrap, agent) == 1, within_s=5, what="a group without the one that ended")
        eventually(partial(has, stays, PARTITIONS), every_s=0, what="both partitions")


def test_a_partition_that_comes_back_is_read_though_it_was_paused_when_it_went(system: System, agent: str) -> None:
    bootstrap = system.settings["kafka_bootstrap"]
    with closing(Member(bootstrap, agent, "pod-b")) as stays:
        eventually(partial(has, stays, PARTITIONS), every_s=0, what="both partitions")
        stays.pause()
        with closing(Member(bootstrap, agent, "pod-a")) as guest:
            eventually(lambda: has(guest, 1) & has(stays, 1), every_s=0, what="a partition for each")
            (lent,) = guest.mine
        eventually(partial(has, stays, PARTITIONS), every_s=0, what="both partitions again")
        system.witness.write_many(inbox(agent), [(f"w{number}".encode(), b"{}", {}) for number in range(20)])
        eventually(lambda: reads(stays, lent), every_s=0, what="work from the partition that was lent")


def reads(member: Member, partition: int) -> bool:
    member.turn()
    return any(record.partition == partition for record in member.work)


def test_who_ends_while_partitions_move_does_not_wait(system: System, agent: str) -> None:
    bootstrap = system.settings["kafka_bootstrap"]
    with closing(Member(bootstrap, agent, "pod-b")) as ends:
        with closing(Member(bootstrap, agent, "pod-a")) as before:
            eventually(lambda: has(before, 1) & has(ends, 1), every_s=0, what="a partition for each")
        # Its share has gone to the other, who has not been told yet and ends now.
        eventually(lambda: members(bootstrap, agent) == 1, within_s=5, what="a group without the first")
        time.sleep(2)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    eventually(lambda: members(bootstrap, agent) == 0, within_s=5, what="an empty group")


def test_who_wakes_up_after_another_took_its_work_writes_nothing(system: System, agent: str) -> None:
    bootstrap = system.settings["kafka_bootstrap"]
    with frozen_with_work(system, agent) as frozen, closing(Member(bootstrap, agent, "heir")) as heir:
        eventually(partial(has, heir, PARTITIONS), within_s=60, every_s=0, what="the partitions of the frozen one")
        eventually(lambda: has(heir, PARTITIONS) and heir.work, every_s=0, what="its record")
        heir.answer()
        frozen.send_signal(SIGCONT)
        told, _ = frozen.communicate("go on\n", timeout=20)
    assert told.strip() in {"TransactionAbortedError", "FencedError"}
    assert [seen.value for seen in system.witness.read(f"agents.{agent}_answers.inbox")] == [b"heir"]


@contextmanager
def frozen_with_work(system: System, agent: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has read a record, stands still and does not know it."""
    bootstrap = system.settings["kafka_bootstrap"]
    command = [sys.executable, "-c", FROZEN, bootstrap, agent]
    with subprocess.Popen(
        command, cwd=ROOT, env=system.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            system.witness.write(f"agents.{agent}.inbox", b"{}", key=b"w")
            assert process.stdout
            assert process.stdout.readline() == "has work\n"
            process.send_signal(SIGSTOP)
            yield process
        finally:
            process.send_signal(SIGCONT)
            process.kill()


def members(bootstrap: str, agent: str) -> int:
    # Nobody answers for a client that was let go.
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    return len(client.describe_consumer_groups([f"agents.{agent}"])[f"agents.{agent}"].result(30).members)
