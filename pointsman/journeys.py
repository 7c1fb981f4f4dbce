"""The way of a workflow: message by message, who got it, how that was decided and why.

Pure: feed it records of `agent_messages` and `agent_decisions` in any order and with repeats, and ask for journeys. It
holds a bounded number of them, the least recently touched go first. Addresses are masked before they are kept.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from pointsman.envelope import Envelope, Record, decode, from_rfc3339
from pointsman.errors import InvalidEnvelopeError
from pointsman.logging import mask
from pointsman.plaintext import one_line
from pointsman.routing.decision import Method, Outcome
from pointsman.topics import DECISIONS, MESSAGES

MAX_JOURNEYS: Final = 500
MAX_HOPS: Final = 100
_MOST_UNREADABLE: Final = 10_000
_LONGEST_TEXT: Final = 600
_LONGEST_TITLE: Final = 80
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_Named = TypeVar("_Named", bound=StrEnum)


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One message of a workflow and what was decided on it.

    Attributes:
        message_id: the message's id.
        event_type: its type.
        source: who wrote it: an agent's name, or the whole source where it is no agent.
        outcome: what happened to it; None while the router has not decided.
        agent: who got it, when routed.
        how: how that was decided.
        reason: why, in one sentence.
        decided_at: when.
        written_at: when the message was written; None until the message itself was seen.
        candidates: each agent that was looked at: name, whether it fits, why.
        model: the model that was asked, if one was.
        catalog_sequence: the catalog that was used.
        position: partition and offset in `agent_messages`.
    """

    message_id: str
    event_type: str
    source: str
    outcome: Outcome | None = None
    agent: str | None = None
    how: Method | None = None
    reason: str = ""
    decided_at: datetime | None = None
    written_at: datetime | None = None
    candidates: tuple[tuple[str, bool, str], ...] = ()
    model: str | None = None
    catalog_sequence: int = 0
    position: tuple[int, int] = (-1, -1)


@dataclass(frozen=True, kw_only=True)
class Journey:
    """One workflow.

    Attributes:
        workflow_id: its id.
        title: the company, or a masked address, or nothing.
        hops: its messages, in the order in which they were written.
    """

    workflow_id: str
    title: str = ""
    hops: tuple[Hop, ...] = ()

    @property
    def outcome(self) -> Outcome | None:
        """What happened to the latest message; None while it waits for the router."""
        return self.hops[-1].outcome if self.hops else None

    @property
    def is_over(self) -> bool:
        """Whether nobody works on it any more."""
        return self.outcome not in {None, Outcome.ROUTED, Outcome.PLANNED}

    @property
    def stage(self) -> str:
        """Where it stands now, in a few words."""
        if not self.hops:
            return "not seen yet"
        last = self.hops[-1]
        return {
            None: "at the router",
            Outcome.ROUTED: f"with {last.agent}",
            Outcome.COMPLETED: last.event_type,
            Outcome.ABSTAINED: "waits for a person",
            Outcome.REJECTED: "dead letter",
            Outcome.PLANNED: "in a plan",
        }[last.outcome]

    @property
    def began_at(self) -> datetime | None:
        """When its first message was written, as far as known."""
        return min((time for hop in self.hops for time in _times(hop)), default=None)

    @property
    def touched_at(self) -> datetime | None:
        """When something last happened."""
        return max((time for hop in self.hops for time in _times(hop)), default=None)


@dataclass
class _Kept:
    title: str = ""
    hops: dict[str, Hop] = field(default_factory=dict)


