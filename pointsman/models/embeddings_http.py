"""HTTP to a server that speaks OpenAI's embeddings API: texts out, vectors back, or an error in words of our own.

Blocks, unlike `completions_http`: who embeds is a worker thread or a command. Nothing is tried again here. What a
server says may quote a text: it stands in no error or log.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import httpx2

from pointsman.errors import ConfigurationError, ModelAnswerError, ModelUnavailableError, PointsmanError
from pointsman.models.completions_http import OPENAI
from pointsman.models.http_errors import Server, translated

_SERVER: Final = Server(name="the embedding server", named_by="POINTSMAN_EMBEDDINGS")
_FOR_THE_TEXTS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
"""What a server answers because of the texts. Any other refusal would meet every text: no message is lost over it."""


class EmbeddingsHttp:
    """Connections to one server, which are kept. Safe for several threads.

    Args:
        model: the model's name.
        api_key: goes out as the bearer token.
        base_url: address of the API, ending in `/v1`.
    """

    def __init__(self, model: str, api_key: str, base_url: str = OPENAI) -> None:
        self._model = model
        self._url = f"{base_url.rstrip('/')}/embeddings"
        headers = {
            # As bytes: a key with other characters is the server's to refuse.
            b"Authorization": f"Bearer {api_key}".encode(),
            b"Content-Type": b"application/json",
            b"User-Agent": b"pointsman",
        }
        self._client = httpx2.Client(headers=headers, follow_redirects=True)

    def vectors(self, texts: Sequence[str], timeout_s: float) -> list[Any]:
        """Ask once; one entry per text, in their order, of numbers if the server keeps the API.

        Args:
            texts: what to embed.
            timeout_s: seconds to wait for the server, each time that it has to say something.

        Raises:
            ModelUnavailableError: no connection, no answer in time, a status that no text is to blame for, or no
                vectors in it.
            ModelAnswerError: the server refuses the texts.
            ModelRefusedError: the server's content filter declines them.
            ConfigurationError: the key, the model's name or the address is wrong.
        """
        octets = json.dumps({"model": self._model, "input": list(texts), "encoding_format": "float"}).encode()
        try:
            answer = self._client.post(self._url, content=octets, timeout=timeout_s)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
            raise ConfigurationError("OPENAI_BASE_URL is no address", "write it like http://server/v1") from None
        except httpx2.TimeoutException:
            raise ModelUnavailableError(f"{_SERVER.name} did not answer within {timeout_s:g} s") from None
        except httpx2.HTTPError as error:
            raise ModelUnavailableError(f"no connection to {_SERVER.name} ({type(error).__name__})") from None
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            raise _meaning(answer)
        return _in_order(answer.content, len(texts))

    def close(self) -> None:
        """Give connections back."""
        self._client.close()


def _meaning(answer: httpx2.Response) -> PointsmanError:
    error = translated(answer.status_code, answer.headers, answer.content, _SERVER)
    if isinstance(error, ModelAnswerError) and answer.status_code not in _FOR_THE_TEXTS:
        return ModelUnavailableError(error.detail)
    return error


def _in_order(body: bytes, wanted: int) -> list[Any]:
    try:
        entries = json.loads(body)["data"]
        found = {entry["index"]: entry["embedding"] for entry in entries}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelUnavailableError(f"{_SERVER.name} answered with no vectors") from None
    if len(entries) != wanted or found.keys() != set(range(wanted)):
        raise ModelUnavailableError(f"{_SERVER.name} answered with another number of vectors")
    return [found[number] for number in range(wanted)]
