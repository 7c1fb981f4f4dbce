"""A workflow as the board shows it: who it is about, where it stands, which way it came. Pure; addresses are masked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from pointsman.console.stages import ROUTER
from pointsman.deadletter_queue import DeadLetter
from pointsman.envelope import to_rfc3339
from pointsman.journeys import Journey
from pointsman.routing.decision import Outcome
from pointsman.workflow_states import AGENT_STAGE, STATUS_OF, Status


def card(journey: Journey, key: str, letters: Mapping[str, DeadLetter], cancelled: Collection[str]) -> dict[str, Any]:
    """One workflow for the board.

    Args:
        journey: the workflow.
        key: what the page calls it.
        letters: dead letters that nobody has dealt with, by message id.
        cancelled: workflows that a person has ended.
    """
    status = status_of(journey, letters, cancelled)
    last = journey.hops[-1] if journey.hops else None
    agents = [hop.agent for hop in journey.hops if hop.agent]
    way = [agent for number, agent in enumerate(agents) if agent != (agents[number - 1] if number else None)]
    return {
        "key": key,
        "title": journey.title,
        "status": status.value,
        "stage": stage_of(journey, letters, cancelled),
        "event_type": last.event_type if last else "",
        "reason": _reason(journey, letters, status),
        "way": way[-8:],
        "steps": len(journey.hops),
        "began_at": _time(journey.began_at),
        "touched_at": _time(journey.touched_at),
    }


def status_of(journey: Journey, letters: Mapping[str, DeadLetter], cancelled: Collection[str]) -> Status:
    """What the workflow does, as of its latest message; a message that died with its agent counts."""
    if journey.workflow_id in cancelled:
        return Status.CANCELLED
    if _died(journey, letters):
        return Status.DEAD_LETTER
    return STATUS_OF[journey.outcome] if journey.outcome else Status.RUNNING


def stage_of(journey: Journey, letters: Mapping[str, DeadLetter], cancelled: Collection[str]) -> str:
    """The stage that the workflow stands in: `router` or an agent's name; empty when nobody works on it."""
    if status_of(journey, letters, cancelled) is not Status.RUNNING:
        return ""
    agent = journey.hops[-1].agent if journey.hops else None
    return agent if journey.outcome is Outcome.ROUTED and agent else ROUTER


def _died(journey: Journey, letters: Mapping[str, DeadLetter]) -> bool:
    last = journey.hops[-1] if journey.hops else None
    letter = letters.get(last.message_id) if last else None
    return bool(last and letter and letter.stage == f"{AGENT_STAGE}{last.agent}")


def _reason(journey: Journey, letters: Mapping[str, DeadLetter], status: Status) -> str:
    """Why it stands still, where it does."""
    last = journey.hops[-1] if journey.hops else None
    if last is None or status not in (Status.WAITING_FOR_PERSON, Status.DEAD_LETTER):
        return ""
    letter = letters.get(last.message_id)
    return letter.why("message") if letter and last.outcome is not Outcome.ABSTAINED else last.reason


def _time(time: datetime | None) -> str | None:
    return to_rfc3339(time) if time else None
