"""From a record to what is written about it, with the model call in between left to the caller. Never raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from flink_jobs.operators.outputs import Decided, error_record, outputs, shortened
from flink_jobs.operators.planning import PlanMatter, Planning, Settled
from flink_jobs.operators.records import Arrived
from pointsman.envelope import Envelope, Record, decode
from pointsman.errors import ErrorReason, InvalidEnvelopeError
from pointsman.models.port import ChatAnswer, ChatRequest
from pointsman.plans import PlanState
from pointsman.rollouts.arms import Side
from pointsman.routing.decision import Decision
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router

Clock = Callable[[], datetime]
Answer = ChatAnswer | Exception
Concluded = list[Record] | PlanMatter
"""What to write; or what comes of it only when the message leaves, since it depends on where a plan stands then."""
_FAULT: Final = "the router failed on this record with {}; this is a defect, see the TaskManager's log"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A decision that waits for the model.

    Attributes:
        request: what to ask.
        conclude: turns the answer, or the error that came instead, into the records to write.
        stand_in: what to write while no model answers; None where the message waits until one does.
    """

    request: ChatRequest
    conclude: Callable[[Answer], Concluded]
    stand_in: Callable[[], Concluded | None]


class Deciding:
    """Decides with one router, that is with one catalog.

    Args:
        router: the router of the catalog in force.
        clock: the time, UTC.
        on_fault: is told of an unforeseen exception; its text may hold personal data.
        on_decided: is told each decision, before it leaves.
        side: the side of a rollout that it decides for; None where there is only one.
        must_claim: an agent may act on what it gets only after it has claimed it.
    """

    def __init__(
        self,
        router: Router,
        clock: Clock,
        on_fault: Callable[[Arrived, Exception], None],
        on_decided: Callable[[Arrived, Decision], None] = lambda arrived, decision: None,
        side: Side | None = None,
        *,
        must_claim: bool = False,
    ) -> None:
        self._router = router
        self._clock = clock
        self._on_fault = on_fault
        self._planning = Planning(router=router, clock=clock)
        self._on_decided = on_decided
        self._must_claim = must_claim
        self._release = side.release if side else ""
        self._inboxes = side.inboxes if side else {}

    def begin(self, arrived: Arrived) -> Concluded | Question:
        """The records to write, or what a plan makes of it, or what to ask first."""
        try:
            return self._begin(arrived)
        except Exception as error:
            return self._fault(arrived, error)

    def _begin(self, arrived: Arrived) -> Concluded | Question:
        try:
            message = decode(arrived.record)
        except InvalidEnvelopeError as error:
            if error.reason is ErrorReason.ERASED:
                # Who erases a workflow cancels it; that nobody can read what comes late is no failure.
                record = replace(arrived.record, decoded={})
                return self._begin(arrived._replace(record=record, is_cancelled=True))
            return self._written(arrived, None, self._router.refuse(error), self._clock())
        began_at, counters = self._clock(), arrived.counters
        planned = self._planning.concerns(
            message,
            counters,
            lambda decision: self._outputs(arrived, message, decision, began_at, by_plan=True),
        )
        if isinstance(planned, PlanMatter):
            return self._guarded(arrived, planned)
        if planned is not None:
            by_plan = self._router.refusal(message) is None
            return self._written(arrived, message, planned, began_at, by_plan=by_plan)
        prepared = self._router.prepare(message, counters, began_at)
        if isinstance(prepared, Decision):
            return self._written(arrived, message, prepared, began_at)
        return Question(
            request=prepared.request,
            conclude=lambda answer: self._conclude(arrived, message, prepared, answer, began_at),
            stand_in=lambda: self._stand_in(arrived, message, prepared, began_at),
        )

    def _stand_in(
        self, arrived: Arrived, message: Envelope, question: ModelQuestion, began_at: datetime
    ) -> Concluded | None:
        try:
            decision = self._router.stand_in(message, question)
            return self._written(arrived, message, decision, began_at) if decision else None
        except Exception as error:
            # The message can still wait for the model.
            self._on_fault(arrived, error)
            return None

    def _conclude(
        self, arrived: Arrived, message: Envelope, question: ModelQuestion, answer: Answer, began_at: datetime
    ) -> Concluded:
        try:
            if isinstance(answer, Exception):
                decision = self._router.conclude_failure(question, answer)
            else:
                decision = self._router.conclude(question, answer)
            return self._written(arrived, message, decision, began_at)
        except Exception as error:
            return self._fault(arrived, error)

    def _written(
        self,
        arrived: Arrived,
        message: Envelope | None,
        decision: Decision,
        began_at: datetime,
        *,
        by_plan: bool = False,
    ) -> Concluded:
        records = self._outputs(arrived, message, decision, began_at, by_plan=by_plan)
        failure = self._planning.failure(message, records) if message else None
        return self._guarded(arrived, failure) if failure else records

    def _guarded(self, arrived: Arrived, matter: PlanMatter) -> PlanMatter:
        def settle(state: PlanState | None) -> Settled:
            try:
                return matter.settle(state)
            except Exception as error:
                return Settled(records=self._fault(arrived, error))

        return replace(matter, settle=settle)

    def _outputs(
        self,
        arrived: Arrived,
        message: Envelope | None,
        decision: Decision,
        began_at: datetime,
        *,
        by_plan: bool = False,
    ) -> list[Record]:
        self._on_decided(arrived, decision)
        counters = arrived.counters
        decided = Decided(
            record=arrived.record,
            message=message,
            counters=counters,
            decision=decision,
            inputs={**self._router.inputs(message, counters, began_at), "by_plan": by_plan},
            at=self._clock(),
            must_claim=self._must_claim,
            release=self._release,
            inboxes=self._inboxes,
        )
        return outputs(decided)

    def _fault(self, arrived: Arrived, error: Exception) -> list[Record]:
        self._on_fault(arrived, error)
        detail = _FAULT.format(type(error).__name__)
        catalog = self._router.catalog.version
        letter = error_record(arrived.record, ErrorReason.AGENT_FAULT, detail, self._clock(), catalog)
        return [shortened(letter)]
