"""Agents of the benchmarks: made by number, alike in size, so that a catalog may have 5 or 500 of them."""

from __future__ import annotations

from typing import Any, Final

from bench.messages import EVENT_TYPE, HOPS, event_type
from pointsman.definitions import AgentDefinition

_AREAS: Final = ("billing", "delivery", "damage", "contract", "account")
_CONTRACT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "hop", "text"],
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 200},
        "hop": {"type": "integer", "minimum": 0},
        "text": {"type": "string", "minLength": 1, "maxLength": 10_000},
        "priority": {"enum": ["low", "normal", "high"]},
    },
}
CONTRACT_ONLY_TYPE: Final = "ticket.filed"
"""Taken by one agent only, so that no model is asked."""


def agents(count: int = 5) -> list[AgentDefinition]:
    """`count` agents that all take every message of the benchmarks; the first alone takes `CONTRACT_ONLY_TYPE`."""
    return [_agent(number) for number in range(count)]


def agents_apart(count: int) -> list[AgentDefinition]:
    """`count` agents of which five take the messages of the benchmarks, and the others take types of their own."""
    there, others = agents(count)[: len(_AREAS)], agents(count)[len(_AREAS) :]
    return [*there, *(_taking(one, f"matter{number // len(_AREAS)}.opened") for number, one in enumerate(others))]


def _taking(agent: AgentDefinition, kind: str) -> AgentDefinition:
    return agent.model_copy(update={"accepts": [agent.accepts[0].model_copy(update={"type": kind})]})


def _agent(number: int) -> AgentDefinition:
    area, group = _AREAS[number % len(_AREAS)], number // len(_AREAS)
    name = area if group == 0 else f"{area}{group}"
    where = "of every customer" if group == 0 else f"of customers in region {group}"
    taken = [event_type(hop) for hop in range(HOPS)] + ([CONTRACT_ONLY_TYPE] if number == 0 else [])
    return AgentDefinition.model_validate(
        {
            "name": name,
            "version": "1.0.0",
            "description": f"Answers questions about {area} {where}: looks the matter up, decides and writes back.",
            "accepts": [{"type": kind, "contract": _CONTRACT} for kind in taken],
            "emits": [{"type": "ticket.closed", "contract": {"type": "object"}, "terminal": True}],
            "examples": [f"{EVENT_TYPE}: a customer asks about {area}, region {group}"],
            "counter_examples": ["a supplier wants to sell something"],
        }
    )
