"""A page whose address a stranger wrote is fetched from the public web or not at all."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pointsman.fetch import FetchError, Page, SafeFetcher, is_public

PAGE = "<html><title>Nordhafen</title><p>Wholesale for harbours</p></html>"
Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a site on loopback; gives its `host:port`."""
    servers: list[TestServer] = []

    async def start(**handlers: Any) -> str:
        app = web.Application()
        for name, handler in handlers.items():
            app.router.add_get(f"/{name}", handler)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        return f"127.0.0.1:{server.port}"

    yield start
    for server in servers:
        await server.close()


def html(body: str | bytes = PAGE, **more: Any) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(_: web.Request) -> web.StreamResponse:
        content = body.encode() if isinstance(body, str) else body
        headers = {"Content-Type": "text/html; charset=utf-8", **more.pop("headers", {})} if more else None
        return web.Response(body=content, headers=headers or {"Content-Type": "text/html"}, **more)

    return handler


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/",
        "http://127.0.0.1:22/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1]/",
        "http://[fc00::1]/",
        "http://10.1.2.3/",
        "http://172.16.0.1/",
        "http://192.168.0.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://168.63.129.16/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://metadata.google.internal/",
        "http://printer.local/",
        "http://localhost/",
        "http://localhost./",
        "http://intranet/",
        "https://8.8.8.8:8443/",
        "http://8.8.8.8:22/",
        "http://8.8.8.8:6379/",
        "http://8.8.8.8:9092/",
        "https://8.8.8.8:80/",
        "ftp://8.8.8.8/",
        "file:///etc/passwd",
        "gopher://8.8.8.8/",
        "data:text/html,hello",
        "javascript:alert(1)",
        "http://user:secret@8.8.8.8/",
        "http://8.8.8.8@127.0.0.1/",
        "http:///",
        "http://",
        "",
        "//8.8.8.8/",
        "http://[::1",
        "http://8.8.8.8:99999/",
        "http://exa mple.com/",
        "http://\x00/",
    ],
)
async def test_addresses_inside_are_refused_before_anything_is_sent(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        pytest.fail("a socket was made")

    monkeypatch.setattr("pointsman.fetch.socket.socket", never)

    with pytest.raises(FetchError) as caught:
        await SafeFetcher(timeout_s=3).fetch(address)

    assert "8.8.8.8" not in caught.value.why
    assert "secret" not in caught.value.why


@pytest.mark.parametrize("inside", ["127.0.0.1", "::1", "10.0.0.8", "169.254.169.254", "::ffff:127.0.0.1", "fe80::1%1"])
async def test_a_public_name_that_resolves_inside_is_refused_at_the_socket(
    inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to(inside))

    with pytest.raises(FetchError, match="no connection"):
        await SafeFetcher(timeout_s=3).fetch("http://rebound.site.com/")


async def test_a_name_that_resolves_outside_and_inside_never_reaches_inside(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await serve(**{"": html()})
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("203.0.113.9", "127.0.0.1"))
    monkeypatch.setattr("pointsman.fetch._PORTS", {"http": int(host.partition(":")[2])})

    with pytest.raises(FetchError, match="no connection"):
        await SafeFetcher(timeout_s=3).fetch(f"http://mixed.site.com:{host.partition(':')[2]}/")


def resolving_to(*addresses: str) -> Callable[..., list[Any]]:
    def getaddrinfo(host: Any, port: int, *_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address.partition("%")[0], port, 0, 1))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    return getaddrinfo


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_addresses_of_the_public_web_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", ["", "localhost", "2001::1", "2001:db8::1", "::7f00:1", "fec0::1", "ff02::1"])
def test_everything_else_is_not(address: str) -> None:
    assert not is_public(address)


async def test_a_page_is_fetched(serve: Serve) -> None:
    host = await serve(about=html())

    assert await fetch(host, "/about") == Page(host="127.0.0.1", html=PAGE)


async def test_an_exception_is_made_for_one_host_and_port_only(serve: Serve) -> None:
    host, other = await serve(about=html()), await serve(about=html())

    with pytest.raises(FetchError, match="refused"):
        await SafeFetcher(also_allow=(host,)).fetch(f"http://{other}/about")


