"""What waits for a person: messages that the router left to one, kept up to date as records arrive. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pointsman.envelope import OPERATOR_SOURCE, WORKFLOW_CANCELLED, Record
from pointsman.escalations import PREFIX
from pointsman.topics import ESCALATIONS, MESSAGES
from pointsman.workflow_control import header

_MOST: Final = 5_000
_APPROVAL: Final = "approval_required"
_LIMITS: Final = ("_limit", "deadline_passed")


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One message that waits for a person.

    Attributes:
        record: its record on `agent_escalations`.
    """

    record: Record

    @property
    def message_id(self) -> str:
        """Its id."""
        return header(self.record, "ce_id")

    @property
    def workflow_id(self) -> str:
        """Its workflow."""
        return header(self.record, "ce_workflowid")

    @property
    def reason_code(self) -> str:
        """Why, for programs."""
        return header(self.record, f"{PREFIX}reason")

    @property
    def reason(self) -> str:
        """Why, for people."""
        return header(self.record, f"{PREFIX}message")

    @property
    def kind(self) -> str:
        """What is asked of the person: `approval`, `limit` or `undecided`."""
        if self.reason_code == _APPROVAL:
            return "approval"
        return "limit" if self.reason_code.endswith(_LIMITS) else "undecided"

    @property
    def proposed(self) -> str:
        """The agent that the router would give it to if a person says yes; empty when it chose none."""
        return header(self.record, f"{PREFIX}proposed")

    @property
    def candidates(self) -> list[str]:
        """Agents that could take it."""
        return [name for name in header(self.record, f"{PREFIX}candidates").split(",") if name]


class WaitingRoom:
    """Escalated messages that nobody has sent on yet; of the oldest ones none are kept beyond a bound."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Waiting] = OrderedDict()
        self._answered: OrderedDict[str, None] = OrderedDict()

    def feed(self, record: Record) -> None:
        """Take one record over; escalations and the words of persons may come in any order."""
        if record.topic == ESCALATIONS:
            self._escalated(Waiting(record=record))
        elif record.topic == MESSAGES and header(record, "ce_source").startswith(OPERATOR_SOURCE):
            self._said(record)

    def all(self) -> list[Waiting]:
        """Those that wait, the oldest first."""
        return list(self._waiting.values())

    def by_message(self) -> Mapping[str, Waiting]:
        """Those that wait, by message id."""
        return self._waiting

    def get(self, message_id: str) -> Waiting | None:
        """The one with that id, if it waits."""
        return self._waiting.get(message_id)

    def _escalated(self, one: Waiting) -> None:
        if one.message_id in self._answered or _ended(one.workflow_id) in self._answered:
            return
        self._waiting[one.message_id] = one
        if len(self._waiting) > _MOST:
            self._waiting.popitem(last=False)

    def _said(self, record: Record) -> None:
        if header(record, "ce_type") == WORKFLOW_CANCELLED:
            workflow_id = header(record, "ce_workflowid")
            self._note(_ended(workflow_id))
            for one in [one for one in self._waiting.values() if one.workflow_id == workflow_id]:
                del self._waiting[one.message_id]
        elif message_id := header(record, "ce_causationid"):
            self._note(message_id)
            self._waiting.pop(message_id, None)

    def _note(self, key: str) -> None:
        self._answered[key] = None
        if len(self._answered) > 4 * _MOST:
            self._answered.popitem(last=False)


def _ended(workflow_id: str) -> str:
    return f"workflow\x1f{workflow_id}"
