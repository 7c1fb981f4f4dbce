"""Agents that answer at once: reads what is routed to them and writes the next message of its workflow.

python -m bench.answering '{"bootstrap": "...", "from": ["agents.billing.inbox"], "to": "agent_messages", ...}'
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from typing import Any

from confluent_kafka import Consumer, Producer

from bench.collect import begin_at_end
from bench.messages import ID, headers, payload
from bench.programs import BenchError, module, start
from bench.systems import Running
from bench.testbed import Testbed

_HOP = re.compile(rb'"hop": ?(\d+)')


def start_agents(bed: Testbed, running: Running, hops: int, *, committed: bool) -> subprocess.Popen[str]:
    """Start the program for a system.

    Args:
        bed: broker.
        running: the system whose output is answered.
        hops: a message that was routed so often is answered no more.
        committed: read what is committed only, as agents behind an exactly-once router do.

    Raises:
        BenchError: it does not start.
    """
    plan = {
        "bootstrap": running.bootstrap, "from": list(running.out_topics), "to": running.in_topic, "hops": hops,
        "committed": committed,
    }  # fmt: skip
    process = start(module("bench.answering", json.dumps(plan)), bed.cores.harness, stdout=subprocess.PIPE)
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise BenchError("the agents do not start")
    return process


def main() -> None:
    """Answer until the process is ended."""
    plan = json.loads(sys.argv[1])
    producer = Producer({"bootstrap.servers": plan["bootstrap"], "acks": 1, "linger.ms": 0})
    consumer = Consumer(
        {
            "bootstrap.servers": plan["bootstrap"], "group.id": f"bench-agents-{uuid.uuid4().hex[:8]}",
            "enable.auto.commit": False, "fetch.queue.backoff.ms": 1,
            "isolation.level": "read_committed" if plan["committed"] else "read_uncommitted",
        }
    )  # fmt: skip
    begin_at_end(consumer, plan["from"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        record = consumer.poll(0.1)
        producer.poll(0)
        if record is not None and record.error() is None:
            answer(producer, plan["to"], record.value() or b"", plan["hops"])


def answer(producer: Any, topic: str, value: bytes, hops: int) -> None:
    """Write the next message after the routed `value`, unless its workflow has come to its end."""
    found, hop = ID.search(value), _HOP.search(value)
    if found is None or hop is None or int(hop[1]) + 1 >= hops:
        return
    run, number, following = found[1].decode(), int(found[2]), int(hop[1]) + 1
    key = found[0]
    producer.produce(topic, key=key, value=payload(run, number, following), headers=headers(run, number, following))


if __name__ == "__main__":
    main()
