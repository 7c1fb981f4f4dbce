"""Insert to mail, on the whole local stack: latency, sustained rate and memory.

    python bench/loop.py --leads 200 --rate 5 --model-latency-ms 0 --out bench/results/loop.json

Leads are inserted with pymongo at a fixed rate, whatever the stack does meanwhile (open loop). A lead's time runs from
just before its insert to the modification time of its mail's file in the SMTP sink's folder. Every lead must arrive
exactly once, or the run is void.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import uuid
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from pointsman.local import LocalStack, StackOptions

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 10
LEAD = {
    "first_name": "Dana", "title": "Head of Operations", "company": "Northwind Wholesale", "source": "demo request",
    "message": "We run 12 warehouses and want a demo this month. Budget is approved.",
}  # fmt: skip


def main() -> None:
    """Run one measurement and print it as JSON."""
    options = _options()
    # The default cap of 500 mails a day would end a longer run.
    os.environ["POINTSMAN_MAIL_DAILY_CAP"] = "1000000"
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        stack = LocalStack(
            StackOptions(
                data_dir=Path(folder) / "data", jars_dir=ROOT / ".pointsman" / "jars", free_ports=True,
                definitions_dir=ROOT / "agent_definitions", model_latency_ms=options.model_latency_ms,
                parallelism=options.parallelism,
            )
        )  # fmt: skip
        try:
            began = time.monotonic()
            stack.up()
            up_s = time.monotonic() - began
            result = _measure(stack, options) | {"up_s": round(up_s, 1)}
        finally:
            stack.down()
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leads", type=int, default=200)
    parser.add_argument("--rate", type=float, default=5.0, help="leads per second")
    parser.add_argument("--model-latency-ms", type=int, default=0)
    parser.add_argument("--parallelism", type=int, default=1)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _measure(stack: LocalStack, options: argparse.Namespace) -> dict[str, Any]:
    mailbox = stack.options.data_dir / "mailbox"
    with MongoClient[dict[str, Any]](stack.addresses.mongodb_uri) as client:
        leads = client["sdr"]["leads"]
        warm = _insert(leads, WARM_UP, options.rate)
        _wait_for(mailbox, set(warm), within_s=60)
        sent = _insert(leads, options.leads, options.rate)
        rss = {row.name: row.rss_bytes // 2**20 for row in stack.status()}
        arrived = _wait_for(mailbox, set(sent), within_s=120)
    waits = sorted(arrived[address][0] - at for address, at in sent.items())
    first, last = min(sent.values()), max(times[0] for address, times in arrived.items() if address in sent)
    return {
        "leads": options.leads, "offered_per_s": options.rate, "model_latency_ms": options.model_latency_ms,
        "parallelism": options.parallelism, "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(),
        "p50_s": round(statistics.median(waits), 3), "p99_s": round(waits[int(len(waits) * 0.99) - 1], 3),
        "max_s": round(waits[-1], 3), "leads_per_minute": round(len(sent) / (last - first) * 60, 1),
        "lost": 0, "twice": sum(len(arrived[address]) > 1 for address in sent),
        "rss_mib": rss, "rss_mib_total": sum(rss.values()),
    }  # fmt: skip


def _insert(leads: Any, count: int, rate: float) -> dict[str, float]:
    """Insert `count` leads, each at its own time; the intended time by address."""
    began = time.time()
    intended = {}
    for number in range(count):
        at = began + number / rate
        time.sleep(max(0.0, at - time.time()))
        address = f"{uuid.uuid4().hex[:12]}@customer.example"
        leads.insert_one({**LEAD, "email": address})
        intended[address] = at
    return intended


def _wait_for(mailbox: Path, addresses: set[str], within_s: float) -> dict[str, list[float]]:
    """Arrival times by address, once all of `addresses` have arrived; a lost lead voids the run."""
    seen: dict[Path, tuple[str, float]] = {}
    deadline = time.monotonic() + within_s
    while True:
        for file in set(mailbox.glob("*.eml")) - set(seen):
            mail = message_from_bytes(file.read_bytes(), policy=policy.default)
            seen[file] = (str(mail["To"]), file.stat().st_mtime)
        arrived: dict[str, list[float]] = {}
        for address, at in sorted(seen.values(), key=lambda one: one[1]):
            arrived.setdefault(address, []).append(at)
        missing = addresses - set(arrived)
        if not missing:
            return arrived
        if time.monotonic() > deadline:
            sys.exit(f"void: {len(missing)} of {len(addresses)} leads did not arrive within {within_s:g} s")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
