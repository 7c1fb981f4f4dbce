"""Log in, log out, show and hide personal data."""

from __future__ import annotations

from typing import Annotated, Any, Final

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Body, Request, Response
from fastapi.concurrency import run_in_threadpool

from pointsman.audit import Action, AuditEntry
from pointsman.console.access import Session, Way
from pointsman.console.desk import Desk
from pointsman.console.entrance import CONSOLE, let_in, turn_away
from pointsman.console.problems import ProblemError
from pointsman.console.sessions import Acting, Operator, TheDesk, Viewer, check_origin, set_session
from pointsman.envelope import to_rfc3339

router = APIRouter(prefix="/api/session", include_in_schema=False)

Name = Annotated[str, Body(max_length=100)]
Key = Annotated[str, Body(min_length=1, max_length=400)]
Token = Annotated[str, Body(embed=True, min_length=1, max_length=400)]
Reason = Annotated[str, Body(embed=True, max_length=300)]

# Each check of a key takes 64 MiB: whoever knocks from many addresses at once waits, and the process stays small.
_AT_ONCE: Final = 2


@router.post("")
async def login(request: Request, response: Response, desk: TheDesk, name: Name, key: Key) -> dict[str, Any]:
    """Begin a session with an account's key."""
    check_origin(request)
    request.app.state.rates.check_login(request)
    session = await to_thread.run_sync(desk.access.login, name.strip(), key, limiter=request.app.state.key_checks)
    if session is None:
        await turn_away(desk, Way.KEY, "key", name.strip())
        raise ProblemError(401, "Name and access key do not belong together.", code="key")
    await let_in(request, response, desk, session)
    return _about(desk, session)


@router.post("/link")
async def login_by_link(request: Request, response: Response, desk: TheDesk, token: Token) -> dict[str, Any]:
    """Begin a session with the link of a local stack."""
    check_origin(request)
    request.app.state.rates.check_login(request)
    session = desk.access.by_link(token)
    if session is None:
        await turn_away(desk, Way.LINK, "link")
        raise ProblemError(
            401, "The link is not good any more: `pointsman console link` prints a new one.", code="link"
        )
    await let_in(request, response, desk, session)
    return _about(desk, session)


@router.get("/ways")
async def ways(desk: TheDesk) -> dict[str, bool]:
    """How one can log in here, for the login page."""
    return {"key": desk.access.takes_keys, "link": desk.access.takes_links, "sso": desk.sso is not None}


def key_checks() -> CapacityLimiter:
    """How many keys are checked at once."""
    return CapacityLimiter(_AT_ONCE)


@router.get("")
async def who(desk: TheDesk, session: Viewer) -> dict[str, Any]:
    """Who is logged in, and what their changes must carry."""
    return _about(desk, session)


@router.delete("", status_code=204)
async def logout(response: Response, desk: TheDesk, _: Acting) -> None:
    """End the session."""
    response.delete_cookie(desk.access.cookie_name)


@router.post("/unlock")
async def unlock(
    request: Request, response: Response, desk: TheDesk, session: Operator, reason: Reason = ""
) -> dict[str, Any]:
    """Show personal data for a while; who did and why is recorded first."""
    shown = desk.access.unlocked(session)
    entry = AuditEntry(
        action=Action.PERSONAL_DATA_SHOWN,
        subject=CONSOLE,
        by=session.name,
        at=desk.now(),
        details={"reason": reason, "until": to_rfc3339(shown.unlocked_until)},
    )
    await run_in_threadpool(desk.topics.publish, [entry.to_record()], f"pointsman.console.{session.id}")
    set_session(request, response, desk, shown)
    return _about(desk, shown)


@router.post("/lock")
async def lock(request: Request, response: Response, desk: TheDesk, session: Acting) -> dict[str, Any]:
    """Mask personal data again."""
    hidden = desk.access.locked(session)
    set_session(request, response, desk, hidden)
    return _about(desk, hidden)


def _about(desk: Desk, session: Session) -> dict[str, Any]:
    is_unlocked = session.is_unlocked(desk.now())
    return {
        "name": session.name,
        "role": session.role.value,
        "csrf": desk.access.csrf_token(session),
        "ends_at": to_rfc3339(session.ends_at),
        "unlocked_until": to_rfc3339(session.unlocked_until) if is_unlocked else None,
        "flink_url": desk.flink_url,
    }
