"""Plans in keyed state: read and changed when a message leaves, shown with every state of their workflow."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from flink_jobs.operators.planning import PlanMatter
from pointsman.envelope import Record
from pointsman.plans import PlanState, PlanView
from pointsman.topics import WORKFLOW_STATE
from pointsman.workflow_states import WorkflowState


class KeptPlans(Protocol):
    """Keyed state: plans as bytes."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, value: bytes) -> None: ...
    def remove(self, key: str) -> None: ...
    def items(self) -> Iterable[tuple[str, bytes]]: ...


@dataclass(frozen=True, kw_only=True)
class _Shown:
    workflow_id: str
    view: PlanView
    touched: datetime


class PlanKeeping:
    """The plans of one shard. State holds them whole, memory only what is shown of them.

    Make and use it while the shard is the current key.

    Args:
        state: where they are kept.
        forget_after: how long after it moved last a plan is remembered.
    """

    def __init__(self, state: KeptPlans, forget_after: timedelta) -> None:
        self._state = state
        self._forget_after = forget_after
        self._shown: OrderedDict[str, _Shown] = OrderedDict()
        self._latest: dict[str, str] = {}
        restored = [PlanState.from_bytes(kept) for _, kept in state.items()]
        for plan in sorted(restored, key=_touched):
            self._show(plan)

    def settle(self, matter: PlanMatter, now: datetime) -> list[Record]:
        """What the message of `matter` writes; its plan moves on with it."""
        self._forget(now)
        key = _key(matter.workflow_id, matter.plan_id)
        kept = self._state.get(key) if key in self._shown else None
        settled = matter.settle(PlanState.from_bytes(kept) if kept is not None else None)
        if settled.state is not None:
            self._state.put(key, settled.kept)
            self._show(settled.state)
        return settled.records

    def shown(self, records: list[Record]) -> list[Record]:
        """`records`, each workflow's state with its plan."""
        return [self._with_plan(record) if record.topic == WORKFLOW_STATE else record for record in records]

    def _with_plan(self, record: Record) -> Record:
        key = self._latest.get((record.key or b"").decode(errors="replace"))
        state = WorkflowState.from_record(record) if key else None
        return replace(state, plan=self._shown[key].view).to_record() if state and key else record

    def _show(self, plan: PlanState) -> None:
        key = _key(plan.workflow_id, plan.plan_id)
        self._shown[key] = _Shown(workflow_id=plan.workflow_id, view=PlanView.of(plan), touched=_touched(plan))
        self._shown.move_to_end(key)
        self._latest[plan.workflow_id] = key

    def _forget(self, now: datetime) -> None:
        while self._shown:
            key, oldest = next(iter(self._shown.items()))
            if oldest.touched + self._forget_after > now:
                return
            del self._shown[key]
            self._state.remove(key)
            if self._latest.get(oldest.workflow_id) == key:
                del self._latest[oldest.workflow_id]


def _touched(plan: PlanState) -> datetime:
    return max(plan.since, *(task.since for task in plan.tasks))


def _key(workflow_id: str, plan_id: str) -> str:
    # A hash: not every text survives the way from Python to the JVM.
    return hashlib.sha256(f"{workflow_id}\x1f{plan_id}".encode(errors="replace")).hexdigest()
