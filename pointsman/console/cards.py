"""A workflow as the board shows it: who it is about, where it stands, which way it came. Pure; addresses are masked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pointsman.console.stages import ROUTER
from pointsman.console.waiting import Waiting
from pointsman.deadletter_queue import DeadLetter
from pointsman.envelope import to_rfc3339
from pointsman.journeys import Hop, Journey
from pointsman.routing.decision import Outcome
from pointsman.workflow_states import AGENT_STAGE, STATUS_OF, Status


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What is known of messages beside their decisions.

    Attributes:
        letters: dead letters that nobody has dealt with, by message id.
        waiting: what waits for a person, by message id.
        cancelled: workflows that a person has ended.
    """

    letters: Mapping[str, DeadLetter]
    waiting: Mapping[str, Waiting]
    cancelled: Collection[str]


def card(journey: Journey, key: str, marks: Marks) -> dict[str, Any]:
    """One workflow for the board.

    Args:
        journey: the workflow.
        key: what the page calls it.
        marks: what is known of its messages beside the decisions.
    """
    last = journey.hops[-1] if journey.hops else None
    agents = [hop.agent for hop in journey.hops if hop.agent]
    way = [agent for number, agent in enumerate(agents) if agent != (agents[number - 1] if number else None)]
    return {
        "key": key,
        "title": journey.title,
        "status": status_of(journey, marks).value,
        "stage": stage_of(journey, marks),
        "event_type": last.event_type if last else "",
        "reason": _reason(journey, marks),
        "way": way[-8:],
        "steps": len(journey.hops),
        "began_at": _time(journey.began_at),
        "touched_at": _time(journey.touched_at),
    }


def status_of(journey: Journey, marks: Marks) -> Status:
    """What the workflow does, as of its latest message; one that its agent gave up or passed to a person counts."""
    last = journey.hops[-1] if journey.hops else None
    if journey.workflow_id in marks.cancelled:
        return Status.CANCELLED
    if last is None or last.outcome is None:
        return Status.RUNNING
    if last.outcome is Outcome.ROUTED and _died(last, marks):
        return Status.DEAD_LETTER
    if last.outcome is Outcome.ROUTED and last.message_id in marks.waiting:
        return Status.WAITING_FOR_PERSON
    return STATUS_OF[last.outcome]


def stage_of(journey: Journey, marks: Marks) -> str:
    """The stage that the workflow stands in: `router` or an agent's name; empty when nobody works on it."""
    if status_of(journey, marks) is not Status.RUNNING:
        return ""
    agent = journey.hops[-1].agent if journey.hops else None
    return agent if journey.outcome is Outcome.ROUTED and agent else ROUTER


def _died(last: Hop, marks: Marks) -> bool:
    letter = marks.letters.get(last.message_id)
    return letter is not None and letter.stage == f"{AGENT_STAGE}{last.agent}"


def _reason(journey: Journey, marks: Marks) -> str:
    """Why it stands still, where it does."""
    status = status_of(journey, marks)
    if not journey.hops or status not in (Status.WAITING_FOR_PERSON, Status.DEAD_LETTER):
        return ""
    last = journey.hops[-1]
    if last.outcome is not Outcome.ROUTED:
        return last.reason
    letter, waiting = marks.letters.get(last.message_id), marks.waiting.get(last.message_id)
    return letter.why("message") if letter else waiting.reason if waiting else ""


def _time(time: datetime | None) -> str | None:
    return to_rfc3339(time) if time else None
