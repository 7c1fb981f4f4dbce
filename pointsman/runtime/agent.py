"""What an agent is to the runtime: a decision on one message, and optionally messages that are due by the clock.

A module `agents/<name>.py` has one public function, `build(context: AgentContext) -> Agent`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from pointsman.definitions import AgentDefinition
from pointsman.envelope import Envelope, Payload
from pointsman.knowledge import NO_KNOWLEDGE, Retriever
from pointsman.models import ChatModel
from pointsman.settings import Settings
from pointsman.store import DocumentStore
from pointsman.telemetry import Telemetry


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer to a message; the runtime gives it id, lineage and headers.

    Attributes:
        event_type: a type that the definition emits.
        payload: keeps that type's contract.
        subject: what it is about, when that differs from the message.
    """

    event_type: str
    payload: Payload
    subject: str | None = None


@dataclass(frozen=True, kw_only=True)
class AgentContext:
    """What an agent may use.

    Attributes:
        definition: its own definition, as applied.
        model: the chat model.
        store: the document store.
        settings: the process's settings.
        now: the clock, UTC.
        effects_allowed: whether an effect outside Kafka and the store may begin now. Ask right before it begins; where
            it may not, raise `EffectsStoppedError`, and the message waits until a person starts effects again.
        knowledge: the team's own documents; ask through `pointsman.runtime.grounding`.
        telemetry: where the agent tells of what it does outside; its messages and model calls are told for it.
    """

    definition: AgentDefinition
    model: ChatModel
    store: DocumentStore
    settings: Settings
    now: Callable[[], datetime]
    effects_allowed: Callable[[], bool]
    knowledge: Retriever = NO_KNOWLEDGE
    telemetry: Telemetry = field(default_factory=Telemetry)

    @property
    def owner(self) -> str:
        """Who this instance is where it takes work for a while: agent and instance; a restart has the same name."""
        return f"{self.definition.name}.{self.settings.instance}"


class Agent(Protocol):
    """Turns one message into its answers."""

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Answer `message`; may run twice for one message, so effects outside Kafka must be idempotent.

        Raises:
            TransientError: the runtime tries again, with back-off.
            PermanentError: the message becomes a dead letter.
            LeftToPersonError: a person decides how to go on.
            EffectsStoppedError: the message waits until effects are started, and is handled anew then.
        """
        ...


@runtime_checkable
class Closing(Protocol):
    """An agent that holds something open while its definition is in force."""

    async def close(self) -> None:
        """Give it back, once the messages under way are done.

        Called when another definition takes over, and at the end.
        """
        ...


@runtime_checkable
class Scheduled(Protocol):
    """An agent that also speaks when something is due."""

    async def due(self, now: datetime) -> Sequence[Envelope]:
        """Messages that are due at `now`, with derived ids, so that a repeat makes the same id."""
        ...

    async def emitted(self, message: Envelope) -> None:
        """`message`, one that `due` gave, is committed in Kafka."""
        ...
