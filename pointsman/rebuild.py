"""Event sourcing: where each workflow stands, worked out from its messages and the decisions on them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pointsman.decision_log import LoggedDecision, Place
from pointsman.envelope import Record, decode
from pointsman.errors import InvalidEnvelopeError
from pointsman.routing.decision import Outcome
from pointsman.workflow_states import WorkflowState


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What messages and decisions make of the workflows.

    Attributes:
        states: the latest state of each workflow.
        planned: workflows that have a plan. Where a plan stands also hangs on time, and the log does not hold it: their
            states are not compared.
        undecided: messages without a decision: the router has them still.
        orphans: decisions whose message Kafka no longer holds.
    """

    states: Mapping[str, WorkflowState]
    planned: frozenset[str]
    undecided: Sequence[Place]
    orphans: Sequence[Place]


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """A workflow that the topic `workflow_state` has otherwise.

    Attributes:
        workflow_id: which.
        rebuilt: what messages and decisions say; None when they say nothing.
        kept: what the topic says; None when it says nothing.
    """

    workflow_id: str
    rebuilt: WorkflowState | None
    kept: WorkflowState | None


def rebuild(messages: Iterable[Record], decisions: Iterable[LoggedDecision]) -> Rebuilt:
    """Work every workflow's state out.

    Args:
        messages: records of `agent_messages`; repeats of a message count once, as in the router.
        decisions: the decisions of the same time, in any order.
    """
    fresh = _fresh(messages)
    latest: dict[str, LoggedDecision] = {}
    orphans, decided, planned = [], set(), set()
    for decision in decisions:
        if _by_plan(decision) and decision.workflow_id:
            planned.add(decision.workflow_id)
        decided.add(decision.message_place)
        if decision.message_place not in fresh:
            orphans.append(decision.place)
        if decision.workflow_id is None:
            continue
        known = latest.get(decision.workflow_id)
        if known is None or decision.step > known.step:
            latest[decision.workflow_id] = decision
    states = {workflow: _state(decision) for workflow, decision in latest.items()}
    return Rebuilt(
        states={workflow: state for workflow, state in states.items() if state is not None},
        planned=frozenset(planned),
        undecided=sorted(fresh - decided),
        orphans=orphans,
    )


def mismatches(rebuilt: Rebuilt, before: Iterable[Record], after: Iterable[Record]) -> list[Mismatch]:
    """The workflows that stand otherwise in `workflow_state`.

    Args:
        rebuilt: what messages and decisions say.
        before: the records of `workflow_state`, read before messages and decisions were.
        after: the same, read after them: what has moved meanwhile is left out.
    """
    first, last = _latest(before), _latest(after)
    compared = {*rebuilt.states, *first, *last} - rebuilt.planned
    still = {workflow for workflow in compared if first.get(workflow) == last.get(workflow)}
    return [
        Mismatch(workflow_id=workflow, rebuilt=rebuilt.states.get(workflow), kept=last.get(workflow))
        for workflow in sorted(still)
        if rebuilt.states.get(workflow) != last.get(workflow)
    ]


def _latest(records: Iterable[Record]) -> dict[str, WorkflowState]:
    read = (WorkflowState.from_record(record) for record in records)
    return {state.workflow_id: state for state in read if state is not None}


def _fresh(messages: Iterable[Record]) -> set[Place]:
    """Where the messages lie that the router takes as new: the first of each identity."""
    seen: set[tuple[str, str, int]] = set()
    fresh = set()
    for record in messages:
        identity = _identity(record)
        if identity is None or identity not in seen:
            fresh.add(Place.of(record))
        if identity is not None:
            seen.add(identity)
    return fresh


def _identity(record: Record) -> tuple[str, str, int] | None:
    try:
        message = decode(record)
    except InvalidEnvelopeError:
        return None
    return message.source, message.id, message.attempt


def _by_plan(decision: LoggedDecision) -> bool:
    inputs = decision.value.get("inputs")
    return isinstance(inputs, dict) and inputs.get("by_plan") is True


def _state(decision: LoggedDecision) -> WorkflowState | None:
    inputs = decision.value.get("inputs")
    counters = inputs.get("counters") if isinstance(inputs, dict) else None
    is_cancelled = isinstance(counters, dict) and counters.get("is_cancelled") is True
    try:
        outcome = Outcome(decision.outcome)
    except ValueError:
        return None
    if decision.decided_at is None:
        return None
    return WorkflowState.decided(
        workflow_id=decision.workflow_id or "",
        message_id=decision.message_id or "",
        event_type=decision.event_type,
        outcome=outcome,
        agent=decision.agent,
        reason_code=decision.reason_code,
        reason=decision.reason,
        is_cancelled=is_cancelled or decision.reason_code == "cancelled",
        step=decision.step,
        at=decision.decided_at,
        catalog=decision.catalog,
    )
