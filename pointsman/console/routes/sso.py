"""Single sign-on: to the provider and back. A browser walks here, so what goes wrong is told on the login page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from itsdangerous import BadData, URLSafeSerializer

from pointsman.console.access import Way
from pointsman.console.desk import Desk
from pointsman.console.entrance import let_in, turn_away
from pointsman.console.problems import ProblemError
from pointsman.console.sessions import TheDesk
from pointsman.console.sso import Person, Refusal, SingleSignOn, SsoError

_PATH: Final = "/api/session/sso"
_ON_THE_WAY: Final = timedelta(minutes=10)

router = APIRouter(prefix=_PATH, include_in_schema=False)


@router.get("")
async def begin(request: Request, desk: TheDesk) -> Response:
    """To the provider."""
    sso = _configured(desk)
    request.app.state.rates.check_sso(request)
    # The library keeps there what the answer must fit: state, nonce, PKCE verifier.
    request.scope["session"] = {}
    try:
        response = await sso.begin(request, str(request.url_for("sso_callback")))
    except SsoError as error:
        return _back(error.refusal)
    _keep(request, response, desk)
    return response


@router.get("/callback", name="sso_callback")
async def callback(request: Request, desk: TheDesk) -> Response:
    """Back from the provider."""
    sso = _configured(desk)
    request.app.state.rates.check_login(request)
    request.scope["session"] = _kept(request, desk)
    try:
        person = await sso.finish(request)
        response = await _in(request, desk, person)
    except SsoError as error:
        await turn_away(desk, Way.SSO, error.refusal.value)
        response = _back(error.refusal)
    response.delete_cookie(_cookie(desk), path=_PATH)
    return response


async def _in(request: Request, desk: Desk, person: Person) -> Response:
    # A name that a local account has would be two people on record.
    if desk.access.knows(person.name):
        raise SsoError(Refusal.NAME)
    response = RedirectResponse("/", status_code=303)
    session = desk.access.by_sso(person.name, person.role)
    await let_in(request, response, desk, session, {"subject": person.subject})
    return response


def _configured(desk: Desk) -> SingleSignOn:
    if desk.sso is None:
        raise ProblemError(404, "This console has no single sign-on.", code="no_sso")
    return desk.sso


def _back(refusal: Refusal) -> Response:
    return RedirectResponse(f"/login?refused={refusal.value}", status_code=303)


def _cookie(desk: Desk) -> str:
    return f"{desk.access.cookie_name}_sso"


def _signer(desk: Desk) -> URLSafeSerializer:
    return URLSafeSerializer(desk.access.state_secret, salt="pointsman.console.sso")


def _keep(request: Request, response: Response, desk: Desk) -> None:
    response.set_cookie(
        _cookie(desk),
        str(_signer(desk).dumps([int(desk.now().timestamp()), request.session])),
        max_age=int(_ON_THE_WAY.total_seconds()),
        path=_PATH,
        httponly=True,
        secure=request.url.scheme == "https",
        # Lax: the provider's page leads back here, and then it must come along.
        samesite="lax",
    )


def _kept(request: Request, desk: Desk) -> dict[str, Any]:
    """What `_keep` kept; nothing when it is forged or too old."""
    try:
        kept_at, session = _signer(desk).loads(request.cookies.get(_cookie(desk), ""))
        age = timedelta(seconds=desk.now().timestamp() - int(kept_at))
    except (BadData, TypeError, ValueError):
        return {}
    return dict(session) if age <= _ON_THE_WAY else {}
