"""The model as a definition wants it asked: kept answers first, then the model, then a stronger one in doubt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pointsman.definitions import AgentDefinition
from pointsman.models import ChatModel
from pointsman.models.cached import CachedModel
from pointsman.models.cascade import CascadeModel
from pointsman.store import DocumentStore


def chosen_model(
    definition: AgentDefinition, model: ChatModel, store: DocumentStore, default: str, now: Callable[[], datetime]
) -> ChatModel:
    """The model for an agent.

    Args:
        definition: the agent's.
        model: the model of the process.
        store: where answers are kept.
        default: name of the model that is asked where the definition names none.
        now: the clock, UTC.
    """
    choice, asked = definition.model, model
    if choice.strong:
        asked = CascadeModel(model=model, strong=choice.strong, doubt_below=choice.doubt_below)
    if definition.cache:
        names = (choice.name or default, *filter(None, [choice.strong]), str(choice.doubt_below))
        asked = CachedModel(model=asked, store=store, ttl_s=definition.cache.ttl_s, asked=names, now=now)
    return asked
