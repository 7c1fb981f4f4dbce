"""What a message means to a plan: begins one, is a task's result or failure, or has a failed one go on.

The meaning is found when the message is looked at; where the plan stands is asked only when the message leaves, at the
head of its workflow's queue, so that state and output change together and in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pointsman.deadletters import PREFIX
from pointsman.envelope import (
    AGENT_SOURCE,
    PLAN_FAILED,
    PLAN_PROPOSED,
    PLAN_RETRIED,
    TASK_FAILED,
    Envelope,
    Record,
    decode,
    derived_id,
)
from pointsman.errors import InvalidPlanError
from pointsman.plans import (
    PLAN_SOURCE,
    Done,
    Event,
    Failed,
    PlanState,
    PlanStatus,
    ProposedPlan,
    Retried,
    Send,
    Step,
    advanced,
    checked_plan,
    started,
)
from pointsman.routing.decision import Decision, Method, Outcome
from pointsman.routing.limits import Counters, is_by_person
from pointsman.routing.router import Router
from pointsman.topics import ERRORS, MESSAGES, WORKFLOW_STATE
from pointsman.usage import BUDGET_HEADERS, ROUTING_HEADER, USAGE_HEADERS
from pointsman.workflow_states import Status, WorkflowState

Write = Callable[[Decision], list[Record]]
"""What a decision on the message writes."""

_FAILURES: Final = frozenset({TASK_FAILED, PLAN_FAILED})
_NOT_INHERITED: Final = frozenset({*USAGE_HEADERS.values(), *BUDGET_HEADERS.values(), ROUTING_HEADER})
"""What the proposing agent used is counted once, with its own message."""
_LONGEST_REASON: Final = 60


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What came of a message that concerns a plan.

    Attributes:
        records: what to write.
        state: where the plan stands now; None when it stands where it stood, or there is none.
        kept: the same, as it is kept.
    """

    records: list[Record]
    state: PlanState | None = None
    kept: bytes = b""


@dataclass(frozen=True, kw_only=True)
class PlanMatter:
    """A message that concerns a plan.

    Attributes:
        workflow_id: its workflow.
        plan_id: the plan.
        settle: what comes of it, given where the plan stands; None: no such plan is known.
    """

    workflow_id: str
    plan_id: str
    settle: Callable[[PlanState | None], Settled]


