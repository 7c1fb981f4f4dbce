"""What one lead leaves behind: messages, model calls, tokens and bytes, for `pointsman capacity`.

    python bench/capacity.py --leads 40 --out bench/results/capacity.json

Counts and bytes do not depend on how fast the machine is. What does (the rate that one instance of the router keeps up
with, the time of a hop, memory) is taken over from the runs of `bench/loop.py` that lie beside the result.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pymongo import MongoClient

from pointsman.envelope import Record
from pointsman.kafka import load_catalog, read_all
from pointsman.local import LocalStack, StackOptions
from pointsman.topics import ALL, DECISIONS, MESSAGES, agent_of, inbox
from pointsman.usage import Usage

ROOT = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "bench" / "results"
KINDS: Final = {
    "hot": (0.70, 1, {
        "first_name": "Dana", "last_name": "Reyes", "title": "Head of Operations", "company": "Northwind Wholesale",
        "source": "demo request",
        "message": "We run 12 warehouses and want a demo this month. Budget is approved.",
    }),
    "lukewarm": (0.15, 3, {
        "first_name": "Lee", "last_name": "Moss", "title": "Logistics Manager", "company": "Moss Freight",
        "source": "newsletter",
        "message": "Just looking around, perhaps next year. Interested in delivery tracking.",
    }),
    "student": (0.15, 0, {
        "first_name": "Sam", "last_name": "Hill", "title": "Student", "company": "State University",
        "source": "download", "message": "I am a student and write my thesis about logistics.",
    }),
}  # fmt: skip
HOPS_OF_A_HOT_LEAD: Final = 5
WITHIN_S: Final = 300


def main() -> None:
    """Run one measurement and print it as JSON."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        stack = LocalStack(
            StackOptions(
                data_dir=Path(folder) / "data", jars_dir=ROOT / ".pointsman" / "jars", free_ports=True,
                definitions_dir=ROOT / "agent_definitions", nurture_day_s=0.2,
            )
        )  # fmt: skip
        try:
            stack.up()
            per_lead = _measure(stack, options.leads)
        finally:
            stack.down()
    text = json.dumps({"measured": _measured(options.leads), "per_lead": per_lead, **_speed()}, indent=2)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leads", type=int, default=40)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _measured(leads: int) -> dict[str, Any]:
    mix = {kind: share for kind, (share, _, _) in KINDS.items()}
    return {
        "date": datetime.now(UTC).date().isoformat(), "machine": platform.machine(), "cores": os.cpu_count(),
        "python": platform.python_version(), "leads": leads, "mix": mix, "model": "offline",
    }  # fmt: skip


def _speed() -> dict[str, Any]:
    """What the runs of the loop found: at this rate one instance kept up, and so long took a hop without a model."""
    busy, quiet = (json.loads((RESULTS / name).read_text()) for name in ("loop-10-per-s.json", "loop-model-0ms.json"))
    return {
        "leads_per_s_per_instance": round(busy["leads_per_minute"] / 60, 2),
        "hop_s": round(quiet["p50_s"] / HOPS_OF_A_HOT_LEAD, 3),
        "memory_mib": {
            "taskmanager": busy["rss_mib"]["taskmanager-1"],
            "agent": max(mib for name, mib in busy["rss_mib"].items() if name.startswith("agent-")),
            "rest": sum(mib for name, mib in busy["rss_mib"].items() if not name.startswith(("agent-", "taskmanager"))),
        },
    }


def _measure(stack: LocalStack, leads: int) -> dict[str, Any]:
    bootstrap = stack.addresses.kafka_bootstrap
    catalog = load_catalog(bootstrap)
    topics = [*(topic.name for topic in ALL), *map(inbox, catalog.definitions)]
    with MongoClient[dict[str, Any]](stack.addresses.mongodb_uri) as client:
        database = client["sdr"]
        before = _sizes(bootstrap, topics), _mongodb_bytes(database)
        mails = _insert(database["leads"], leads)
        _wait_for(stack.options.data_dir / "mailbox", mails)
        _settle(bootstrap, leads)
        after = _sizes(bootstrap, topics), _mongodb_bytes(database)
    grown = after[0] - before[0]
    return {
        "messages": _per(len(list(read_all(bootstrap, MESSAGES))), leads),
        "mails": _per(mails, leads),
        "topic_bytes": {topic: _per(grown[topic], leads) for topic in topics if grown[topic]},
        "mongodb_bytes": _per(after[1] - before[1], leads),
        "router": _router(read_all(bootstrap, DECISIONS), leads),
        "agents": {
            name: {
                "messages": _per(len(list(read_all(bootstrap, inbox(name)))), leads),
                **_usage((one for one in read_all(bootstrap, MESSAGES) if _said_by(one) == name), leads),
                "in_flight": definition.limits.in_flight,
            }
            for name, definition in catalog.definitions.items()
        },
    }


def _insert(collection: Any, leads: int) -> int:
    """Insert `leads` of the mix; the mails that they are worth."""
    mails = 0
    for share, worth, lead in KINDS.values():
        for _ in range(round(share * leads)):
            collection.insert_one({**lead, "email": f"{uuid.uuid4().hex[:12]}@customer.example"})
            mails += worth
    return mails


def _wait_for(mailbox: Path, mails: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while (there := len(list(mailbox.glob("*.eml")))) < mails:
        if time.monotonic() > deadline:
            sys.exit(f"void: {there} of {mails} mails within {WITHIN_S} s")
        time.sleep(0.2)


def _settle(bootstrap: str, leads: int) -> None:
    """Until as many workflows as there are leads have a latest decision that ends them, and no message is undecided."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        decided = [json.loads(record.value or b"{}") for record in read_all(bootstrap, DECISIONS)]
        ended = {one["workflow_id"] for one in decided if one["outcome"] == "completed"}
        if len(ended) == leads and len(decided) == len(list(read_all(bootstrap, MESSAGES))):
            return
        if time.monotonic() > deadline:
            sys.exit(f"void: {len(ended)} of {leads} workflows have ended within {WITHIN_S} s")
        time.sleep(0.5)


def _sizes(bootstrap: str, topics: Iterable[str]) -> Counter[str]:
    return Counter({topic: sum(map(_size, read_all(bootstrap, topic))) for topic in topics})


def _size(record: Record) -> int:
    headers = sum(len(name) + len(value) for name, value in record.headers.items())
    return len(record.key or b"") + len(record.value or b"") + headers


def _mongodb_bytes(database: Any) -> int:
    found = database.command("dbStats")
    return int(found["dataSize"] + found["indexSize"])


def _router(decisions: Iterable[Record], leads: int) -> dict[str, float]:
    calls = [call for record in decisions if (call := json.loads(record.value or b"{}").get("model_call"))]
    return {
        "model_calls": _per(len(calls), leads),
        "input_tokens": _per(sum(call["input_tokens"] for call in calls), leads),
        "output_tokens": _per(sum(call["output_tokens"] for call in calls), leads),
    }


def _usage(records: Iterable[Record], leads: int) -> dict[str, float]:
    used = [Usage.from_headers(record.headers) for record in records]
    return {
        "model_calls": _per(sum(each.calls for each in used), leads),
        "input_tokens": _per(sum(each.input_tokens for each in used), leads),
        "output_tokens": _per(sum(each.output_tokens for each in used), leads),
    }


def _said_by(record: Record) -> str | None:
    source = record.headers.get("ce_source", b"").decode()
    return agent_of(inbox(source.removeprefix("/agents/"))) if source.startswith("/agents/") else None


def _per(count: float, leads: int) -> float:
    return round(count / leads, 3)


if __name__ == "__main__":
    main()
