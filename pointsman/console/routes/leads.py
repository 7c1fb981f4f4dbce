"""Leads from outside: the public form, and the HTTP interface for other programs. Writes MongoDB and nothing else."""

from __future__ import annotations

import hmac
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request, Response, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, ConfigDict, Field

from pointsman.console.problems import ProblemError
from pointsman.console.sessions import TheDesk, check_origin
from pointsman.console.tickets import FASTEST
from pointsman.leads import Lead, hand_in

router = APIRouter()

_FORM: Final = "form"
_api_key = APIKeyHeader(name="X-API-Key", auto_error=False, description="A key of POINTSMAN_LEADS_API_KEYS.")

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=200,
        description="Chosen by you, one for each lead: sent again after a time-out, the lead is not inserted twice.",
    ),
]


class Accepted(BaseModel):
    """What was inserted.

    Attributes:
        id: the lead's id, which is also its workflow's.
    """

    id: str


class Problem(BaseModel):
    """An error (RFC 9457).

    Attributes:
        type: for programs.
        title: what kind of error.
        status: the HTTP status.
        detail: what happened and what to do.
        errors: which fields are wrong.
    """

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = Field(default=[])


class FormLead(BaseModel):
    """What the form's page sends.

    Attributes:
        lead: what was filled in.
        ticket: when the page was loaded.
        nickname: the field that no person sees: whoever fills it in is a program.
    """

    model_config = ConfigDict(extra="forbid")

    lead: Lead
    ticket: str = Field(max_length=400)
    nickname: str = Field(default="", max_length=400)


def _answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"model": Problem, "content": content} for status in statuses}


@router.post(
    "/api/leads",
    status_code=201,
    summary="Hand a lead in",
    responses={200: {"model": Accepted, "description": "It was there already"}, **_answers(401, 409, 413, 422, 503)},
    tags=["leads"],
)
async def post_lead(
    response: Response,
    lead: Lead,
    desk: TheDesk,
    api_key: Annotated[str | None, Security(_api_key)],
    idempotency_key: IdempotencyKey = None,
) -> Accepted:
    """Insert one lead. It is in MongoDB, acknowledged by a majority, when the answer comes."""
    sender = _sender(desk.api_keys, api_key or "")
    identity, is_new = await hand_in(
        desk.store, lead, sender=f"api/{sender}", key=idempotency_key, now=desk.now(), spans=desk.spans
    )
    response.status_code = 201 if is_new else 200
    return Accepted(id=identity)


@router.get("/form/ticket", include_in_schema=False)
async def ticket(request: Request) -> dict[str, Any]:
    """A ticket for a form that is loaded now, and how long it is too young to be believed."""
    return {"ticket": request.app.state.tickets.give(), "wait_ms": int(FASTEST.total_seconds() * 1000)}


@router.post("/form/leads", status_code=202, include_in_schema=False)
async def post_form(
    request: Request, form: FormLead, desk: TheDesk, idempotency_key: IdempotencyKey = None
) -> dict[str, bool]:
    """Take a filled-in form; the answer is the same whoever the address belongs to."""
    check_origin(request)
    request.app.state.rates.check_form(request)
    if form.nickname:
        return {"accepted": True}  # a program is told nothing it could learn from
    _check_ticket(request, form.ticket)
    if not form.lead.consent:
        errors = [{"pointer": "/lead/consent", "detail": "We may only write to you if you agree."}]
        raise ProblemError(422, "Correct what is named under errors.", code="invalid", errors=errors)
    lead = form.lead.model_copy(update={"source": _FORM})
    await hand_in(desk.store, lead, sender=_FORM, key=idempotency_key, now=desk.now(), spans=desk.spans)
    return {"accepted": True}


def _check_ticket(request: Request, given: str) -> None:
    age = request.app.state.tickets.age(given)
    if age is None:
        raise ProblemError(409, "The page was open for too long: load it again.", code="ticket")
    if age < FASTEST:
        raise ProblemError(409, "That was very fast: wait a moment and send it again.", code="too_fast")


def _sender(keys: dict[str, str], given: str) -> str:
    found = [name for name, key in keys.items() if hmac.compare_digest(key.encode(), given.encode(errors="replace"))]
    if not found:
        headers = {"WWW-Authenticate": "X-API-Key"}
        raise ProblemError(401, "Send a valid key in the header X-API-Key.", code="api_key", headers=headers)
    return found[0]
