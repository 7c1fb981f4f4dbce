"""What a server of OpenAI's API means by a status that is none of success, in errors of our own.

What a server says may quote the question: it stands in no error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from pointsman.errors import (
    ConfigurationError,
    ModelAnswerError,
    ModelBusyError,
    ModelRefusedError,
    ModelUnavailableError,
    PointsmanError,
)

_TRANSIENT_STATUS: Final = frozenset({408, 409, 425})
_UNSUPPORTED: Final = frozenset({"unsupported_value", "unsupported_parameter"})
_CONTENT_FILTER: Final = "content_filter"
_LONGEST_PAUSE_S: Final = 3600.0
"""What a server may ask for; more is a broken clock or a hostile proxy, and would silence the model for ever."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """Who answers.

    Attributes:
        name: as an error calls it.
        named_by: the settings that name its model.
    """

    name: str
    named_by: str


class TemperatureRefusedError(ModelAnswerError):
    """The model takes no temperature of ours."""


def translated(status: int, headers: Mapping[str, str], body: bytes, server: Server) -> PointsmanError:
    """The error that says what an answer of 400 or above means.

    Args:
        status: the answer's.
        headers: the answer's; may ask for a wait.
        body: the answer's; only codes are taken from it.
        server: who answered.
    """
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ModelBusyError(f"{server.name} answered 429", _retry_after_s(headers))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT_STATUS:
        return ModelUnavailableError(f"{server.name} answered {status}", _retry_after_s(headers))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ConfigurationError(f"{server.name} refuses the API key ({status})", "correct OPENAI_API_KEY")
    if status == HTTPStatus.NOT_FOUND:
        what = f"{server.name} does not know the model or the address (404)"
        return ConfigurationError(what, f"correct {server.named_by} or OPENAI_BASE_URL")
    return _refused(status, body, server)


def _refused(status: int, body: bytes, server: Server) -> ModelAnswerError | ModelRefusedError:
    code, param = _code_and_param(body)
    if code == _CONTENT_FILTER:
        return ModelRefusedError("the server's content filter declined the question")
    named = f", {code}" if code.isidentifier() and len(code) <= 64 else ""
    detail = f"{server.name} refused the request ({status}{named})"
    takes_none = param == "temperature" and code in _UNSUPPORTED
    return TemperatureRefusedError(detail) if takes_none else ModelAnswerError(detail)


def _code_and_param(body: bytes) -> tuple[str, str]:
    """`error.code` and `error.param` of an error's body, which may be anything; empty where there is none."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    error = said.get("error", said) if isinstance(said, dict) else None
    if not isinstance(error, dict):
        return "", ""
    code, param = error.get("code"), error.get("param")
    return code if isinstance(code, str) else "", param if isinstance(param, str) else ""


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, by the headers `retry-after-ms` or `Retry-After` (seconds or a date, RFC 9110 10.2.3)."""
    for name, unit in (("retry-after-ms", 1000.0), ("Retry-After", 1.0)):
        try:
            return _within_reason(float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    try:
        until = parsedate_to_datetime(headers["Retry-After"])
    except (KeyError, ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return _within_reason((until - datetime.now(UTC)).total_seconds())


def _within_reason(seconds: float) -> float:
    return min(max(0.0, seconds), _LONGEST_PAUSE_S) if math.isfinite(seconds) else _LONGEST_PAUSE_S
