"""HTTP to a chat-completions server: a JSON body out, the bytes of a completion back, or an error in words of our own.

Without the openai SDK, whose types and layers cost over a millisecond of CPU per call: the router asks thousands of
times a second. Nothing is tried again here. What a server says may quote the prompt: it stands in no error or log.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from httpx2 import create_ssl_context

from pointsman.errors import (
    ConfigurationError,
    ModelAnswerError,
    ModelBusyError,
    ModelRefusedError,
    ModelUnavailableError,
    PointsmanError,
)

OPENAI: Final = "https://api.openai.com/v1"
_TRANSIENT_STATUS: Final = frozenset({408, 409, 425})
_UNSUPPORTED: Final = frozenset({"unsupported_value", "unsupported_parameter"})
_CONTENT_FILTER: Final = "content_filter"
_LONGEST_PAUSE_S: Final = 3600.0
"""What a server may ask for; more is a broken clock or a hostile proxy, and would silence the model for ever."""


class TemperatureRefusedError(ModelAnswerError):
    """The model takes no temperature of ours."""


class CompletionsHttp:
    """Connections to one server. Belongs to the event loop that first asks.

    Args:
        api_key: goes out as the bearer token.
        base_url: address of the API, ending in `/v1`.
    """

    def __init__(self, api_key: str, base_url: str = OPENAI) -> None:
        self._api_key = api_key
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: Mapping[str, Any]) -> bytes:
        """Ask once; the body of the answer. The caller bounds the time.

        Raises:
            ModelUnavailableError: no connection, or a status that may pass; with the wait that the server asks for.
            ModelAnswerError: the server refuses the request; `TemperatureRefusedError` where the temperature is why.
            ModelRefusedError: the server's content filter declined the question.
            ConfigurationError: the key, the model's name or the address is wrong.
        """
        octets = json.dumps(body, separators=(",", ":")).encode()
        try:
            async with self._opened().post(self._url, data=octets) as response:
                answered = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise ModelUnavailableError(f"no connection to the model ({type(error).__name__})") from None
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _translated(response.status, response.headers, answered) from None
        return answered

    async def close(self) -> None:
        """Give connections back."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        # Not in the constructor: a session belongs to the running loop, and a constructor touches no network.
        if self._session is None:
            # To read all certificates takes a while, and where none are needed a call's time-out would run meanwhile.
            tls = create_ssl_context() if self._url.startswith("https:") else True
            # Whoever asks holds a slot of the model, which is what bounds connections.
            connector = aiohttp.TCPConnector(limit=0, ssl=tls)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={
                    "Authorization": f"Bearer {self._api_key}",
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                    "User-Agent": "pointsman",
                },
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                # Found out once: `trust_env` would ask the environment and read ~/.netrc for every call, on a thread.
                proxy=_proxy_for(self._url),
            )
        return self._session


def _proxy_for(url: str) -> str | None:
    """The proxy that the standard library names for `url` (`HTTPS_PROXY`, `NO_PROXY` …), as for every HTTP client."""
    address = urlsplit(url)
    return None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)


def _translated(status: int, headers: Mapping[str, str], body: bytes) -> PointsmanError:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ModelBusyError("the model server answered 429", _retry_after_s(headers))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT_STATUS:
        return ModelUnavailableError(f"the model server answered {status}", _retry_after_s(headers))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ConfigurationError(f"the model server refuses the API key ({status})", "correct OPENAI_API_KEY")
    if status == HTTPStatus.NOT_FOUND:
        remedy = "correct POINTSMAN_MODEL, the definition's model name or OPENAI_BASE_URL"
        return ConfigurationError("the model server does not know the model or the address (404)", remedy)
    return _refused(status, body)


def _refused(status: int, body: bytes) -> ModelAnswerError | ModelRefusedError:
    code, param = _code_and_param(body)
    if code == _CONTENT_FILTER:
        return ModelRefusedError("the server's content filter declined the question")
    named = f", {code}" if code.isidentifier() and len(code) <= 64 else ""
    detail = f"the model server refused the request ({status}{named})"
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
