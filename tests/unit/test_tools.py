"""Tools of an MCP server, a real one in a process of its own: allowed ones only, and what breaks is told."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pointsman.definitions import Accepts, AgentDefinition, Emits, ToolServer
from pointsman.errors import ConfigurationError, ToolUnavailableError
from pointsman.models import ToolCall
from pointsman.telemetry import Telemetry
from pointsman.tools import Toolbox, Tools, toolbox_of
from pointsman.tools.results import MOST_RESULT_CHARS

SERVER = Path(__file__).parents[1] / "tool_server.py"
COMMAND = [sys.executable, str(SERVER)]


def declared(*allow: str, timeout_s: float = 20.0, environment: tuple[str, ...] = ()) -> ToolServer:
    return ToolServer(
        name="stock", command=COMMAND, allow=list(allow), timeout_s=timeout_s, environment=list(environment)
    )


@asynccontextmanager
async def toolbox(server: ToolServer, **environment: str) -> AsyncIterator[Toolbox]:
    box = Toolbox([(server, environment)], Telemetry())
    yield box
    await box.close()


def asked(tool: str, **arguments: str) -> ToolCall:
    return ToolCall(id="c1", name=f"stock__{tool}", arguments=json.dumps(arguments))


async def said(tools: Tools, tool: str, **arguments: str) -> dict[str, str]:
    answer: dict[str, str] = json.loads(await tools.call(asked(tool, **arguments)))
    return answer


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - a process of another program: there is nothing to wait on
            await asyncio.sleep(0.02)


async def test_only_allowed_tools_are_offered_and_called() -> None:
    async with toolbox(declared("look_up_stock", "flood", "fail")) as box, box.in_use() as tools:
        assert [offer.name for offer in tools.offers] == ["stock__look_up_stock", "stock__flood", "stock__fail"]
        assert tools.offers[0].description == "How many pieces of an article are in stock."
        assert await said(tools, "look_up_stock", article="bolt") == {"result": "There are 7 pieces of bolt in stock."}
        assert "not allowed" in (await said(tools, "die", article="bolt"))["error"]
        assert "no such article: bolt" in (await said(tools, "fail", article="bolt"))["error"]
        assert "Field required" in (await said(tools, "look_up_stock"))["error"]
        assert "no JSON object" in await tools.call(ToolCall(id="1", name="stock__look_up_stock", arguments="[1"))
        text = (await said(tools, "flood", article="long"))["result"]
        assert len(text) < MOST_RESULT_CHARS + 100
        assert text.endswith("more characters were cut off)")


async def test_a_server_gets_no_variable_but_those_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of nobody's concern")
    monkeypatch.setenv("STOCK_KEY", "for the server")
    definition = agent(declared("tell_variable", environment=("STOCK_KEY",)))
    box = toolbox_of(definition, Telemetry())
    async with box.in_use() as tools:
        assert await said(tools, "tell_variable", name="OPENAI_API_KEY") == {"result": "unset"}
        assert await said(tools, "tell_variable", name="STOCK_KEY") == {"result": "for the server"}
    await box.close()


def test_a_named_variable_that_is_not_set_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOCK_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="tool server stock needs STOCK_KEY"):
        toolbox_of(agent(declared("tell_variable", environment=("STOCK_KEY",))), Telemetry())


async def test_a_call_that_takes_too_long_and_a_server_that_dies_may_be_tried_again() -> None:
    async with toolbox(declared("dawdle", "die", "tell_process", timeout_s=2.0)) as box, box.in_use() as tools:
        first = await said(tools, "tell_process", article="a")
        with pytest.raises(ToolUnavailableError, match="did not answer a call within 2 s"):
            await tools.call(asked("dawdle", article="a"))
        await until(lambda: not psutil.pid_exists(int(first["result"])))
        second = await said(tools, "tell_process", article="a")
        assert second != first  # a session of its own: the one before was given up with its server
        with pytest.raises(ToolUnavailableError, match="tool server stock"):
            await tools.call(asked("die", article="a"))
        assert await said(tools, "tell_process", article="a") != second


async def test_one_session_serves_all_messages_and_ends_with_the_toolbox() -> None:
    box = Toolbox([(declared("tell_process"), {})], Telemetry())
    processes = set()
    for _ in range(2):
        async with box.in_use() as tools:
            processes.add((await said(tools, "tell_process", article="a"))["result"])
            closing = asyncio.ensure_future(box.close())
            await asyncio.sleep(0)
            assert not closing.done()  # a message still uses it
            closing.cancel()
    (process,) = processes
    await box.close()
    assert not psutil.pid_exists(int(process))


@pytest.mark.parametrize(
    "command", [["/nowhere/server"], [sys.executable, "-c", "pass"], [sys.executable, "-c", "print('no server')"]]
)
async def test_a_server_that_does_not_start_may_be_tried_again(command: list[str]) -> None:
    async with toolbox(ToolServer(name="stock", command=command, allow=["a"])) as box:
        with pytest.raises(ToolUnavailableError, match="tool server stock cannot be reached or does not start"):
            async with box.in_use():
                pass


async def test_a_server_at_a_url_is_used_like_one_of_a_command() -> None:
    from tests.tool_server import at_url

    async with at_url() as url:
        server = ToolServer(name="stock", url=url, allow=["look_up_stock"])
        async with toolbox(server) as box, box.in_use() as tools:
            assert "7 pieces" in (await said(tools, "look_up_stock", article="bolt"))["result"]


async def test_a_failure_of_a_server_at_a_url_may_pass() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=503)

    app = web.Application()
    app.router.add_post("/mcp", refuse)
    server = TestServer(app)
    await server.start_server()
    url = str(server.make_url("/mcp"))
    async with toolbox(ToolServer(name="stock", url=url, allow=["a"])) as box:
        with pytest.raises(ToolUnavailableError):
            async with box.in_use():
                pass
        await server.close()
        with pytest.raises(ToolUnavailableError):
            async with box.in_use():
                pass


def test_a_process_without_tools_does_not_load_the_library() -> None:
    code = "import sys, pointsman.runtime.process as process; sys.exit('mcp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def agent(server: ToolServer) -> AgentDefinition:
    return AgentDefinition(
        name="clerk",
        version="1.0.0",
        description="Answers questions about articles.",
        accepts=[Accepts(type="question.asked", contract={"type": "object"})],
        emits=[Emits(type="question.answered", contract={"type": "object"})],
        tools=[server],
    )
