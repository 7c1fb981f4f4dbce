"""One open session with one MCP server.

A task of its own holds it open: what the library opens must be closed by the task that opened it, and messages come and
go. What a server writes to stderr is dropped, and no error quotes a server: both may repeat a lead's words.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog

from pointsman.definitions import ToolServer
from pointsman.errors import ToolUnavailableError
from pointsman.models import ToolOffer
from pointsman.tools.results import (
    MOST_DESCRIPTION_CHARS,
    MOST_SCHEMA_CHARS,
    clipped,
    result_text,
    told,
    told_error,
)

if TYPE_CHECKING:
    from mcp import Client, MCPError
    from mcp.types import CallToolResult, Tool

OPEN_WITHIN_S: Final = 30.0
"""A server may be a program that has to start first."""
_MOST_PAGES: Final = 20
_UNREADABLE: Final = "the tool's answer could not be read"

_log = structlog.get_logger(__name__)


class ServerSession:
    """A session, from its making to the end of its last call after `retire`. Make it inside a running event loop.

    Args:
        server: the server.
        environment: variables that the server gets beside those that every program needs (PATH, HOME …).

    Attributes:
        offers: the allowed tools that the server has; known once it is `ready`.
        over: ends with the session.
    """

    def __init__(self, server: ToolServer, environment: Mapping[str, str]) -> None:
        self._server = server
        self._environment = environment
        self._leave = asyncio.Event()
        self._calls = 0
        self._is_retired = False
        self._client: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self.offers: tuple[ToolOffer, ...] = ()
        self.over = asyncio.create_task(self._hold(), name=f"tools of {server.name}")

    async def ready(self) -> None:
        """Wait until it is open and the server's tools are known.

        Raises:
            ToolUnavailableError: the server did not answer in time, or not at all.
        """
        waited_for: list[asyncio.Future[Any]] = [self._client, self.over]
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise self._unavailable(f"was not ready within {OPEN_WITHIN_S:g} s") from None
        finally:
            if not self._client.done():
                self.over.cancel()
        if not self._client.done():
            raise self._unavailable("cannot be reached or does not start")

    @property
    def is_usable(self) -> bool:
        """Whether a new call may begin."""
        return not self._is_retired and not self.over.done()

    def retire(self) -> None:
        """Close as soon as no call is under way."""
        self._is_retired = True
        if not self._calls:
            self._leave.set()

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        """Call `tool`; what it said, or its error, as data for the model.

        Raises:
            ToolUnavailableError: the server is gone, or the call took longer than the definition grants.
        """
        self._calls += 1
        asked = asyncio.ensure_future(self._asked(tool, arguments))
        waited_for: list[asyncio.Future[Any]] = [asked, self.over]
        try:
            # The library may leave a caller waiting whose connection broke down.
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise self._unavailable("went away during a call")
            return asked.result()
        except ToolUnavailableError:
            self._is_retired = True
            raise
        finally:
            asked.cancel()
            self._calls -= 1
            if self._is_retired:
                self.retire()

    async def _asked(self, tool: str, arguments: dict[str, Any]) -> str:
        from mcp import MCPError

        try:
            result = await self._client.result().call_tool(tool, arguments, self._server.timeout_s)
        except MCPError as error:
            return self._refusal(error)
        except OSError as error:
            raise self._unavailable(f"does not answer ({type(error).__name__})") from None
        except (ValueError, RuntimeError):
            return told_error(_UNREADABLE)
        return self._said(result)

    def _said(self, result: CallToolResult) -> str:
        return told_error(result_text(result)) if result.is_error else told(result_text(result))

    def _refusal(self, error: MCPError) -> str:
        from mcp.types import CONNECTION_CLOSED, INTERNAL_ERROR, INVALID_REQUEST, REQUEST_TIMEOUT

        if error.code == REQUEST_TIMEOUT:
            raise self._unavailable(f"did not answer a call within {self._server.timeout_s:g} s") from None
        # Over HTTP these stand for a status of 500 and more, and for a session that the server has forgotten.
        by_status = {INTERNAL_ERROR, INVALID_REQUEST} if self._server.url else set()
        if error.code == CONNECTION_CLOSED or error.code in by_status:
            raise self._unavailable(f"broke off a call (code {error.code})") from None
        return told_error(error.message)

    async def _hold(self) -> None:
        try:
            async with self._connected() as client:
                self.offers = await self._listed(client)
                self._client.set_result(client)
                await self._leave.wait()
        except Exception as error:  # the edge: whatever a server does ends its session and nothing else
            _log.warning("a tool server's session broke", server=self._server.name, problem=_kind(error))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        # Elsewhere than in the loop: the library takes a while to load.
        await asyncio.to_thread(__import__, "mcp")
        from mcp import Client, StdioServerParameters, stdio_client

        timeout_s = max(self._server.timeout_s, OPEN_WITHIN_S)
        if self._server.url:
            async with Client(self._server.url, read_timeout_seconds=timeout_s) as client:
                yield client
            return
        command = self._server.command or []
        parameters = StdioServerParameters(command=command[0], args=command[1:], env=dict(self._environment))
        with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230, PTH123 - no disk is touched
            async with Client(stdio_client(parameters, errlog=nowhere), read_timeout_seconds=timeout_s) as client:
                yield client

    async def _listed(self, client: Client) -> tuple[ToolOffer, ...]:
        found: dict[str, Tool] = {}
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            found |= {tool.name: tool for tool in page.tools}
            cursor = page.next_cursor
            if not cursor:
                break
        offers = [_offer(name, found[tool]) for name, tool in self._server.offered().items() if tool in found]
        usable = tuple(offer for offer in offers if len(str(offer.parameters)) <= MOST_SCHEMA_CHARS)
        if missing := len(self._server.allow) - len(usable):
            _log.warning(
                "a tool server lacks allowed tools, or they are too large", server=self._server.name, n=missing
            )
        return usable

    def _unavailable(self, what: str) -> ToolUnavailableError:
        return ToolUnavailableError(f"tool server {self._server.name} {what}")


def _offer(name: str, tool: Tool) -> ToolOffer:
    description = clipped(tool.description or tool.name, MOST_DESCRIPTION_CHARS)
    return ToolOffer(name=name, description=description, parameters=tool.input_schema)


def _kind(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return type(error).__name__
