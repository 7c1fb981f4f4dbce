"""What encryption costs a message: `python -m bench.encryption`, with a store's keys `--mongodb-uri URI`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

from pointsman.envelope import Record
from pointsman.shredding.keys import COLLECTION, DataKeys, name_of
from pointsman.shredding.sealing import Key, opened, random_key, sealed
from pointsman.shredding.wrapping import KeyRing, new_key
from pointsman.store import MongoStore

_TIMES = 2_000
_LOOKS = 200


def main() -> None:
    """Print one line of JSON per figure."""
    parser = argparse.ArgumentParser(prog="bench.encryption")
    parser.add_argument("--mongodb-uri")
    given = parser.parse_args()
    for size in (1_000, 4_000, 50_000):
        _tell(bytes=size, **_ciphers(size))
    if given.mongodb_uri:
        _tell(**asyncio.run(_store(given.mongodb_uri)))


def _ciphers(size: int) -> dict[str, float]:
    key, headers = Key(random_key()), {"ce_workflowid": b"w", "ce_type": b"lead.scored"}
    plain = Record(topic="agent_messages", key=b"w", value=b"x" * size, headers=headers)
    once = sealed(plain, key)
    return {"encrypt_us": _micros(lambda: sealed(plain, key)), "decrypt_us": _micros(lambda: opened(once, key))}


async def _store(uri: str) -> dict[str, float]:
    """Milliseconds to make a key, and to find one again."""
    store = MongoStore(uri, f"bench_{uuid.uuid4().hex[:8]}")
    keys = DataKeys(store, KeyRing(new_key("a")), lambda: datetime.now(UTC))
    workflows = [str(number).encode() for number in range(_LOOKS)]
    made, found = [], []
    for workflow in workflows:
        began = time.perf_counter()
        await keys.find_or_make(workflow)
        made.append(time.perf_counter() - began)
    for workflow in workflows:
        began = time.perf_counter()
        await keys.find([workflow])
        found.append(time.perf_counter() - began)
    for workflow in workflows:
        await store.delete(COLLECTION, name_of(workflow))
    await store.close()
    return {"make_ms": round(median(made) * 1e3, 2), "find_ms": round(median(found) * 1e3, 2)}


def _micros(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return round(median(times) * 1e6, 1)


def _tell(**figures: float) -> None:
    sys.stdout.write(f"{json.dumps(figures)}\n")


if __name__ == "__main__":
    main()
