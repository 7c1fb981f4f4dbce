"""What is kept of a system that an earlier release ran: its savepoint, its topics, and how they come back.

A folder per release: `savepoint.tar.gz` (its paths are relative), `records.jsonl.gz` (committed records of every topic)
and `about.json`. Flink's sources go on from offsets that stand in the savepoint, so records come back at the offsets
that they had; what lies between them, the ends of transactions, comes back as the same.
"""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.witness import Seen, eventually

FOLDER: Final = Path(__file__).parent
SAVEPOINT: Final = "savepoint.tar.gz"
RECORDS: Final = "records.jsonl.gz"
ABOUT: Final = "about.json"
NAME: Final = "kept"
"""How the workflows of a kept system begin."""
FOR_EVER: Final = "36500d"
"""What the job remembers must still be known when the savepoint is years old."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Records of one partition that follow each other.

    Attributes:
        records: they.
        missing: how many offsets after them have no record that a reader would see.
        place: topic and partition.
    """

    records: list[Seen]
    missing: int
    place: tuple[str, int]


def releases() -> list[str]:
    """The releases whose savepoints are kept."""
    return sorted(found.parent.name for found in FOLDER.glob(f"*/{ABOUT}"))


def keep(release: str, savepoint: Path, records: Iterable[Seen]) -> Path:
    """Keep a system; the folder."""
    folder = FOLDER / release
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / SAVEPOINT, "w:gz") as archive:
        for file in sorted(savepoint.rglob("*")):
            archive.add(file, file.relative_to(savepoint), filter=_without_owner)
    lines = "".join(f"{json.dumps(_to_json(record))}\n" for record in records)
    (folder / RECORDS).write_bytes(gzip.compress(lines.encode(), mtime=0))
    return folder


def unpack_savepoint(release: str, into: Path) -> Path:
    """Unpack the savepoint of a release; where it is."""
    with tarfile.open(FOLDER / release / SAVEPOINT) as archive:
        archive.extractall(into, filter="data")
    return into


def records_of(release: str) -> list[Seen]:
    """The records of a release, by topic and partition, in the order of their offsets."""
    lines = gzip.decompress((FOLDER / release / RECORDS).read_bytes()).splitlines()
    return sorted(map(_from_json, map(json.loads, lines)), key=lambda seen: (seen.topic, seen.partition, seen.offset))


def put_back(bootstrap: str, records: Iterable[Seen]) -> None:
    """Write `records` to topics that exist and are empty, each to the partition and offset that it had."""
    plain = KafkaProducer(bootstrap_servers=bootstrap, max_request_size=6_000_000)
    marking = KafkaProducer(bootstrap_servers=bootstrap, transactional_id="put-back", max_request_size=6_000_000)
    looking = KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        marking.init_transactions()
        for place, of_partition in groupby(records, key=lambda seen: (seen.topic, seen.partition)):
            partition, end = TopicPartition(*place), 0
            for run in runs([*of_partition]):
                _write(plain, marking, run)
                end += len(run.records) + run.missing
                # The broker writes a transaction's mark after it has said that the transaction has ended.
                eventually(lambda p=partition, e=end: looking.end_offsets([p])[p] == e, every_s=0.02, what="a mark")  # type: ignore[misc]
    finally:
        plain.close()
        marking.close()
        looking.close()


def runs(records: list[Seen]) -> Iterator[Run]:
    """The records of one partition, in runs between which offsets are missing."""
    before: list[Seen] = []
    for record in records:
        end = before[-1].offset + 1 if before else 0
        if record.offset > end:
            yield Run(records=before, missing=record.offset - end, place=(record.topic, record.partition))
            before = []
        before.append(record)
    if before:
        yield Run(records=before, missing=0, place=(before[0].topic, before[0].partition))


def _write(plain: KafkaProducer, marking: KafkaProducer, run: Run) -> None:
    if run.missing == 1:  # the mark at the end of these records' own transaction
        marking.begin_transaction()
        _send(marking, run.place, [(one.key, one.value, one.headers) for one in run.records])
        marking.commit_transaction()
        return
    _send(plain, run.place, [(one.key, one.value, one.headers) for one in run.records])
    if run.missing:  # records of a transaction that was given up, and its mark; or marks of several
        marking.begin_transaction()
        _send(marking, run.place, [(b"-", b"given up", {})] * (run.missing - 1))
        marking.abort_transaction()


def _send(
    producer: KafkaProducer, place: tuple[str, int], records: list[tuple[bytes | None, bytes | None, dict[str, bytes]]]
) -> None:
    topic, partition = place
    sent = [
        producer.send(topic, value, key=key, headers=[*headers.items()], partition=partition)
        for key, value, headers in records
    ]
    producer.flush()
    for one in sent:
        one.get(timeout=20)


def _to_json(seen: Seen) -> dict[str, Any]:
    return {
        "topic": seen.topic, "partition": seen.partition, "offset": seen.offset, "key": _to_text(seen.key),
        "value": _to_text(seen.value), "headers": {name: _to_text(octets) for name, octets in seen.headers.items()},
    }  # fmt: skip


def _from_json(said: dict[str, Any]) -> Seen:
    headers = {name: _to_bytes(text) or b"" for name, text in said["headers"].items()}
    return Seen(**{**said, "key": _to_bytes(said["key"]), "value": _to_bytes(said["value"]), "headers": headers})


def _to_text(octets: bytes | None) -> str | None:
    # One character for each byte, so that any bytes pass and JSON stays readable.
    return None if octets is None else octets.decode("latin-1")


def _to_bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("latin-1")


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member
