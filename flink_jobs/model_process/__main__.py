"""`python -m flink_jobs.model_process FD`: asks the model for whoever holds the other end of socket FD.

It ends when the other end does, however that came about.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from dataclasses import replace

from flink_jobs.model_process.address import ModelAddress
from flink_jobs.model_process.model import model_at
from flink_jobs.model_process.serving import Outbox, SentMetrics, Serving
from flink_jobs.model_process.wire import next_of
from flink_jobs.telemetry import router_telemetry
from pointsman.collector import settle_collector
from pointsman.telemetry import Telemetry
from pointsman.telemetry.telemetry import count_retries


def main(arguments: list[str]) -> int:
    """Serve until the other end closes."""
    asyncio.run(_serve(socket.socket(fileno=int(arguments[0]))))
    return 0


async def _serve(ours: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=ours)
    address = await next_of(reader)
    if not isinstance(address, ModelAddress):
        return
    outbox = Outbox(writer.write)
    telemetry = _telemetry(outbox.put)
    serving = Serving(lambda: model_at(address, telemetry), outbox.put)
    settle_collector()
    while (message := await next_of(reader)) is not None:
        serving.take(message)
    await serving.end()
    telemetry.flush()


def _telemetry(send: Callable[[object], None]) -> Telemetry:
    metrics = SentMetrics(send)
    told = replace(router_telemetry(), metrics=metrics)
    count_retries(metrics)
    return told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
