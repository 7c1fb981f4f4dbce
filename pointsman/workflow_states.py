"""Where a workflow stands: what the router writes to `workflow_state` with each decision, and how it is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pointsman import deadletters, escalations
from pointsman.envelope import Record, from_rfc3339, to_rfc3339
from pointsman.plaintext import without_addresses
from pointsman.plans.view import PlanView
from pointsman.routing.decision import Outcome
from pointsman.topics import ERRORS, ESCALATIONS, WORKFLOW_STATE

AGENT_STAGE = "agent/"
"""How the stage of an agent's dead letter begins."""


class Status(StrEnum):
    """What a workflow does, as of its latest message."""

    RUNNING = "running"
    COMPLETED = "completed"
    WAITING_FOR_PERSON = "waiting_for_person"
    DEAD_LETTER = "dead_letter"
    CANCELLED = "cancelled"


STATUS_OF: Final = {
    Outcome.ROUTED: Status.RUNNING,
    Outcome.COMPLETED: Status.COMPLETED,
    Outcome.ABSTAINED: Status.WAITING_FOR_PERSON,
    Outcome.REJECTED: Status.DEAD_LETTER,
    Outcome.PLANNED: Status.RUNNING,
}
_LONGEST_TEXT: Final = 1000
_ENDS: Final = {
    ERRORS: (Status.DEAD_LETTER, deadletters.PREFIX),
    ESCALATIONS: (Status.WAITING_FOR_PERSON, escalations.PREFIX),
}


@dataclass(frozen=True, kw_only=True)
class WorkflowState:
    """The latest state of one workflow. No payload, no address.

    Attributes:
        workflow_id: its id.
        status: what it does.
        where: the agent that has its latest message, or that message's type when no agent has it.
        since: when it came there, UTC.
        steps: number of its messages so far.
        message_id: its latest message.
        reason_code: for programs, e.g. `step_limit`.
        reason: for a person.
        catalog: version of the agent catalog that decided.
        plan: its plan, as far as it has one: of several the one that moved last.
    """

    workflow_id: str
    status: Status
    where: str
    since: datetime
    steps: int
    message_id: str
    reason_code: str
    reason: str
    catalog: str
    plan: PlanView | None = None

    @staticmethod
    def decided(
        *,
        workflow_id: str,
        message_id: str,
        event_type: str,
        outcome: Outcome,
        agent: str | None,
        reason_code: str,
        reason: str,
        is_cancelled: bool,
        step: int,
        at: datetime,
        catalog: str,
    ) -> WorkflowState:
        """The state that a decision leaves its workflow in."""
        return WorkflowState(
            workflow_id=workflow_id,
            status=Status.CANCELLED if is_cancelled else STATUS_OF[outcome],
            where=agent or event_type[:_LONGEST_TEXT],
            since=at,
            steps=step,
            message_id=message_id,
            reason_code=reason_code,
            reason=without_addresses(reason[:_LONGEST_TEXT]),
            catalog=catalog,
        )

    def to_record(self) -> Record:
        """The state as a record for `workflow_state`, keyed by workflow id."""
        plan = self.plan.to_json() if self.plan else None
        about = {**vars(self), "since": to_rfc3339(self.since), "plan": plan}
        value = json.dumps(about, ensure_ascii=False, separators=(",", ":"))
        return Record(
            topic=WORKFLOW_STATE,
            key=self.workflow_id.encode(errors="replace"),
            value=value.encode(errors="replace"),
            headers={"content-type": b"application/json"},
        )

    @staticmethod
    def from_record(record: Record) -> WorkflowState | None:
        """Read what `to_record` wrote; None when the record holds something else."""
        try:
            fields: Mapping[str, Any] = json.loads(record.value or b"")
            return WorkflowState(
                workflow_id=str(fields["workflow_id"]),
                status=Status(fields["status"]),
                where=str(fields["where"]),
                since=from_rfc3339(fields["since"]),
                steps=int(fields["steps"]),
                message_id=str(fields["message_id"]),
                reason_code=str(fields["reason_code"]),
                reason=str(fields["reason"]),
                catalog=str(fields["catalog"]),
                plan=PlanView.from_json(fields["plan"]) if fields.get("plan") else None,
            )
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            return None


def latest_states(states: Iterable[Record], ends: Iterable[Record]) -> dict[str, WorkflowState]:
    """The latest state of every workflow, by its id.

    The router does not hear of a message that ends with its agent, as a dead letter or with a person, so a workflow
    whose latest message is such a one stands there here.

    Args:
        states: the records of `workflow_state`, each workflow's in order.
        ends: the records of `agent_errors` and `agent_escalations`.
    """
    read = (WorkflowState.from_record(record) for record in states)
    found = {state.workflow_id: state for state in read if state is not None}
    for end in ends:
        state = found.get(_header(end, "ce_workflowid"))
        status, prefix = _ENDS.get(end.topic, (None, ""))
        if state and status and _is_its_end(end, prefix, state):
            found[state.workflow_id] = replace(
                state,
                status=status,
                reason_code=_header(end, f"{prefix}reason"),
                reason=_header(end, f"{prefix}message"),
                since=_time(end, f"{prefix}at") or state.since,
            )
    return found


def _is_its_end(end: Record, prefix: str, state: WorkflowState) -> bool:
    return (
        state.status is Status.RUNNING
        and _header(end, f"{prefix}stage") == f"{AGENT_STAGE}{state.where}"
        and _header(end, "ce_id") == state.message_id
    )


def _header(record: Record, name: str) -> str:
    return record.headers.get(name, b"").decode(errors="replace")


def _time(record: Record, name: str) -> datetime | None:
    try:
        return from_rfc3339(_header(record, name))
    except (ValueError, OverflowError):
        return None
