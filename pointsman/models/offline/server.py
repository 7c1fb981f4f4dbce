"""The chat-completions API over HTTP, for any OpenAI client: what `POST /v1/chat/completions` needs, and no more.

`GET /healthz` says that it is there, `POST /_control` makes it misbehave (see `faults`), `GET /_control` counts.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from pointsman.models.offline.completion import BadRequestError, Completion, complete, completion_id
from pointsman.models.offline.faults import FaultPlan, Faults

NOTICE: Final = (
    "This is Pointsman's offline stand-in for a model: deterministic, NO language model. It compares words and numbers."
)
MODEL_NAME: Final = "offline-stand-in"
_MAX_BODY_BYTES: Final = 8 * 1024 * 1024
_FAULTS: Final = web.AppKey("faults", Faults)
_HANG_S: Final = 3600.0
_TYPES: Final = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}


def application(faults: Faults | None = None) -> web.Application:
    """The HTTP application."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app[_FAULTS] = faults or Faults()
    app.router.add_post("/v1/chat/completions", _chat_completions)
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/healthz", _health)
    app.router.add_get("/_control", _counters)
    app.router.add_post("/_control", _control)
    return app


async def start(host: str, port: int, faults: Faults | None = None) -> tuple[web.AppRunner, int]:
    """Serve on `host`; port 0 lets the system choose. The runner (to clean up) and the port that is listened on."""
    # A caller that has gone away must not leave a hanging handler behind.
    runner = web.AppRunner(application(faults), access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=1024)
    await site.start()
    listening: int = runner.addresses[0][1]
    return runner, listening


async def _chat_completions(request: web.Request) -> web.Response:
    faults = request.app[_FAULTS]
    faults.begin()
    try:
        return await _answered(request, faults)
    finally:
        faults.end()


async def _answered(request: web.Request, faults: Faults) -> web.Response:
    body = await request.read()
    if faults.hangs():
        await asyncio.sleep(_HANG_S)
    if faults.latency_ms:
        await asyncio.sleep(faults.latency_ms / 1000)
    if faults.fails():
        headers = {"Retry-After": f"{faults.retry_after_s:g}"} if faults.retry_after_s else {}
        return _error(faults.status, "the stand-in was told to fail", headers=headers)
    try:
        asked = _parsed(body)
        answer = complete(asked)
    except BadRequestError as error:
        return _error(400, error.message, param=error.param)
    return _json(_body(asked, _with_faults(answer, faults), refused=faults.refuses()))


def _with_faults(answer: Completion, faults: Faults) -> Completion:
    rubbish = faults.rubbish()
    if rubbish is None:
        return answer
    is_cut = rubbish == "cut"
    text = answer.text[: len(answer.text) // 2] if is_cut else rubbish
    return Completion(
        text=text,
        finish_reason="length" if is_cut else "stop",
        input_tokens=answer.input_tokens,
        output_tokens=len(text) // 4,
    )


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequestError("We could not parse the JSON body of your request.", "") from None
    if not isinstance(asked, dict):
        raise BadRequestError("The body must be a JSON object.", "")
    if asked.get("stream"):
        raise BadRequestError("The offline stand-in does not stream.", "stream")
    return asked


def _body(asked: dict[str, Any], answer: Completion, *, refused: bool) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refused or answer.tool_calls else answer.text,
        "refusal": "I cannot help with that." if refused else None,
    }
    if answer.tool_calls and not refused:
        message["tool_calls"] = answer.tool_calls
    return {
        "id": completion_id(asked),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": f"{MODEL_NAME} ({asked.get('model')})",
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason, "logprobs": None}],
        "usage": {
            "prompt_tokens": answer.input_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }


def _error(status: int, message: str, *, param: str = "", headers: dict[str, str] | None = None) -> web.Response:
    error = {"message": message, "type": _TYPES.get(status, "server_error"), "param": param or None, "code": None}
    return _json({"error": error}, status=status, headers=headers)


def _json(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    data = json.dumps(body, ensure_ascii=False).encode(errors="replace")
    return web.Response(body=data, status=status, headers=headers, content_type="application/json")


async def _models(_: web.Request) -> web.Response:
    model = {"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": "pointsman"}
    return _json({"object": "list", "data": [model]})


async def _health(_: web.Request) -> web.Response:
    return _json({"status": "ok", "notice": NOTICE})


async def _counters(request: web.Request) -> web.Response:
    return _json(request.app[_FAULTS].counters())


async def _control(request: web.Request) -> web.Response:
    try:
        plan = FaultPlan.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return _error(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    request.app[_FAULTS].plan(plan)
    return _json(request.app[_FAULTS].counters())
