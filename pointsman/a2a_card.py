"""An agent's definition as an A2A agent card, with the types of the official library.

The card says what an agent is for and where it is reached: over Kafka, by CloudEvents. Calls of A2A itself are not
answered.
"""

from __future__ import annotations

from typing import Any, Final

from pointsman.definitions.model import Accepts, AgentDefinition
from pointsman.topics import MESSAGES

CARD_PATH: Final = "/agents/{name}/.well-known/agent-card.json"
"""Where the console serves the card of an agent: A2A's well-known path, below the agent's own address."""
BINDING: Final = "CLOUDEVENTS-KAFKA"
"""A2A's name for how messages reach an agent: CloudEvents 1.0 in Kafka's binary mode, as docs/messages.md has it."""
BINDING_VERSION: Final = "1.0"

_JSON: Final = "application/json"


def agent_card(definition: AgentDefinition, bootstrap: str) -> dict[str, Any]:
    """The card of `definition` as JSON.

    Args:
        definition: the agent.
        bootstrap: Kafka's address, `host:port`; of several the first is named.
    """
    # Protocol buffers and what comes with them; needed for nothing else here.
    from a2a.types import AgentCapabilities, AgentCard, AgentInterface
    from google.protobuf.json_format import MessageToDict

    url = f"kafka://{bootstrap.partition(',')[0].strip()}/{MESSAGES}"
    card = AgentCard(
        name=definition.name,
        description=definition.description,
        version=definition.version,
        supported_interfaces=[AgentInterface(url=url, protocol_binding=BINDING, protocol_version=BINDING_VERSION)],
        capabilities=AgentCapabilities(streaming=False, push_notifications=False),
        default_input_modes=[_JSON],
        default_output_modes=[_JSON],
        skills=[_skill(definition, accepted) for accepted in definition.accepts],
    )
    told: dict[str, Any] = MessageToDict(card)
    return told


def _skill(definition: AgentDefinition, accepted: Accepts) -> Any:
    from a2a.types import AgentSkill

    answers = [emitted.type for emitted in definition.emits]
    return AgentSkill(
        id=accepted.type,
        name=accepted.type,
        description=f"Takes {accepted.type} and may answer with {', '.join(answers)}.",
        tags=answers,
        examples=definition.examples,
    )