@dataclass(frozen=True, kw_only=True)
class Planning:
    """Finds what messages mean to plans, by one catalog.

    Attributes:
        router: the router of that catalog.
        clock: the time, UTC.
    """

    router: Router
    clock: Callable[[], datetime]

    def concerns(self, message: Envelope, counters: Counters, write: Write) -> PlanMatter | Decision | None:
        """What `message` means to a plan; a decision where it can mean nothing; None where it is none of its business.

        Args:
            message: the message.
            counters: what its workflow has come to.
            write: what a decision on it writes.
        """
        if counters.is_cancelled:
            return None
        refused = self.router.refusal(message)
        if refused:
            return refused
        if message.event_type == PLAN_PROPOSED and _may_propose(message):
            return self._proposal(message, counters, write)
        if message.event_type == PLAN_RETRIED and is_by_person(message):
            return self._matter(message, str(message.payload.get("plan_id")), Retried(), write)
        event = self._event(message)
        return self._matter(message, message.task.plan_id, event, write) if message.task and event else None

    def failure(self, message: Envelope, records: list[Record]) -> PlanMatter | None:
        """What it means to its plan that `message` is a dead letter; None when it is none, or belongs to no plan.

        Args:
            message: the message.
            records: what the decision on it writes.
        """
        letter = next((record for record in records if record.topic == ERRORS), None)
        task = message.task
        if letter is None or task is None:
            return None
        reason = letter.headers.get(f"{PREFIX}reason", b"").decode(errors="replace")
        event = Failed(task_id=task.task_id, number=task.number, reason=_code(reason))

        def settle(state: PlanState | None) -> Settled:
            if state is None:
                return Settled(records=records)
            return self._moved(advanced(state, event, self.clock()), message, records)

        return PlanMatter(workflow_id=message.workflow_id, plan_id=task.plan_id, settle=settle)

    def _proposal(self, message: Envelope, counters: Counters, write: Write) -> PlanMatter | Decision:
        held = self.router.held_by_limit(message, counters, self.clock())
        if held:
            return held
        try:
            plan = checked_plan(message.payload, self.router.catalog, self.router.candidates)
        except InvalidPlanError as error:
            return self._decision(Outcome.REJECTED, error.reason.value, error.detail)
        plan_id = derived_id(message.id, message.source, "plan")

        def settle(state: PlanState | None) -> Settled:
            step = self._start(plan_id, plan, message) if state is None else _known(state)
            return self._settled(step, message, write)

        return PlanMatter(workflow_id=message.workflow_id, plan_id=plan_id, settle=settle)

    def _start(self, plan_id: str, plan: ProposedPlan, message: Envelope) -> Step:
        headers = {name: value for name, value in message.headers().items() if name not in _NOT_INHERITED}
        return started(plan_id, message.workflow_id, plan, headers, self.clock())

    def _event(self, message: Envelope) -> Event | None:
        task = message.task
        if task is None:
            return None
        if message.event_type in _FAILURES:
            said = message.payload.get("reason_code")
            reason = _code(said) if message.event_type == TASK_FAILED else "plan_failed"
            return Failed(task_id=task.task_id, number=task.number, reason=reason)
        # What some agent accepts is on its way to it: the task goes on there.
        if self.router.catalog.accepting(message.event_type):
            return None
        return Done(task_id=task.task_id, result=message.payload)

    def _matter(self, message: Envelope, plan_id: str, event: Event, write: Write) -> PlanMatter:
        def settle(state: PlanState | None) -> Settled:
            if state is None:
                return Settled(records=write(self._decision(Outcome.ABSTAINED, "plan_unknown", _UNKNOWN)))
            return self._settled(advanced(state, event, self.clock()), message, write)

        return PlanMatter(workflow_id=message.workflow_id, plan_id=plan_id, settle=settle)

    def _settled(self, step: Step, message: Envelope, write: Write) -> Settled:
        records = write(self._decision(Outcome.PLANNED, step.code, step.reason))
        if not step.is_change:
            # It says nothing new about where its workflow stands.
            return Settled(records=_without_state(records))
        if step.state.status is PlanStatus.FAILED and not step.sends:
            records = self._standing_still(records)
        return self._moved(step, message, records)

    def _standing_still(self, records: list[Record]) -> list[Record]:
        """What comes late to a failed plan is kept, and its workflow stands where `plan.failed` has brought it."""
        catalog = self.router.catalog
        if catalog.accepting(PLAN_FAILED) or PLAN_FAILED in catalog.terminal_types:
            return _without_state(records)
        return [_waiting(record) if record.topic == WORKFLOW_STATE else record for record in records]

    def _moved(self, step: Step, cause: Envelope, records: list[Record]) -> Settled:
        if not step.is_change:
            return Settled(records=records)
        sent = [_envelope(send, step.state, cause, self.clock()).to_record(MESSAGES) for send in step.sends]
        state = step.state.slim() if step.state.status is PlanStatus.JOINED else step.state
        return Settled(records=[*records, *sent], state=state, kept=state.to_bytes())

    def _decision(self, outcome: Outcome, code: str, reason: str) -> Decision:
        return Decision(
            outcome=outcome,
            how=Method.CONTRACT,
            reason=reason,
            reason_code=code,
            catalog=self.router.catalog.version,
            catalog_sequence=self.router.catalog.sequence,
        )


_UNKNOWN: Final = "its plan is not known, or was over so long ago that it is forgotten"


def _envelope(send: Send, state: PlanState, cause: Envelope, at: datetime) -> Envelope:
    """The message that a plan sends: it inherits from the one that proposed the plan, its outer task included."""
    proposed = decode(Record(topic=MESSAGES, key=None, value=b"{}", headers=state.headers))
    return replace(
        proposed,
        id=send.id,
        source=PLAN_SOURCE,
        event_type=send.event_type,
        payload=send.payload,
        time=at,
        causation_id=cause.id,
        agent_version=None,
        target_agent=None,
        attempt=0,
        task=send.task or proposed.task,
    )


def _may_propose(message: Envelope) -> bool:
    """A person, or an agent: that its definition emits plans was seen before."""
    return is_by_person(message) or message.source.startswith(AGENT_SOURCE)


def _without_state(records: list[Record]) -> list[Record]:
    return [record for record in records if record.topic != WORKFLOW_STATE]


def _waiting(record: Record) -> Record:
    state = WorkflowState.from_record(record)
    if state is None:
        return record
    return replace(state, status=Status.WAITING_FOR_PERSON, where=PLAN_FAILED).to_record()


def _known(state: PlanState) -> Step:
    return Step(state=state, code="plan_known", reason="the plan has begun already", is_change=False)


def _code(said: object) -> str:
    """A reason for programs; what comes from outside is no text for people."""
    plain = isinstance(said, str) and said.isascii() and said.replace("_", "").isalnum()
    return str(said)[:_LONGEST_REASON] if plain else "failed"
