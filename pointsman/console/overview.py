"""The board's figures: totals, stages, models, checkpoints. What is not known is None, never 0."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from fastapi.concurrency import run_in_threadpool

from pointsman.console.desk import Desk
from pointsman.console.view import View
from pointsman.envelope import to_rfc3339
from pointsman.errors import PointsmanError
from pointsman.runtime.ledger import EFFECTS, EffectState

_GOOD_FOR_S: Final = 1.0


class Overview:
    """Works the figures out once a second at most, however many pages are open.

    Args:
        desk: what they are worked out from.
        monotonic: the clock, seconds.
    """

    def __init__(self, desk: Desk, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._figures: dict[str, Any] = {}
        self._at = -_GOOD_FOR_S

    async def figures(self) -> dict[str, Any]:
        """The figures, at most a second old."""
        async with self._lock:
            if self._monotonic() - self._at >= _GOOD_FOR_S:
                unknown = await _unknown_effects(self._desk)
                self._figures = {**await run_in_threadpool(_figures, self._desk), "unknown_effects": unknown}
                self._at = self._monotonic()
            return self._figures


async def _unknown_effects(desk: Desk) -> int | None:
    try:
        return await desk.store.count(EFFECTS, {"state": EffectState.UNKNOWN.value})
    except PointsmanError:
        return None


def _figures(desk: Desk) -> dict[str, Any]:
    view, lag = desk.view, desk.watch.health.lag
    totals, stages = view.standing()
    return {
        "kafka": view.kafka,
        "totals": totals,
        "stages": [{**asdict(stage), "lag": lag.get(stage.name)} for stage in stages],
        "waiting": len(view.waiting()),
        "dead_letters": len(view.open_letters()),
        "model": asdict(view.spent(desk.now())),
        "job": _job(desk),
        "effects": _effects(view),
        "catalog": {"sequence": view.catalog.sequence, "version": view.catalog.version},
    }


def _job(desk: Desk) -> dict[str, Any]:
    health = desk.watch.health
    age = (desk.now() - health.checkpoint_at).total_seconds() if health.checkpoint_at else None
    return {"state": health.job_state, "checkpoint_age_s": max(0.0, age) if age is not None else None}


def _effects(view: View) -> dict[str, Any]:
    control = view.effects
    at = to_rfc3339(control.at) if control.by else None
    return {"is_allowed": control.is_allowed, "by": control.by, "at": at, "reason": control.reason}
