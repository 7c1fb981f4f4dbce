"""Errors over HTTP as RFC 9457 problem details: what happened and what to do, never what somebody sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from pointsman.errors import (
    ConfigurationError,
    InvalidDefinitionsError,
    PermanentError,
    PointsmanError,
    RefusedError,
    TransientError,
)

_log = structlog.get_logger(__name__)

_MEDIA_TYPE: Final = "application/problem+json"
_STATUS: Final[tuple[tuple[type[PointsmanError], int], ...]] = (
    (RefusedError, 409),
    (InvalidDefinitionsError, 422),
    (ConfigurationError, 409),
    (PermanentError, 422),
    (TransientError, 503),
)
_TITLES: Final = {
    400: "The request cannot be read",
    401: "Log in first",
    403: "Not allowed",
    404: "There is nothing here",
    405: "That cannot be done here",
    409: "It cannot be done as things stand",
    413: "The request is too large",
    415: "The request is of another media type",
    422: "Something in the request does not fit",
    429: "Too many requests",
    500: "Something went wrong here",
    503: "Something it needs does not answer",
}


class ProblemError(Exception):
    """An answer other than success.

    Args:
        status: the HTTP status.
        detail: one sentence for a person.
        code: for programs, snake case; becomes the problem's type.
        errors: which fields are wrong: `pointer` (RFC 6901) and `detail`.
        headers: headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str = "",
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, code)
        self.status = status
        self.detail = detail
        self.code = code
        self.errors = errors
        self.headers = headers


def install_problems(app: FastAPI) -> None:
    """Have `app` answer every error as problem details."""

    @app.exception_handler(ProblemError)
    def _own(_: Request, error: ProblemError) -> JSONResponse:
        return problem(error.status, error.detail, error.code, errors=error.errors, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, "Correct what is named under errors.", "invalid", errors=_fields(error))

    @app.exception_handler(HTTPException)
    def _http(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(PointsmanError)
    def _pointsman(_: Request, error: PointsmanError) -> JSONResponse:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        return problem(status, str(error), type(error).__name__.removesuffix("Error").lower())

    @app.exception_handler(Exception)
    def _unexpected(request: Request, error: Exception) -> JSONResponse:
        _log.error("a request failed", method=request.method, route=_route(request), exc_info=error)
        return problem(500, "The log of the console says more.", "fault")


def problem(
    status: int,
    detail: str,
    code: str = "",
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """One problem as an answer; see `ProblemError`."""
    body: dict[str, Any] = {
        "type": f"urn:pointsman:problem:{code}" if code else "about:blank",
        "title": _TITLES.get(status, "The request failed"),
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = [dict(one) for one in errors]
    return JSONResponse(body, status_code=status, media_type=_MEDIA_TYPE, headers=dict(headers or {}))


def _fields(error: RequestValidationError) -> list[dict[str, str]]:
    """Which field and why; the library's texts name rules, and what was sent stays out."""
    return [
        {"pointer": "".join(f"/{part}" for part in one["loc"][1:]), "detail": str(one["msg"])}
        for one in error.errors()[:50]
    ]


def _route(request: Request) -> str:
    route = request.scope.get("route")
    return str(getattr(route, "path", ""))
