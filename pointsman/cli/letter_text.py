"""A dead letter as text: what it is, and what it holds without telling whom it is about."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Final

from pointsman.deadletter_queue import DeadLetter
from pointsman.deadletters import PREFIX
from pointsman.envelope import Record, payload_of
from pointsman.errors import InvalidEnvelopeError
from pointsman.logging import mask
from pointsman.masking import masked
from pointsman.plaintext import one_line

_LONGEST: Final = 400
_CELL: Final = 60


def cell(text: str) -> str:
    """`text` for one cell of a table: no control characters, addresses shortened."""
    return mask(one_line(text, _CELL))


def state_of(letter: DeadLetter) -> str:
    """What was done about it, in a few words."""
    done = letter.handled
    return f"{done.action.value.rpartition('.')[2]} by {cell(done.by)}, {done.at:%Y-%m-%d %H:%M:%S}" if done else "open"


def describe(letter: DeadLetter, *, unmask: bool) -> Iterator[str]:
    """Lines about `letter`: why, where, headers, payload.

    Args:
        letter: the dead letter.
        unmask: also show what the lead wrote and who they are.
    """
    origin = "/".join(letter.why(name) for name in ("topic", "partition", "offset"))
    yield f"dead letter   {letter.id}"
    yield f"state         {state_of(letter)}"
    yield f"reason        {cell(letter.reason)}: {mask(one_line(letter.why('message'), _LONGEST))}"
    yield f"stage         {cell(letter.stage)}, after {cell(letter.why('attempts')) or '?'} tries"
    yield f"failed        first {cell(letter.why('first_at'))}, given up {cell(letter.why('at'))}"
    yield f"original      {cell(origin)}, catalog {cell(letter.why('catalog')) or 'none'}"
    yield f"sent again    {letter.redrives} times before"
    yield "headers"
    for name, octets in sorted(letter.record.headers.items()):
        if not name.startswith(PREFIX):
            yield f"  {cell(name)}: {_header(name, octets, unmask=unmask)}"
    yield "payload"
    yield _payload(letter.record, unmask=unmask)


def exported(letter: DeadLetter) -> str:
    """`letter` as one line of JSON, bytes as base64."""
    record = letter.record
    about = {
        "id": letter.id,
        "reason": letter.reason,
        "stage": letter.stage,
        "failed_at": letter.failed_at.isoformat(),
        "handled": letter.handled.action.value if letter.handled else None,
        "timestamp_ms": record.timestamp_ms,
        "key": _base64(record.key),
        "value": _base64(record.value),
        "headers": {name: _base64(octets) for name, octets in record.headers.items()},
    }
    return json.dumps(about)


def _payload(record: Record, *, unmask: bool) -> str:
    value = record.value
    if value is None:
        return "  none"
    try:
        payload = payload_of(record)
    except InvalidEnvelopeError:
        return f"  {value!r}" if unmask else f"  {len(value)} bytes that are no JSON object; --unmask shows them"
    # ASCII only: what strangers wrote must not move the cursor.
    return json.dumps(payload if unmask else masked(payload), indent=2)


def _header(name: str, octets: bytes, *, unmask: bool) -> str:
    if unmask:
        return ascii(octets.decode(errors="backslashreplace"))[1:-1]
    known = name.startswith("ce_") or name in ("content-type", "traceparent")
    return mask(one_line(octets.decode(errors="replace"), _LONGEST)) if known else f"[{len(octets)} bytes]"


def _base64(octets: bytes | None) -> str | None:
    return None if octets is None else b64encode(octets).decode()
