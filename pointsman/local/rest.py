"""JSON over HTTP to programs on this machine."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

from pointsman.local.ports import HOST

_TIMEOUT_S: Final = 10.0


def get_json(port: int, path: str) -> Any | None:
    """The answer to GET `path`; None when nobody answers, or not with 200 and JSON."""
    status, body = request(port, "GET", path)
    return body if status == 200 else None


def request(port: int, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Status and JSON body of the answer; status 0 when nobody answers, body None when it is no JSON."""
    connection = HTTPConnection(HOST, port, timeout=_TIMEOUT_S)
    payload = None if body is None else json.dumps(body)
    try:
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, _parse(answer.read())
    except (OSError, HTTPException):
        return 0, None
    finally:
        connection.close()


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
