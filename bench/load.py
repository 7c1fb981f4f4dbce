"""Open-loop load: writes messages to a topic at a constant rate, whatever becomes of them.

    python -m bench.load '{"bootstrap": "...", "topic": "...", "run": "a1", "count": 500, "rate": 100, "begin": 1e9}'

Prints one JSON line: how many were acknowledged, and how far behind its plan the generator itself was.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from confluent_kafka import Producer

from bench.arithmetic import Offered, summary
from bench.messages import headers, message_id, payload


def main() -> None:
    """Offer the load that the argument describes."""
    plan = json.loads(sys.argv[1])
    offered = Offered(count=plan["count"], began=plan["begin"], rate=plan["rate"])
    producer = Producer(
        {
            "bootstrap.servers": plan["bootstrap"], "acks": 1, "linger.ms": 0, "log_level": 0,
            "queue.buffering.max.messages": 1_000_000, "message.timeout.ms": 60_000,
        }
    )  # fmt: skip
    refused: list[str] = []
    late_ms = offer(producer, plan["topic"], plan["run"], offered, refused, kind=plan.get("kind", ""))
    left = producer.flush(60)
    result = {"written": offered.count - len(refused) - left, "late_ms": summary(sorted(late_ms))}
    sys.stdout.write(json.dumps(result) + "\n")


def offer(producer: Any, topic: str, run: str, offered: Offered, refused: list[str], *, kind: str = "") -> list[float]:
    """Write every message when it is due; how late each was written, in milliseconds.

    Args:
        producer: a Kafka producer.
        topic: where to write.
        run: the run's name.
        offered: how many, from when, how fast.
        refused: gets what Kafka did not take.
        kind: type of the messages; empty: the usual one.
    """

    def reported(error: Any, _: Any) -> None:
        if error is not None:
            refused.append(str(error))

    late_ms = []
    for number in range(offered.count):
        due = offered.due(number)
        while (wait := due - time.time()) > 0:
            producer.poll(0)
            time.sleep(min(wait, 0.01))
        own = message_id(run, number)
        producer.produce(
            topic, key=own, value=payload(run, number), headers=headers(run, number, kind=kind), on_delivery=reported
        )
        producer.poll(0)
        late_ms.append((time.time() - due) * 1000)
    return late_ms


if __name__ == "__main__":
    main()
