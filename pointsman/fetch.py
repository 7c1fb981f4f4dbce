"""Fetches a page whose address a stranger wrote, without ever reaching into our own network.

The gate stands where the socket is made: aiohttp asks `_public_socket` for each address that it is about to connect to,
so what was checked is what is connected to, however the host was written and whatever its name resolved to before.
Redirects are followed here, one by one, each through the same gate.

Why no ready library: drawbridge 0.1.2 pins the address as we do, but its list misses networks that reach inside (6to4
relay, site-local, a cloud's metadata service on a public address) and it times each read, not the fetch; safehttpx
0.2.0 bounds neither size nor ports, lets carrier-grade NAT through and asks a third party's resolver.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from yarl import URL

_REFUSED_NETWORKS: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        "168.63.129.16/32",  # a cloud's metadata service on a public address
        "2001::/23",  # protocol assignments and Teredo: may carry an IPv4 address
        "2001:db8::/32", "2002::/16",  # documentation; 6to4
        "3fff::/20",
    )
)  # fmt: skip
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is routed; outside lie loopback, mapped, NAT64, link-local, site-local and unique local."""

_REFUSED_SUFFIXES: Final = (
    "localhost", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa", "test", "example",
    "invalid", "onion",
)  # fmt: skip
"""Names that the public DNS cannot know (RFC 2606, 6761, 8375, and usage): asking for them only costs time."""

_PORTS: Final = {"http": 80, "https": 443}
_HEADERS: Final = {"User-Agent": "pointsman", "Accept": "text/html", "Accept-Encoding": "gzip"}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHUNK_BYTES: Final = 16 * 1024
_AT_ONCE: Final = 16
"""Look-ups at the same time per fetcher: a name server that hangs must not use up the process's threads."""


class FetchError(Exception):
    """The page could not be had. For callers a missing page, never a failure.

    Attributes:
        why: a few words without the address: `refused address`, `status 404`, `time-out`.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, kw_only=True)
class Page:
    """A fetched HTML page.

    Attributes:
        host: host that answered at last, after redirects.
        html: its text, decoded.
    """

    host: str
    html: str


@dataclass(kw_only=True)
class SafeFetcher:
    """Fetches HTML pages from the public web, and from nowhere else.

    Attributes:
        timeout_s: seconds for a whole fetch: names, redirects and body.
        max_bytes: upper bound of a body, before and after decompression.
        max_redirects: redirects followed.
        also_allow: `host:port` pairs that may be private or on another port: for trials on one machine.
    """

    timeout_s: float = 5.0
    max_bytes: int = 2_000_000
    max_redirects: int = 3
    also_allow: Sequence[str] = ()
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False, repr=False)

    async def fetch(self, address: str) -> Page:
        """Fetch the HTML page at `address`.

        Raises:
            FetchError: it is not on the public web, not HTML, too large, too slow, or not there.
        """
        try:
            async with asyncio.timeout(self.timeout_s), self._slots:
                return await self._follow(_parse(address))
        except TimeoutError:
            raise FetchError("time-out") from None
        # aiohttp lets ValueError and its kind through for some malformed addresses and headers.
        except (aiohttp.ClientError, OSError, ValueError, zlib.error) as error:
            raise FetchError(f"no connection ({type(error).__name__})") from None

    async def _follow(self, url: URL) -> Page:
        for _ in range(self.max_redirects + 1):
            answer = await self._get(url)
            if isinstance(answer, Page):
                return answer
            url = answer
        raise FetchError("too many redirects")

    async def _get(self, url: URL) -> Page | URL:
        """The page at `url`, or where it redirects to."""
        gate = None if self._is_allowed_anyway(url) else _public_socket
        if gate:
            _check(url)
        connector = aiohttp.TCPConnector(socket_factory=gate, force_close=True, use_dns_cache=False)
        async with (
            aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
            ) as session,
            session.get(url, headers=_HEADERS, allow_redirects=False) as response,
        ):
            if response.status in _REDIRECTS:
                return _parse(str(url.join(URL(response.headers.get("Location", "")))))
            return await self._read(response, url)

    async def _read(self, response: aiohttp.ClientResponse, url: URL) -> Page:
        if response.status != 200:
            raise FetchError(f"status {response.status}")
        if response.content_type not in ("text/html", "application/xhtml+xml"):
            raise FetchError("not HTML")
        body = bytearray()
        inflate = _inflater(response.headers.get("Content-Encoding", "identity"))
        received = 0
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            received += len(chunk)
            body += inflate.decompress(chunk, self.max_bytes + 1 - len(body)) if inflate else chunk
            if max(received, len(body)) > self.max_bytes:
                raise FetchError("too large")
        return Page(host=url.host or "", html=_decoded(bytes(body), response.charset))

    def _is_allowed_anyway(self, url: URL) -> bool:
        return f"{url.host}:{url.port}" in self.also_allow


def is_public(address: str) -> bool:
    """Whether the IP address `address` belongs to the public internet."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if ip.version == 6 and ip not in _GLOBAL_UNICAST:
        return False
    return not any(ip.version == network.version and ip in network for network in _REFUSED_NETWORKS)


def _public_socket(info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, address = info
    if not is_public(address[0]):
        raise PermissionError("refused address")
    return socket.socket(family=family, type=kind, proto=protocol)


def _parse(address: str) -> URL:
    try:
        url = URL(address)
        has_credentials = bool(url.user or url.password)
        known = url.scheme in _PORTS and bool(url.host) and url.port is not None
    except ValueError:
        raise FetchError("malformed address") from None
    if not known:
        raise FetchError("not an http address")
    if has_credentials:
        raise FetchError("address with credentials")
    return url.with_fragment(None)


def _check(url: URL) -> None:
    """Refuse what needs no look-up to be refused."""
    if url.port != _PORTS[url.scheme]:
        raise FetchError("refused port")
    host = (url.host or "").rstrip(".").lower()
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if "." not in host or host.endswith(tuple(f".{suffix}" for suffix in _REFUSED_SUFFIXES)):
            raise FetchError("refused name") from None
    else:
        if not is_public(host):
            raise FetchError("refused address")


def _inflater(encoding: str) -> Any:
    """A decompressor that can be told how much it may give out; None when nothing is compressed."""
    if encoding.strip().lower() in ("", "identity"):
        return None
    if encoding.strip().lower() in ("gzip", "x-gzip"):
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    raise FetchError("unknown compression")


def _decoded(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8", errors="replace")
    # A charset may be unknown, or known to Python and no text encoding at all.
    except (LookupError, ValueError):
        return body.decode(errors="replace")
