"""Archives as the archive job writes them, for tests without Flink."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro

from pointsman.envelope import Record
from pointsman.topics import MESSAGES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BYTES = ["null", "bytes"]
SCHEMA = fastavro.parse_schema(
    {
        "type": "record", "name": "record", "namespace": "org.apache.flink.avro.generated",
        "fields": [
            {"name": "k", "type": _BYTES}, {"name": "v", "type": _BYTES},
            {"name": "headers", "type": ["null", {"type": "map", "values": _BYTES}]},
            {"name": "kafka_partition", "type": ["null", "int"]}, {"name": "kafka_offset", "type": ["null", "long"]},
            {"name": "kafka_timestamp", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]},
        ],
    }
)  # fmt: skip
"""What Flink's Avro format makes of sql/archive_files.sql."""


def record(offset: int, at: datetime, *, partition: int = 0, topic: str = MESSAGES, **parts: Any) -> Record:
    """A record; its key is `w<offset>` unless `parts` say otherwise."""
    told: dict[str, Any] = {"key": f"w{offset}".encode(), "value": b"{}", "headers": {}, **parts}
    timestamp_ms = (at - EPOCH) // timedelta(milliseconds=1)
    return Record(topic=topic, partition=partition, offset=offset, timestamp_ms=timestamp_ms, **told)


def write(folder: Path, records: Sequence[Record], name: str = "part-0-0", written_s: int = 0) -> Path:
    """One file with `records`, which are of one topic and day."""
    day = EPOCH + timedelta(milliseconds=records[0].timestamp_ms)
    file = folder / f"topic={records[0].topic}" / f"day={day.date().isoformat()}" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "k": one.key, "v": one.value, "headers": dict(one.headers), "kafka_partition": one.partition,
            "kafka_offset": one.offset, "kafka_timestamp": EPOCH + timedelta(milliseconds=one.timestamp_ms),
        }
        for one in records
    ]  # fmt: skip
    with file.open("wb") as opened:
        fastavro.writer(opened, SCHEMA, rows, codec="deflate")
    os.utime(file, (written_s, written_s))
    return file
