"""Accuracy on the repository's own labelled messages, without a language model.

What can be said without one: whether the right agent could still be chosen (`reachable`: decided right by contract, or
among those that the model is shown), which no model can exceed; and how often the offline stand-in, which compares
words, chooses right, which shows a difference between two ways to ask and says nothing of a language model.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from bench.catalogs import agents
from bench.programs import ROOT
from pointsman.definitions import AgentDefinition
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.envelope import Envelope
from pointsman.evaluation.dataset import Example, read_dataset
from pointsman.evaluation.running import run
from pointsman.models.offline.server import start
from pointsman.models.openai_chat import OpenAIChatModel, OpenAIOptions
from pointsman.models.port import ChatModel, ChatRequest
from pointsman.routing.limits import Counters
from pointsman.routing.prompt import NONE, prefix_for, user_turn
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router, RoutingOptions

DATASET: Final = ROOT / "examples" / "evaluation" / "sdr.jsonl"
NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
STAND_IN: Final = (
    "The stand-in compares words and is no language model: it shows whether a way to ask costs accuracy, not how good "
    "a language model is. `pointsman eval run` measures yours (evaluation.md)."
)
_AT_ONCE: Final = 8
_PATIENCE_S: Final = 600.0
"""The stand-in takes a while to compare 500 agents; a call given up would count as a wrong answer."""


def examples() -> list[Example]:
    """The labelled messages."""
    return read_dataset(DATASET)


def sdr_agents() -> list[AgentDefinition]:
    """The agents that they are labelled for."""
    return list(load_folder_or_raise(ROOT / "agent_definitions").definitions)


def sdr_agents_among(size: int) -> list[AgentDefinition]:
    """The agents of the labels and as many others as make `size`, which take all the same messages and want none."""
    own = sdr_agents()
    taken = {each.type: each.model_copy(update={"contract": {"type": "object"}}) for one in own for each in one.accepts}
    others = [one.model_copy(update={"accepts": list(taken.values())}) for one in agents(max(0, size - len(own)))]
    return [*own, *others]


def message(example: Example) -> Envelope:
    """The message of an example."""
    return Envelope(
        id=example.id, source="/bench", event_type=example.event_type, workflow_id=example.id, payload=example.payload,
        time=NOW,
    )  # fmt: skip


def is_reachable(router: Router, example: Example) -> bool:
    """Whether a perfect model would bring the message to the right agent, or to nobody where nobody should get it."""
    asked = router.prepare(message(example), Counters(step=1), NOW)
    if not isinstance(asked, ModelQuestion):
        return asked.agent == example.answer
    schema = asked.request.schema or {}
    shown = schema["properties"]["agent"]["enum"]
    return example.answer is None or example.answer in shown


async def by_router(router: Router, among: Sequence[Example]) -> dict[str, bool]:
    """Whether each message, by id, comes to the right agent by the router's own code, with the stand-in as model."""
    async with _stand_in() as model:
        return {result.id: result.is_right for result in await run(among, router, model)}


async def by_routers(routers: Mapping[str, Router], among: Sequence[Example]) -> dict[str, bool]:
    """The same where each message, by id, has a router of its own."""
    async with _stand_in() as model:
        results = [await run([example], routers[example.id], model) for example in among]
    return {result.id: result.is_right for (result,) in results}


async def by_model_alone(everybody: Sequence[AgentDefinition], among: Sequence[Example]) -> dict[str, bool]:
    """The same of a router that knows no contracts: the stand-in is shown all agents for every message."""
    prefix, slots = prefix_for(everybody), asyncio.Semaphore(_AT_ONCE)
    async with _stand_in() as model:

        async def is_right(example: Example) -> bool:
            user = user_turn(message(example), RoutingOptions().max_user_chars)
            request = ChatRequest(system=prefix.system, user=user, schema=prefix.schema, schema_name="answer")
            async with slots:
                chosen = (await model.complete(request)).content["agent"]
            return bool((None if chosen == NONE else chosen) == example.answer)

        found = await asyncio.gather(*(is_right(example) for example in among))
    return dict(zip((example.id for example in among), found, strict=True))


@asynccontextmanager
async def _stand_in() -> AsyncIterator[ChatModel]:
    runner, port = await start("127.0.0.1", 0)
    model = OpenAIChatModel(
        "offline", OpenAIOptions(model="offline", base_url=f"http://127.0.0.1:{port}/v1", timeout_s=_PATIENCE_S)
    )
    try:
        yield model
    finally:
        await model.close()
        await runner.cleanup()


def percent(found: Iterable[bool]) -> float:
    """Share of those that are true, in per cent.

    Raises:
        ValueError: there are none.
    """
    values = list(found)
    if not values:
        raise ValueError("a share of nothing")
    return 100 * sum(values) / len(values)
