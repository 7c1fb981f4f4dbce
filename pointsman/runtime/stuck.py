"""Notices a transaction that never ends.

librdkafka's `send_offsets_to_transaction` has a time-out that it does not keep when the group's coordinator goes away
at the wrong moment (confluentinc/librdkafka#5456): the call never returns, and nothing can interrupt it. A new process
can do what this one cannot: it ends the open transaction and begins again where the last committed one stood.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from pointsman.errors import BrokerUnavailableError

# Longer than each of a transaction's steps waits for the broker (15 s), so that a time-out which works comes first.
STUCK_AFTER_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.5

_log = structlog.get_logger(__name__)


async def watch_commits(
    began: Callable[[], float | None],
    fail: Callable[[BaseException], None],
    *,
    stuck_after_s: float = STUCK_AFTER_S,
    look_every_s: float = _LOOK_EVERY_S,
) -> None:
    """Call `fail` once, when a transaction lasts longer than it may.

    Args:
        began: monotonic time at which the transaction under way began, in seconds; None when there is none.
        fail: takes the error.
        stuck_after_s: seconds that a transaction may last.
        look_every_s: seconds between two looks.
    """
    while True:
        since = began()
        if since is not None and time.monotonic() - since > stuck_after_s:
            text = f"a transaction did not end within {stuck_after_s:g} s; a new process takes over"
            _log.error("a transaction does not end", within_s=stuck_after_s)
            return fail(BrokerUnavailableError(text))
        await asyncio.sleep(look_every_s)
