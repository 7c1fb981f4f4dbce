"""What tests of the SDR agents share: an agent as its YAML file declares it, on doubles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from pointsman.contracts import Contract
from pointsman.definitions import AgentDefinition
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.envelope import Envelope, Payload
from pointsman.models import ChatRequest
from pointsman.runtime import AgentContext, Reply
from pointsman.settings import Settings
from pointsman.testing import InMemoryStore, ManualClock, ScriptedModel

DEFINITIONS = {found.name: found for found in load_folder_or_raise(Path("agent_definitions")).definitions}

PROFILE: Payload = {
    "lead_id": "lead-1",
    "email_domain": "nordhafen.example",
    "first_name": "Mara",
    "title": "Head of Operations",
    "company": "Nordhafen Wholesale",
    "industry": "wholesale",
    "source": "demo request",
    "interest": "live stock tracking",
    "summary": "Mara runs operations at Nordhafen Wholesale and wants live stock tracking.",
    "facts": [
        {"fact": "Job title: Head of Operations", "source": "form"},
        {"fact": "Wrote: we run five warehouses and want a demo this month", "source": "form"},
    ],
}
SCORED: Payload = {
    "lead_id": "lead-1",
    "score": 86,
    "fit": 80,
    "intent": 90,
    "next_step": "engage",
    "reasons": ["asked for a demo"],
    "talking_points": ["five warehouses counted by hand"],
    "profile": PROFILE,
}
DRAFT: Payload = {
    "lead_id": "lead-1",
    "campaign_id": "lead-1:outreach",
    "step": 1,
    "subject": "Stock in five warehouses",
    "body": "Hello Mara,\n\nyou run five warehouses. Shall we talk?\n\nAlex Kim",
    "kind": "outreach",
}
PROFILE_DOCUMENT: dict[str, Any] = {
    "_id": "lead-1",
    "message_id": "m-0",
    "email": "mara.lind@nordhafen.example",
    "email_domain": "nordhafen.example",
    "person": "mara.lind@nordhafen.example",
    "first_name": "Mara",
    "last_name": "Lind",
    "consent": True,
    "profile": PROFILE,
}
LETTER = {
    "subject": "Stock in five warehouses",
    "body": "Hello Mara,\n\nyou run five warehouses and asked for a demo this month.\nShall we talk?\n\nAlex Kim",
    "facts_used": [2],
}


def definition(name: str, **settings: Any) -> AgentDefinition:
    """The definition in agent_definitions/, with some of its own settings replaced."""
    declared = DEFINITIONS[name]
    return declared.model_copy(update={"settings": {**declared.settings, **settings}})


def context(
    name: str,
    script: Iterable[dict[str, Any] | Exception] | Callable[[ChatRequest], dict[str, Any] | Exception] = (),
    *,
    store: InMemoryStore | None = None,
    clock: ManualClock | None = None,
    declared: AgentDefinition | None = None,
    effects_allowed: Callable[[], bool] = lambda: True,
    **settings: Any,
) -> AgentContext:
    """What the runtime would hand to the agent `name`."""
    return AgentContext(
        definition=declared or definition(name),
        model=ScriptedModel(script),
        store=store or InMemoryStore(),
        settings=Settings(**{"mail_allow": ["*"], "nurture_day_s": 86400.0, **settings}),
        now=clock or ManualClock(),
        effects_allowed=effects_allowed,
    )


def build(agent_context: AgentContext) -> Any:
    """The agent that the context's definition names, built by its module."""
    return import_module(f"agents.{agent_context.definition.name}").build(agent_context)


def requests(agent_context: AgentContext) -> list[ChatRequest]:
    """What the agent asked the model so far."""
    model = agent_context.model
    assert isinstance(model, ScriptedModel)
    return model.requests


def message(event_type: str, payload: Payload, *, id: str = "m-1", lead_id: str = "lead-1") -> Envelope:
    """A message of a lead's workflow."""
    return Envelope(
        id=id,
        source="/tests",
        event_type=event_type,
        workflow_id=lead_id,
        payload=payload,
        time=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


async def answer(agent: Any, question: Envelope) -> Reply:
    """The one reply of `agent`, after a check against the contract that its definition declares."""
    replies = await agent.handle(question)
    assert len(replies) == 1
    check(agent.context.definition, replies)
    return replies[0]  # type: ignore[no-any-return]


def check(declared: AgentDefinition, replies: Sequence[Reply | Envelope]) -> None:
    """Each reply has a declared type, keeps its contract and, where somebody accepts it, theirs too."""
    for reply in replies:
        emitted = declared.emitted(reply.event_type)
        assert emitted is not None, f"{reply.event_type} is not declared"
        Contract(emitted.contract).check(reply.payload)
        for other in DEFINITIONS.values():
            accepted = other.accepted(reply.event_type)
            if accepted:
                Contract(accepted.contract).check(reply.payload)
