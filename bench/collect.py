"""Notes when each message of a run is seen on its topics.

    python -m bench.collect '{"bootstrap": "...", "topics": {"agents.billing.inbox": "billing"}, "run": "a1", ...}'

Begins at the end of the topics and prints `ready`; ends when `count` messages were seen and `linger_s` more have
passed, or at a line on stdin; then writes `[number, time, agent]` of every record to `file`.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

_AGENT = re.compile(rb'"agent": ?"([a-z0-9_]+)"')
_POLL_S = 0.1


def main() -> None:
    """Collect what the argument describes."""
    plan = json.loads(sys.argv[1])
    stopped = threading.Event()
    threading.Thread(target=_stop_at_a_line, args=(stopped,), daemon=True).start()
    consumer = _consumer(plan)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    seen = collect(consumer, plan, stopped)
    consumer.close()
    Path(plan["file"]).write_text(json.dumps(seen), encoding="utf-8")


def _stop_at_a_line(stopped: threading.Event) -> None:
    sys.stdin.readline()
    stopped.set()


def collect(consumer: Any, plan: dict[str, Any], stopped: threading.Event) -> list[tuple[int, float, str]]:
    """Read until everything was seen, or until `stopped`; number, time and agent of each record."""
    run, hop = plan["run"].encode(), str(plan["hop"]).encode()
    wanted = re.compile(rb'"id": ?"bench-' + run + rb'-(\d+)", ?"hop": ?' + hop + rb"\b")
    seen: list[tuple[int, float, str]] = []
    distinct: set[int] = set()
    ends_at = float("inf")
    while not stopped.is_set() and time.time() < ends_at:
        record = consumer.poll(_POLL_S)
        at = time.time()
        if record is None or record.error() is not None:
            continue
        found = wanted.search(record.value() or b"")
        if found is None:
            continue
        number = int(found[1])
        seen.append((number, at, _agent(record, plan["topics"])))
        distinct.add(number)
        if len(distinct) == plan["count"] and ends_at == float("inf"):
            ends_at = at + plan["linger_s"]
    return seen


def _agent(record: Any, topics: dict[str, str]) -> str:
    named = topics[record.topic()]
    if named:
        return named
    found = _AGENT.search(record.value())
    return found[1].decode() if found else ""


def _consumer(plan: dict[str, Any]) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": plan["bootstrap"], "group.id": f"collect-{plan['run']}", "enable.auto.commit": False,
            "isolation.level": "read_committed" if plan["committed"] else "read_uncommitted",
            "fetch.wait.max.ms": 500, "fetch.min.bytes": 1, "fetch.queue.backoff.ms": 1, "log_level": 0,
        }
    )  # fmt: skip
    begin_at_end(consumer, plan["topics"])
    return consumer


def begin_at_end(consumer: Consumer, topics: Iterable[str]) -> None:
    """Have `consumer` read everything that is written to `topics` from now on."""
    known = consumer.list_topics(timeout=10).topics
    parts = [TopicPartition(name, number) for name in topics for number in known[name].partitions]
    # Numbers instead of "the end": what is written before the first fetch must be seen.
    for part in parts:
        part.offset = consumer.get_watermark_offsets(TopicPartition(part.topic, part.partition), timeout=10)[1]
    consumer.assign(parts)


if __name__ == "__main__":
    main()
