"""Misbehaviour on demand, so that tests can see what a slow, failing or babbling model does."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

GARBAGE: Final = (
    '{"this is": no JSON',
    'Sure! Here is the JSON you asked for: {"answer": 1}',
    "",
    '["a list"]',
    '{"unexpected": true}',
    '{"twice": 1, "twice": 2}',
)
"""What a babbling model answers, in turn; after the last one an answer that is cut off."""
Times = Annotated[int, Field(ge=0, le=1_000_000)]


class FaultPlan(BaseModel):
    """What goes wrong next; the body of `POST /_control`. What is left out stays as it was."""

    model_config = ConfigDict(extra="forbid", strict=True)

    latency_ms: Annotated[float, Field(ge=0, le=600_000)] | None = Field(default=None, description="Before an answer.")
    fail_next: Times | None = Field(default=None, description="So many calls answer with `status`.")
    fail_rate: Annotated[float, Field(ge=0, le=1)] | None = Field(default=None, description="Share of calls that fail.")
    status: Annotated[int, Field(ge=400, le=599)] | None = Field(default=None, description="Of failing calls.")
    retry_after_s: Annotated[float, Field(ge=0)] | None = Field(default=None, description="Of failing calls; 0: none.")
    garbage_next: Times | None = Field(default=None, description="So many calls answer rubbish.")
    refuse_next: Times | None = Field(default=None, description="So many calls are refused by the model.")
    hang_next: Times | None = Field(default=None, description="So many calls never answer.")
    seed: int | None = Field(default=None, description="Of the dice behind fail_rate.")


@dataclass(kw_only=True)
class Faults:
    """The plan in force, and what has happened so far."""

    latency_ms: float = 0.0
    fail_next: int = 0
    fail_rate: float = 0.0
    status: int = 500
    retry_after_s: float = 0.0
    garbage_next: int = 0
    refuse_next: int = 0
    hang_next: int = 0
    calls: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    failed: int = 0
    garbage: int = 0
    refused: int = 0
    hung: int = 0
    _dice: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - no secret hangs on it
    _turn: count[int] = field(default_factory=count)

    def plan(self, change: FaultPlan) -> None:
        """Take a plan over."""
        for name, value in change.model_dump(exclude={"seed"}, exclude_none=True).items():
            setattr(self, name, value)
        if change.seed is not None:
            self._dice.seed(change.seed)

    def begin(self) -> None:
        """A call has come."""
        self.calls += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def end(self) -> None:
        """A call has gone."""
        self.in_flight -= 1

    def hangs(self) -> bool:
        """Whether this call never answers."""
        return self._used_up("hang_next", "hung")

    def fails(self) -> bool:
        """Whether this call answers with `status`."""
        if self._used_up("fail_next", "failed"):
            return True
        fails = self.fail_rate > 0 and self._dice.random() < self.fail_rate
        self.failed += fails
        return fails

    def refuses(self) -> bool:
        """Whether the model refuses this call."""
        return self._used_up("refuse_next", "refused")

    def rubbish(self) -> str | None:
        """What to answer instead of an answer, `None` to answer properly; the text `cut` stands for cutting it off."""
        if not self._used_up("garbage_next", "garbage"):
            return None
        return (*GARBAGE, "cut")[next(self._turn) % (len(GARBAGE) + 1)]

    def counters(self) -> dict[str, Any]:
        """Everything, for `GET /_control`."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def _used_up(self, plan: str, counter: str) -> bool:
        left = getattr(self, plan)
        if not left:
            return False
        setattr(self, plan, left - 1)
        setattr(self, counter, getattr(self, counter) + 1)
        return True
