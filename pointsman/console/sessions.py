"""Who a request comes from, and whether it may do what it asks for: the dependencies that routes name."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response

from pointsman.console.access import Session
from pointsman.console.desk import Desk
from pointsman.console.problems import ProblemError

CSRF_HEADER: Final = "X-CSRF-Token"


def the_desk(request: Request) -> Desk:
    """What the application works with."""
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(the_desk)]


def viewer(request: Request, desk: TheDesk) -> Session:
    """The session of somebody who has logged in.

    Raises:
        ProblemError: 401, nobody has.
    """
    session = desk.access.from_cookie(request.cookies.get(desk.access.cookie_name, ""))
    if session is None:
        raise ProblemError(401, "Log in first.", code="login")
    return session


def acting(request: Request, desk: TheDesk, session: Annotated[Session, Depends(viewer)]) -> Session:
    """The session of somebody whose own page asks for a change, not another site in their name.

    Raises:
        ProblemError: 403, the token or the origin is missing or wrong.
    """
    check_origin(request)
    if not desk.access.is_csrf_token(session, request.headers.get(CSRF_HEADER, "")):
        raise ProblemError(403, "The page is older than your login: load it again.", code="csrf")
    return session


def operator(session: Annotated[Session, Depends(acting)]) -> Session:
    """The session of an operator who changes something.

    Raises:
        ProblemError: 403, the account may only look.
    """
    if not session.is_operator():
        raise ProblemError(403, "Your account may look, but not change anything.", code="role")
    return session


Viewer = Annotated[Session, Depends(viewer)]
Acting = Annotated[Session, Depends(acting)]
Operator = Annotated[Session, Depends(operator)]


def check_origin(request: Request) -> None:
    """Refuse what a page of another site sends.

    Raises:
        ProblemError: 403.
    """
    origin, site = request.headers.get("origin", ""), request.headers.get("sec-fetch-site", "same-origin")
    if urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower() or site != "same-origin":
        raise ProblemError(403, "The request comes from another site.", code="origin")


def set_session(request: Request, response: Response, desk: Desk, session: Session) -> None:
    """Have the browser keep `session`."""
    response.set_cookie(
        desk.access.cookie_name,
        desk.access.to_cookie(session),
        max_age=max(0, int((session.ends_at - desk.now()).total_seconds())),
        httponly=True,
        secure=request.url.scheme == "https",
        samesite="strict",
    )
