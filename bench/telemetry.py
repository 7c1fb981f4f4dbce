"""What telemetry costs the router per message, and what an endpoint that is slow or gone changes.

    python bench/telemetry.py --out bench/results/telemetry.json

One thread does what the operator does with a message that has one candidate: read the row, decide, write the rows. Each
round of a variant is a process of its own; the variants take turns, so that a machine that gets slower or faster meets
all of them alike, and the figure of each is the median of its rounds. `untold` knows no telemetry, `none` has metrics
and no endpoint for traces; the receiver of the others `answers`, is `slow` (five seconds) or `gone` (refuses the
connection). Processor time counts all threads, that of the exporter too. Ratios are of messages per second.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from pyflink.common import Row

from flink_jobs.operators.deciding import Deciding
from flink_jobs.operators.records import Arrived, read_message, write_row
from flink_jobs.operators.telling import Telling
from pointsman.catalog import Catalog
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.envelope import from_rfc3339
from pointsman.routing.router import Router
from pointsman.settings import Settings
from pointsman.telemetry import Telemetry

ROOT = Path(__file__).resolve().parents[1]
NOW: Final = from_rfc3339("2030-01-01T00:00:00Z")
RECEIVER: Final = """
import sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(float(sys.argv[1]))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
"""


VARIANTS: Final = ("untold", "none", "answers", "slow", "gone")


def main() -> None:
    """Measure and print as JSON."""
    options = _options()
    if options.variant:
        sys.stdout.write(json.dumps(_alone(options.variant, options.endpoint, options.messages)))
        return
    with ExitStack() as stack:
        endpoints = {
            "answers": stack.enter_context(_receiver(0.0)),
            "slow": stack.enter_context(_receiver(5.0)),
            "gone": "http://127.0.0.1:1",
        }
        result = _measure(endpoints, options.rounds, options.messages)
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000, help="per round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(endpoints: dict[str, str], rounds: int, messages: int) -> dict[str, Any]:
    wall: dict[str, list[float]] = {name: [] for name in VARIANTS}
    cpu: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(rounds):
        for name in VARIANTS:
            command = [sys.executable, __file__, "--variant", name, "--messages", str(messages)]
            command += ["--endpoint", endpoints[name]] if name in endpoints else []
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this file
            took = json.loads(done.stdout)
            wall[name].append(took["wall_us"])
            cpu[name].append(took["cpu_us"])
    wall_us, cpu_us = ({name: statistics.median(each) for name, each in kind.items()} for kind in (wall, cpu))
    return {
        "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(), "messages": messages,
        "rounds": rounds,
        "wall_us_per_message": {name: round(value, 1) for name, value in wall_us.items()},
        "cpu_us_per_message": {name: round(value, 1) for name, value in cpu_us.items()},
        "throughput_slow_to_answers": round(wall_us["answers"] / wall_us["slow"], 3),
        "throughput_gone_to_answers": round(wall_us["answers"] / wall_us["gone"], 3),
    }  # fmt: skip


def _alone(variant: str, endpoint: str | None, messages: int) -> dict[str, float]:
    """One round of one variant, in a process that does nothing else; microseconds per message."""
    telemetry = None if variant == "untold" else Telemetry.of(Settings(otel_endpoint=endpoint), "bench")
    row, router = _row(), Router(Catalog.of(load_folder_or_raise(ROOT / "agent_definitions").definitions))
    _round(row, router, telemetry, messages // 5)
    cpu = time.process_time()
    wall = _round(row, router, telemetry, messages)
    return {"wall_us": wall / messages * 1e6, "cpu_us": (time.process_time() - cpu) / messages * 1e6}


def _round(row: Row, router: Router, telemetry: Telemetry | None, messages: int) -> float:
    telling = Telling(telemetry, "bench") if telemetry else None
    deciding = Deciding(router, lambda: NOW, _fault, telling.decided if telling else lambda arrived, decision: None)
    began = time.perf_counter()
    for _ in range(messages):
        arrived = read_message(row, "agent_messages")
        if telling:
            telling.arrived(arrived.record)
        written = deciding.begin(arrived)
        assert isinstance(written, list)  # noqa: S101 - one candidate, no question
        for record in telling.leaving(arrived.record, written) if telling else written:
            write_row(record)
    return time.perf_counter() - began


def _row() -> Row:
    lead = {"_id": "1", "email": "dana@customer.example", "company": "Northwind", "message": "We want a demo. " * 20}
    headers = {
        "ce_specversion": "1.0", "ce_id": "sdr.leads/1", "ce_source": "/connectors/mongodb/sdr.leads",
        "ce_type": "lead.received", "ce_workflowid": "1", "ce_hop": "0", "content-type": "application/json",
        "ce_time": "2030-01-01T00:00:00.000Z", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }  # fmt: skip
    coded = json.dumps({name: base64.b64encode(text.encode()).decode() for name, text in headers.items()})
    texts = (b"1".hex(), json.dumps(lead).encode().hex(), coded.encode().hex())
    return Row(*texts, 0, 1, 1_893_456_000_000, 1, 1, 0)  # type: ignore[no-untyped-call]


def _fault(_: Arrived, error: Exception) -> None:
    raise error


@contextmanager
def _receiver(delay_s: float) -> Iterator[str]:
    command = [sys.executable, "-c", RECEIVER, str(delay_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own text
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip() if process.stdout else ''}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
