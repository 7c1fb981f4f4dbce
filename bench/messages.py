"""The messages that every system under test gets, and where each belongs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final
from zlib import crc32

EVENT_TYPE: Final = "ticket.opened"
SOURCE: Final = "/bench"
HOPS: Final = 6
ID: Final = re.compile(rb"bench-([0-9a-z]+)-(\d+)")
"""A message's id, as it stands in its payload and so in every prompt: the run, and the number within it."""
_FILLER: Final = (
    "The customer writes that the last delivery came two days late and that one pallet was damaged. They ask what "
    "happened, who pays for it, and whether the next delivery can come on a Tuesday. The account has existed for four "
    "years. There is an open invoice over 1,240 euros, which they dispute in part. They want an answer by telephone."
)


def message_id(run: str, number: int) -> str:
    """The id of message `number` of `run`."""
    return f"bench-{run}-{number}"


def event_type(hop: int) -> str:
    """The type of a message that has been answered `hop` times."""
    return EVENT_TYPE if hop == 0 else f"ticket.worked{hop}"


def payload(run: str, number: int, hop: int = 0) -> bytes:
    """About 600 bytes of JSON."""
    return json.dumps({"id": message_id(run, number), "hop": hop, "text": _FILLER, "priority": "normal"}).encode()


def headers(run: str, number: int, hop: int = 0, *, kind: str = "") -> dict[str, bytes]:
    """CloudEvents headers; systems that need none get them all the same."""
    own = message_id(run, number)
    texts = {
        "ce_specversion": "1.0", "ce_id": f"{own}/{hop}", "ce_source": SOURCE, "ce_type": kind or event_type(hop),
        "ce_workflowid": own, "ce_hop": str(hop), "content-type": "application/json",
    }  # fmt: skip
    return {name: text.encode() for name, text in texts.items()}


def chosen(names: Sequence[bytes], found: bytes) -> bytes:
    """The agent, among `names` in their order, that the mock model names for the message with the id `found`."""
    return names[crc32(found) % len(names)]
