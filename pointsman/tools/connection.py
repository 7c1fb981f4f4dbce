"""The way to one MCP server: a session that is opened when it is needed, and anew when it broke."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pointsman.definitions import ToolServer
from pointsman.models import ToolOffer
from pointsman.tools.session import ServerSession


class ServerConnection:
    """One server. For one event loop.

    Args:
        server: the server, as the definition declares it.
        environment: the variables that it gets of the process's environment.
    """

    def __init__(self, server: ToolServer, environment: Mapping[str, str]) -> None:
        self.server = server
        self._environment = environment
        self._opening = asyncio.Lock()
        self._session: ServerSession | None = None
        self._held: set[asyncio.Task[None]] = set()

    async def offers(self) -> tuple[ToolOffer, ...]:
        """The allowed tools that the server has.

        Raises:
            ToolUnavailableError: it does not answer.
        """
        return (await self._usable()).offers

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        """Call `tool`, by the server's own name for it; what the model gets of the outcome.

        Raises:
            ToolUnavailableError: the server is gone, or took too long.
        """
        return await (await self._usable()).call(tool, arguments)

    async def close(self) -> None:
        """End the session, when its calls are done."""
        if self._session is not None:
            self._session.retire()
            self._session = None
        if self._held:
            await asyncio.wait(self._held)

    async def _usable(self) -> ServerSession:
        async with self._opening:
            if self._session is None or not self._session.is_usable:
                self._session = await self._opened()
            return self._session

    async def _opened(self) -> ServerSession:
        session = ServerSession(self.server, self._environment)
        self._held.add(session.over)
        session.over.add_done_callback(self._held.discard)
        await session.ready()
        return session