async def test_redirects_are_followed_a_few_times(serve: Serve) -> None:
    host = await serve(a=redirect("/b"), b=redirect("c"), c=redirect("/d"), d=html())

    assert (await fetch(host, "/a")).html == PAGE


async def test_a_redirect_loop_ends(serve: Serve) -> None:
    host = await serve(a=redirect("/a"))

    with pytest.raises(FetchError, match="too many redirects"):
        await fetch(host, "/a")


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:1/", "http://169.254.169.254/", "file:///etc/passwd", "http://localhost/", "//[::1]/"]
)
async def test_a_redirect_to_inside_is_refused(serve: Serve, target: str) -> None:
    host = await serve(a=redirect(target))

    with pytest.raises(FetchError, match=r"refused|not an http address"):
        await fetch(host, "/a")


async def test_a_redirect_without_a_target_ends(serve: Serve) -> None:
    async def nowhere(_: web.Request) -> web.Response:
        return web.Response(status=302)

    with pytest.raises(FetchError):
        await fetch(await serve(a=nowhere), "/a")


async def test_a_large_page_is_given_up(serve: Serve) -> None:
    with pytest.raises(FetchError, match="too large"):
        await fetch(await serve(a=html("x" * 3_000_000)), "/a")


async def test_an_endless_page_is_given_up(serve: Serve) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    with pytest.raises(FetchError, match="too large"):
        await fetch(await serve(a=endless), "/a")


async def test_a_compressed_page_is_read(serve: Serve) -> None:
    host = await serve(a=html(gzip.compress(PAGE.encode()), headers={"Content-Encoding": "gzip"}))

    assert (await fetch(host, "/a")).html == PAGE


async def test_a_compression_bomb_is_given_up(serve: Serve) -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=1)
    host = await serve(a=html(bomb, headers={"Content-Encoding": "gzip"}))

    with pytest.raises(FetchError, match="too large"):
        await fetch(host, "/a")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
async def test_an_unknown_compression_is_refused(serve: Serve, encoding: str) -> None:
    with pytest.raises(FetchError, match="unknown compression"):
        await fetch(await serve(a=html(PAGE, headers={"Content-Encoding": encoding})), "/a")


async def test_what_claims_to_be_gzip_and_is_not_is_a_missing_page(serve: Serve) -> None:
    with pytest.raises(FetchError, match="no connection"):
        await fetch(await serve(a=html(PAGE, headers={"Content-Encoding": "gzip"})), "/a")


async def test_a_site_that_trickles_is_given_up_in_time(serve: Serve) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x")
            await asyncio.sleep(0.02)
        return response

    host = await serve(a=trickle)

    with pytest.raises(FetchError, match="time-out"):
        await SafeFetcher(timeout_s=0.2, also_allow=(host,)).fetch(f"http://{host}/a")


@pytest.mark.parametrize("kind", ["application/pdf", "application/json", "image/png", "application/octet-stream"])
async def test_only_html_is_read(serve: Serve, kind: str) -> None:
    with pytest.raises(FetchError, match="not HTML"):
        await fetch(await serve(a=html(PAGE, headers={"Content-Type": kind})), "/a")


async def test_a_page_that_is_not_there_is_a_missing_page(serve: Serve) -> None:
    with pytest.raises(FetchError, match="status 404"):
        await fetch(await serve(), "/a")


@pytest.mark.parametrize("charset", ["utf-8", "klingon", "hex", "iso-8859-1", "utf-16"])
async def test_a_wrong_charset_does_no_harm(serve: Serve, charset: str) -> None:
    headers = {"Content-Type": f"text/html; charset={charset}"}
    host = await serve(a=html("Gr\xfc\xdfe".encode("latin-1"), headers=headers))

    assert (await fetch(host, "/a")).html


async def test_a_connection_refused_is_a_missing_page() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(FetchError, match="no connection"):
            await fetch(host, "/")


def redirect(target: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": target})

    return handler


async def fetch(host: str, path: str) -> Page:
    return await SafeFetcher(timeout_s=5, also_allow=(host,)).fetch(f"http://{host}{path}")