class Journeys:
    """Collects journeys from records.

    Args:
        most: number of journeys that are kept.
    """

    def __init__(self, most: int = MAX_JOURNEYS) -> None:
        self._most = most
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._unreadable: set[tuple[int, int]] = set()

    @property
    def unreadable(self) -> int:
        """Number of decisions on records that belong to no workflow: bytes that are no message."""
        return len(self._unreadable)

    def feed(self, record: Record) -> bool:
        """Take one record over; whether it told anything. Never raises for what a record holds."""
        if record.topic == MESSAGES:
            return self._message(record)
        if record.topic == DECISIONS:
            return self._decision(record)
        return False

    def all(self) -> list[Journey]:
        """Every journey, the latest touched first."""
        journeys = [self._journey(workflow_id) for workflow_id in reversed(self._kept)]
        # What is read first after a start depends on partitions, so the times decide.
        return sorted(journeys, key=lambda journey: journey.touched_at or _NEVER, reverse=True)

    def get(self, workflow_id: str) -> Journey | None:
        """The journey of one workflow, if something of it was seen."""
        return self._journey(workflow_id) if workflow_id in self._kept else None

    def _journey(self, workflow_id: str) -> Journey:
        kept = self._kept[workflow_id]
        hops = sorted(kept.hops.values(), key=lambda hop: hop.position)
        return Journey(workflow_id=workflow_id, title=kept.title, hops=tuple(hops))

    def _message(self, record: Record) -> bool:
        try:
            message = decode(record)
        except InvalidEnvelopeError:
            return False  # the router's decision on it says so
        kept = self._touch(message.workflow_id)
        kept.title = kept.title or _title(message.payload)
        position = (record.partition, record.offset)
        known = kept.hops.get(message.id)
        # A repeat of a message says nothing new; the first place counts.
        if known is None:
            self._put(kept, _waiting(message, position))
        elif known.written_at is None:
            self._put(kept, replace(known, written_at=message.time))
        return True

    def _decision(self, record: Record) -> bool:
        decision = _parsed(record.value)
        workflow_id, message_id = decision.get("workflow_id"), decision.get("message_id")
        if not (isinstance(workflow_id, str) and isinstance(message_id, str) and workflow_id and message_id):
            if len(self._unreadable) < _MOST_UNREADABLE:
                self._unreadable.add((record.partition, record.offset))
            return True
        kept = self._touch(workflow_id)
        hop = _decided(decision, message_id)
        known = kept.hops.get(message_id)
        self._put(kept, replace(hop, written_at=known.written_at) if known else hop)
        return True

    def _touch(self, workflow_id: str) -> _Kept:
        kept = self._kept.setdefault(workflow_id, _Kept())
        self._kept.move_to_end(workflow_id)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return kept

    def _put(self, kept: _Kept, hop: Hop) -> None:
        kept.hops[hop.message_id] = hop
        if len(kept.hops) > MAX_HOPS:
            del kept.hops[min(kept.hops.values(), key=lambda one: one.position).message_id]


def _waiting(message: Envelope, position: tuple[int, int]) -> Hop:
    return Hop(
        message_id=message.id,
        event_type=_line(message.event_type),
        source=_agent_or_source(message.source),
        written_at=message.time,
        position=position,
    )


def _decided(decision: Mapping[str, Any], message_id: str) -> Hop:
    call = decision.get("model_call")
    agent = decision.get("agent")
    return Hop(
        message_id=message_id,
        event_type=_line(decision.get("event_type")),
        source=_agent_or_source(_line(decision.get("source"))),
        outcome=_one_of(Outcome, decision.get("outcome")) or Outcome.REJECTED,
        agent=_line(agent) if agent else None,
        how=_one_of(Method, decision.get("how")),
        reason=_line(decision.get("reason")),
        decided_at=_time(decision.get("decided_at")),
        candidates=tuple(_candidates(decision.get("candidates"))),
        model=_line(call.get("model")) if isinstance(call, dict) else None,
        catalog_sequence=_number(decision.get("catalog_sequence"), default=0),
        position=(_number(decision.get("partition"), default=-1), _number(decision.get("offset"), default=-1)),
    )


def _candidates(value: Any) -> list[tuple[str, bool, str]]:
    entries = value if isinstance(value, list) else []
    known = [entry for entry in entries[:50] if isinstance(entry, dict)]
    return [(_line(entry.get("agent")), entry.get("fits") is True, _line(entry.get("why"))) for entry in known]


def _parsed(value: bytes | None) -> Mapping[str, Any]:
    try:
        decision = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    return decision if isinstance(decision, dict) else {}


def _title(payload: Mapping[str, Any]) -> str:
    company, address = payload.get("company"), payload.get("email")
    named = company if isinstance(company, str) and company.strip() else address
    return _line(named, _LONGEST_TITLE) if isinstance(named, str) else ""


def _line(value: Any, longest: int = _LONGEST_TEXT) -> str:
    return mask(one_line(value, longest)) if isinstance(value, str) else ""


def _agent_or_source(source: str) -> str:
    return _line(source.removeprefix("/agents/"))


def _one_of(kind: type[_Named], value: Any) -> _Named | None:
    try:
        return kind(value)
    except ValueError:
        return None


def _number(value: Any, *, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _time(value: Any) -> datetime | None:
    try:
        return from_rfc3339(value)
    except (ValueError, TypeError, OverflowError):
        return None


def _times(hop: Hop) -> list[datetime]:
    return [time for time in (hop.written_at, hop.decided_at) if time is not None]
