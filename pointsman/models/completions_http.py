"""HTTP to a chat-completions server: a JSON body out, the bytes of a completion back, or an error in words of our own.

Without the openai SDK, whose types and layers cost over a millisecond of CPU per call: the router asks thousands of
times a second. Nothing is tried again here. What a server says may quote the prompt: it stands in no error or log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from httpx2 import create_ssl_context

from pointsman.errors import ModelUnavailableError
from pointsman.models.http_errors import Server, translated

OPENAI: Final = "https://api.openai.com/v1"
_SERVER: Final = Server(name="the model server", named_by="POINTSMAN_MODEL, the definition's model name")


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
            raise translated(response.status, response.headers, answered, _SERVER) from None
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
