"""What models cost and how often they fail, over the last hour. Pure: fed with records of decisions and messages."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pointsman.envelope import AGENT_SOURCE, Record, from_rfc3339
from pointsman.topics import DECISIONS, MESSAGES
from pointsman.workflow_control import header

WINDOW: Final = timedelta(hours=1)
_MOST: Final = 50_000
_MODEL_FAILED: Final = frozenset({"model_unavailable", "model_answer"})
_MICRO: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class _Use:
    at: datetime
    tries: int
    failed: int
    cost_usd: float | None


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What models did within the window.

    Attributes:
        calls: calls made, failed tries among them.
        failed: how many of them failed.
        cost_usd: US dollars; None when there were calls and no price of any of them is known.
        is_partial: some calls' price is unknown, so it was at least `cost_usd`.
    """

    calls: int
    failed: int
    cost_usd: float | None
    is_partial: bool


class Spending:
    """Keeps each use of a model for an hour."""

    def __init__(self) -> None:
        self._uses: deque[_Use] = deque(maxlen=_MOST)

    def feed(self, record: Record) -> None:
        """Take one record over, whatever it holds."""
        use = _decided(record) if record.topic == DECISIONS else _answered(record) if record.topic == MESSAGES else None
        if use is not None:
            self._uses.append(use)

    def report(self, now: datetime) -> Spent:
        """What was spent in the hour before `now`."""
        uses = [use for use in self._uses if use.at > now - WINDOW]
        priced = [use.cost_usd for use in uses if use.cost_usd is not None]
        return Spent(
            calls=sum(use.tries for use in uses),
            failed=sum(use.failed for use in uses),
            cost_usd=sum(priced) if priced or not uses else None,
            is_partial=len(priced) < len(uses),
        )


def _decided(record: Record) -> _Use | None:
    """The router's own question, if a decision took one."""
    try:
        decision = json.loads(record.value or b"")
        at = from_rfc3339(decision["decided_at"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    call = decision.get("model_call")
    if isinstance(call, Mapping):
        tries = max(1, _whole(call.get("attempts")))
        return _Use(at=at, tries=tries, failed=tries - 1, cost_usd=_amount(call.get("cost_usd")))
    failed = decision.get("reason_code") in _MODEL_FAILED
    return _Use(at=at, tries=1, failed=1, cost_usd=0.0) if failed else None


def _answered(record: Record) -> _Use | None:
    """What an agent says it has used for the message that this record answers."""
    calls, micro = (_digits(header(record, name)) for name in ("ce_modelcalls", "ce_costmicrousd"))
    if not calls or not header(record, "ce_source").startswith(AGENT_SOURCE):
        return None
    at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    # A cost of nothing is left out, and so is an unknown one: no model is for nothing.
    return _Use(at=at, tries=calls, failed=0, cost_usd=micro / _MICRO if micro else None)


def _digits(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MICRO else 0


def _amount(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
