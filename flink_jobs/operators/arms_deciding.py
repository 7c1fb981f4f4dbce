"""Decides with both sides of a rollout: each message with its workflow's side, and a copy with the candidate."""

from __future__ import annotations

from collections.abc import Callable

from flink_jobs.operators.deciding import Clock, Concluded, Deciding, Question
from flink_jobs.operators.records import Arrived
from flink_jobs.operators.shadowing import Shadow
from pointsman.rollouts.arms import Arms, Side
from pointsman.rollouts.model import Arm
from pointsman.routing.decision import Decision

OnDecided = Callable[[Arrived, Decision], None]
OnFault = Callable[[Arrived, Exception], None]


class ArmsDeciding:
    """What `Deciding` is for one catalog, for the one or two that decide now.

    Args:
        arms: who decides.
        clock: the time, UTC.
        on_fault: is told of an unforeseen exception; its text may hold personal data.
        on_decided: is told each decision, before it leaves.
        shadow: the candidate's second look.
        must_claim: an agent may act on what it gets only after it has claimed it.
    """

    def __init__(
        self,
        arms: Arms,
        clock: Clock,
        on_fault: OnFault,
        on_decided: OnDecided,
        shadow: Shadow,
        *,
        must_claim: bool = False,
    ) -> None:
        self._arms = arms
        self._shadow = shadow
        self._on_decided = on_decided

        def deciding(side: Side) -> Deciding:
            return Deciding(side.router, clock, on_fault, self._decided, side, must_claim=must_claim)

        self._baseline = deciding(arms.baseline)
        self._candidate = deciding(arms.candidate) if arms.candidate else self._baseline

    def begin(self, arrived: Arrived) -> Concluded | Question:
        """The records to write, or what a plan makes of it, or what to ask first."""
        side = self._arms.side_of(arrived.record, arrived.began_ms)
        return (self._baseline if side is self._arms.baseline else self._candidate).begin(arrived)

    def _decided(self, arrived: Arrived, decision: Decision) -> None:
        self._on_decided(arrived, decision)
        candidate = self._arms.shadow_of(arrived.record)
        if candidate is not None and self._arms.rollout is not None:
            self._shadow.offer(arrived, decision, self._arms.rollout.release(Arm.CANDIDATE), candidate)
