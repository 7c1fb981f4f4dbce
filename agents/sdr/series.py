"""A series of mails as pure data: which one fits a lead, when its steps are due, what pausing and stopping change.

States of a series: `running`, `stopped`, `finished`. States of a step: `waiting`, `drafted` (has its text), `emitted`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field, model_validator

from agents.sdr.declared import DeclaredSettings
from pointsman.envelope import Payload
from pointsman.store import Document

Changes = dict[str, Any]


class Step(DeclaredSettings):
    """One mail of a series, `after_days` days after its begin, about `angle`."""

    after_days: float = Field(ge=0, le=730)
    angle: str = Field(min_length=1, max_length=300)


class Series(DeclaredSettings):
    """A declared series: for leads from `sources` or with `interests`, for everybody when it names neither."""

    name: str = Field(min_length=1, max_length=60)
    sources: list[str] = Field(default_factory=list)
    interests: list[str] = Field(default_factory=list)
    steps: list[Step] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _begins_at_once_and_moves_on(self) -> Series:
        days = [step.after_days for step in self.steps]
        if days[0] != 0:
            message = "the first step has after_days: 0, it leaves at once"
            raise ValueError(message)
        if days != sorted(days):
            message = "after_days must not fall from step to step"
            raise ValueError(message)
        return self

    @property
    def is_for_everybody(self) -> bool:
        """Whether it names neither sources nor interests."""
        return not self.sources and not self.interests

    def fits(self, profile: Payload) -> bool:
        """Whether it is meant for the lead of `profile`."""
        said = " ".join(str(fact["fact"]) for fact in profile["facts"] if fact["source"] in ("form", "note"))
        return (
            self.is_for_everybody
            or _holds(str(profile["source"]), self.sources)
            or _holds(f"{profile['interest']} {said}", self.interests)
        )


def choose(declared: list[Series], profile: Payload) -> Series:
    """The first declared series that fits; the last is for everybody."""
    return next(series for series in declared if series.fits(profile))


def begin(series: Series, *, now: datetime, day_s: float) -> list[Document]:
    """The steps of `series` for a lead whose series begins `now`, with due times; `day_s` is a day in seconds."""
    return [
        {
            "step": number,
            "angle": step.angle,
            "state": "waiting",
            "due_at": now + timedelta(seconds=step.after_days * day_s),
        }
        for number, step in enumerate(series.steps, start=1)
    ]


def next_step(campaign: Document) -> Document | None:
    """The first step that has not left; None when all have."""
    return next((step for step in campaign["steps"] if step["state"] != "emitted"), None)


def with_text(campaign: Document, number: int, text: Document) -> list[Document]:
    """The steps with the text of step `number` put in."""
    return [{**step, **text, "state": "drafted"} if step["step"] == number else step for step in campaign["steps"]]


def left(campaign: Document, number: int) -> Changes:
    """What changes when step `number` has left."""
    steps = [{**step, "state": "emitted"} if step["step"] == number else step for step in campaign["steps"]]
    following = next_step({"steps": steps})
    if following is None:
        return {"steps": steps, "state": "finished", "next_due_at": None}
    return {"steps": steps, "next_due_at": following["due_at"]}


def stopped(reason: str) -> Changes:
    """What changes when no further mail of a series may leave."""
    return {"state": "stopped", "stopped_because": reason, "next_due_at": None}


def paused(campaign: Document, until: datetime) -> Changes:
    """What changes when the rest of a series waits until `until`, with the same days between its mails."""
    following = next_step(campaign)
    delay = max(until - following["due_at"], timedelta()) if following else timedelta()
    steps = [
        step if step["state"] == "emitted" else {**step, "due_at": step["due_at"] + delay} for step in campaign["steps"]
    ]
    return {"steps": steps, "next_due_at": following["due_at"] + delay if following else None}


def _holds(text: str, words: list[str]) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) for word in words)
