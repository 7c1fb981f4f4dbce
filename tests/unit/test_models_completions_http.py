"""HTTP to a model's server: the key, proxies, certificates. Failures: test_models_openai_chat.py."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from pointsman.errors import ModelUnavailableError
from pointsman.models.completions_http import CompletionsHttp


@asynccontextmanager
async def served(asked: list[web.Request], tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that answers `{}` to everything and remembers it; its port."""

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request)  # type: ignore[arg-type]
        await request.read()
        return web.json_response({})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


async def post(base_url: str) -> bytes:
    http = CompletionsHttp("sk-1", base_url)
    try:
        return await http.post({"model": "m"})
    finally:
        await http.close()


async def test_the_question_goes_out_as_json_with_the_key_as_bearer_token() -> None:
    asked: list[web.Request] = []
    async with served(asked) as port:
        assert await post(f"http://127.0.0.1:{port}/v1/") == b"{}"
    (request,) = asked
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["Authorization"] == "Bearer sk-1"
    assert request.content_type == "application/json"


async def test_connections_are_used_again() -> None:
    asked: list[web.Request] = []
    async with served(asked) as port:
        http = CompletionsHttp("k", f"http://127.0.0.1:{port}/v1")
        for _ in range(3):
            await http.post({})
        await http.close()
    assert len({request.protocol for request in asked}) == 1


async def test_the_proxy_of_the_environment_is_asked_except_for_hosts_that_need_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[web.Request] = []
    async with served(asked) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert await post("http://model.example/v1") == b"{}"
        with pytest.raises(ModelUnavailableError, match="no connection"):
            await post("http://127.0.0.1:9/v1")
    assert [request.host for request in asked] == ["model.example"]


async def test_a_server_whose_certificate_nobody_vouches_for_gets_no_question(tmp_path: Path) -> None:
    asked: list[web.Request] = []
    async with served(asked, self_signed(tmp_path)) as port:
        with pytest.raises(ModelUnavailableError, match="no connection") as caught:
            await post(f"https://127.0.0.1:{port}/v1")
    assert asked == []
    assert "sk-1" not in repr(caught.value)


def self_signed(folder: Path) -> ssl.SSLContext:
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
