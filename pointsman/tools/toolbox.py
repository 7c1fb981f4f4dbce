"""The tools that one definition allows, over all its servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from opentelemetry.trace import SpanKind

from pointsman.definitions import AgentDefinition, ToolServer
from pointsman.errors import ConfigurationError
from pointsman.models import ToolCall, ToolOffer
from pointsman.settings import variables
from pointsman.telemetry import Telemetry, names
from pointsman.telemetry.spans import Attributes
from pointsman.tools.connection import ServerConnection
from pointsman.tools.results import told_error


def toolbox_of(definition: AgentDefinition, telemetry: Telemetry) -> Toolbox:
    """The toolbox of `definition`; nothing is started before its first use.

    Raises:
        ConfigurationError: the library `mcp`, or a variable that a server is to get, is missing.
    """
    if find_spec("mcp") is None:
        remedy = "install pointsman[tools], or remove tools from the definition"
        raise ConfigurationError(f"agent_definitions/{definition.name}.yaml: tools need the package mcp", remedy)
    servers = {server.name: server for server in definition.tools}
    return Toolbox([(server, _variables(definition, server)) for server in servers.values()], telemetry)


def _variables(definition: AgentDefinition, server: ToolServer) -> Mapping[str, str]:
    found = variables(server.environment)
    missing = [name for name in server.environment if name not in found]
    if missing:
        what = f"agent_definitions/{definition.name}.yaml: tool server {server.name} needs {', '.join(missing)}"
        raise ConfigurationError(what, "set it for the agent's process, or remove it from the server's environment")
    return found


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The tools that are there for one message.

    Attributes:
        offers: what the model may ask for.
    """

    offers: tuple[ToolOffer, ...]
    _places: Mapping[str, tuple[ServerConnection, str]]
    _telemetry: Telemetry

    async def call(self, call: ToolCall) -> str:
        """Do what the model asks; what it is told of it: data, as JSON text.

        Raises:
            ToolUnavailableError: the server is gone, or took too long.
        """
        offered = any(offer.name == call.name for offer in self.offers)
        if not offered:
            return told_error("there is no such tool here, or it is not allowed; nothing was done")
        arguments = _arguments(call.arguments)
        if arguments is None:
            return told_error("the arguments are no JSON object; nothing was done")
        connection, tool = self._places[call.name]
        told: Attributes = {names.GEN_AI_OPERATION: "execute_tool", names.GEN_AI_TOOL_NAME: call.name}
        with self._telemetry.spans.current(f"execute_tool {call.name}", SpanKind.CLIENT, told):
            return await connection.call(tool, arguments)


class Toolbox:
    """All tool servers of one definition, for as long as it is in force. For one event loop.

    Args:
        servers: each server with the variables that it gets.
        telemetry: hears of each call.
    """

    def __init__(self, servers: Sequence[tuple[ToolServer, Mapping[str, str]]], telemetry: Telemetry) -> None:
        self._connections = [ServerConnection(server, environment) for server, environment in servers]
        self._telemetry = telemetry
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[Tools]:
        """The tools, for the length of one message.

        Raises:
            ToolUnavailableError: a server does not answer.
        """
        self._users += 1
        self._idle.clear()
        try:
            yield await self._tools()
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def close(self) -> None:
        """End all sessions, once the messages that use them are done."""
        await self._idle.wait()
        await asyncio.gather(*(connection.close() for connection in self._connections))

    async def _tools(self) -> Tools:
        offers = await asyncio.gather(*(connection.offers() for connection in self._connections))
        places = {
            name: (connection, tool)
            for connection in self._connections
            for name, tool in connection.server.offered().items()
        }
        return Tools(
            offers=tuple(offer for some in offers for offer in some), _places=places, _telemetry=self._telemetry
        )


def _arguments(text: str) -> dict[str, Any] | None:
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None
