"""Scheduled agents: asks every half second what is due, and writes it like any other result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from pointsman.envelope import Envelope, Record
from pointsman.errors import PermanentError, PointsmanError
from pointsman.runtime.agent import Scheduled
from pointsman.runtime.handling import ActiveAgent
from pointsman.topics import MESSAGES

EVERY_S: Final = 0.5

_log = structlog.get_logger(__name__)


async def speak_when_due(
    active: Callable[[], ActiveAgent | None],
    emit: Callable[[Sequence[Record]], Awaitable[None]],
    now: Callable[[], datetime],
) -> None:
    """Run until cancelled.

    Args:
        active: the agent in force.
        emit: writes records in a transaction; returns when they are committed.
        now: the clock, UTC.
    """
    while True:
        current = active()
        if current is not None and isinstance(current.agent, Scheduled):
            await speak_once(current, current.agent, emit, now())
        await asyncio.sleep(EVERY_S)


async def speak_once(
    active: ActiveAgent, agent: Scheduled, emit: Callable[[Sequence[Record]], Awaitable[None]], now: datetime
) -> None:
    """Write what is due at `now`, and tell the agent so; a failure is logged and met again half a second later."""
    try:
        messages = [message for message in await agent.due(now) if _is_declared(active, message)]
        if messages:
            await emit([message.to_record(MESSAGES) for message in messages])
        for message in messages:
            await agent.emitted(message)
    except PointsmanError as error:
        _log.warning("what is due could not be written, trying again", problem=str(error))
    except Exception as error:  # the edge: a bug in the schedule must not stop the messages
        _log.error("the agent's schedule failed", exc_info=error)


def _is_declared(active: ActiveAgent, message: Envelope) -> bool:
    try:
        active.check_output(message.event_type, message)
    except PermanentError as error:
        _log.error("a due message is not what the definition declares", message_id=message.id, problem=str(error))
        return False
    return True
