"""What happens at every login, by whichever way: it is on record, and the browser keeps the session."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

import structlog
from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from pointsman.audit import Action, AuditEntry
from pointsman.console.access import Session, Way
from pointsman.console.desk import Desk
from pointsman.console.sessions import set_session
from pointsman.errors import PointsmanError

_log = structlog.get_logger(__name__)

CONSOLE: Final = "console"


async def let_in(
    request: Request, response: Response, desk: Desk, session: Session, details: Mapping[str, Any] | None = None
) -> None:
    """Begin `session`, which is on record."""
    about = {"way": session.way.value, "role": session.role.value, **(details or {})}
    await _record(desk, Action.LOGIN_GRANTED, CONSOLE, by=session.name, details=about)
    set_session(request, response, desk, session)


async def turn_away(desk: Desk, way: Way, reason: str, name: str = "") -> None:
    """Record that somebody was not let in.

    Args:
        desk: what the console works with.
        way: how they tried.
        reason: why not, as a code.
        name: whose name they gave. It is recorded when there is such an account; whatever else stands in that field
            may be a key that went into the wrong one.
    """
    _log.warning("a login was refused", way=way.value, reason=reason)
    subject = f"accounts/{name}" if desk.access.knows(name) else CONSOLE
    await _record(desk, Action.LOGIN_REFUSED, subject, by=CONSOLE, details={"way": way.value, "reason": reason})


async def _record(desk: Desk, action: Action, subject: str, *, by: str, details: Mapping[str, Any]) -> None:
    """A login goes on without its record while Kafka is away: all it can do then is look at masked data."""
    entry = AuditEntry(action=action, subject=subject, by=by, at=desk.now(), details=details)
    if desk.view.kafka == "down":  # known already: nobody has to wait until the client gives up
        _log.error("a login is not on record", action=action.value, reason="kafka is down")
        return
    try:
        await run_in_threadpool(desk.topics.publish, [entry.to_record()], f"pointsman.console.{secrets.token_hex(8)}")
    except PointsmanError as error:
        _log.error("a login is not on record", action=action.value, reason=type(error).__name__)
