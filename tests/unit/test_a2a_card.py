"""Agent cards, read back by the official library."""

from __future__ import annotations

from pathlib import Path

import pytest
from a2a.client.card_resolver import parse_agent_card
from a2a.utils.constants import AGENT_CARD_WELL_KNOWN_PATH
from a2a.utils.proto_utils import validate_proto_required_fields

from pointsman.a2a_card import CARD_PATH, agent_card
from pointsman.definitions import AgentDefinition
from pointsman.definitions.loader import load_folder

SHIPPED = load_folder(Path(__file__).parents[2] / "agent_definitions").definitions


@pytest.mark.parametrize("definition", SHIPPED, ids=lambda one: one.name)
def test_the_card_of_every_agent_is_complete(definition: AgentDefinition) -> None:
    card = parse_agent_card(agent_card(definition, "one:9092,two:9092"))
    validate_proto_required_fields(card)
    assert (card.name, card.version) == (definition.name, definition.version)
    assert [skill.id for skill in card.skills] == [entry.type for entry in definition.accepts]
    [interface] = card.supported_interfaces
    assert interface.url == "kafka://one:9092/agent_messages"


def test_it_is_served_where_the_protocol_looks_for_it() -> None:
    assert CARD_PATH.endswith("{name}" + AGENT_CARD_WELL_KNOWN_PATH)
