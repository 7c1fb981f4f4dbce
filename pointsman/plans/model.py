"""What an agent writes when it proposes a plan."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pointsman.definitions.model import EventType

PLAN_SOURCE: Final = "/router/plan"
"""Who says what a plan sends."""
MAX_TASKS: Final = 10
RESULTS: Final = "results"
"""Where a payload gets the results that it waited for."""

TaskId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Call(_Strict):
    """A message that the plan sends when it is time."""

    event_type: EventType = Field(description="A type that some agent accepts.")
    payload: dict[str, Any] = Field(default={}, description="Its payload; `results` is added by the plan.")


class Task(Call):
    """One part of the work."""

    id: TaskId = Field(description="Unique within the plan.")
    needs: list[TaskId] = Field(
        default=[], max_length=MAX_TASKS, description="Tasks that must be over before; their results go along."
    )
    attempts: int = Field(default=2, ge=1, le=5, description="How often it is tried.")
    optional: bool = Field(default=False, description="When it fails for good, the plan goes on without it.")
    compensate: Call | None = Field(
        default=None, description="Sent when the plan fails after this task was done; its result goes along."
    )


class ProposedPlan(_Strict):
    """The payload of `plan.proposed`."""

    tasks: list[Task] = Field(min_length=1, max_length=MAX_TASKS)
    join: Call = Field(description="Sent once, when all tasks are over, with all results.")
