"""A2A agent cards of the agents in force."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from pointsman.a2a_card import CARD_PATH, agent_card
from pointsman.console.problems import ProblemError
from pointsman.console.sessions import TheDesk, Viewer
from pointsman.settings import settings

router = APIRouter(include_in_schema=False)


@router.get(CARD_PATH)
def card(name: str, desk: TheDesk, _: Viewer) -> dict[str, Any]:
    """The card of one agent; for whoever may log in, because it names the broker."""
    found = desk.view.catalog.definitions.get(name)
    if found is None:
        raise ProblemError(404, "No agent of that name is in force.", code="agent")
    return agent_card(found, settings().kafka_bootstrap)
