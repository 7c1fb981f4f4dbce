"""Whether a proposed plan can be carried out, before anything of it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from pydantic import ValidationError

from pointsman.catalog import Catalog
from pointsman.envelope import Payload
from pointsman.errors import InvalidPlanError
from pointsman.plans.bounds import MAX_DEPTH, MAX_PLAN_BYTES, carried_size
from pointsman.plans.model import RESULTS, Call, ProposedPlan
from pointsman.routing.candidates import fitting
from pointsman.routing.decision import Candidate

Candidates = Callable[[str, Payload], Sequence[Candidate]]


def checked_plan(payload: Payload, catalog: Catalog, candidates: Candidates) -> ProposedPlan:
    """The plan in `payload`.

    Args:
        payload: the payload of `plan.proposed`.
        catalog: the definitions in force.
        candidates: every agent that lists an event type, and whether its contract takes a payload.

    Raises:
        InvalidPlanError: it cannot be carried out; the text names the task and the rule, never a value of a payload.
    """
    plan = _parsed(payload)
    for problem in _problems(plan, catalog, candidates):
        raise InvalidPlanError(problem)
    return plan


def _parsed(payload: Payload) -> ProposedPlan:
    size = carried_size(payload)
    if size is None:
        raise InvalidPlanError(f"the plan holds a number that JSON cannot say, or is nested deeper than {MAX_DEPTH}")
    if size > MAX_PLAN_BYTES:
        raise InvalidPlanError(f"the plan has {size} bytes, at most {MAX_PLAN_BYTES} are allowed")
    try:
        return ProposedPlan.model_validate(payload)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InvalidPlanError(f"{_place(first['loc'])}: {first['msg']}") from None


def _place(path: tuple[int | str, ...]) -> str:
    # Names of unknown keys come from outside: only what the model itself knows is repeated.
    known = {"tasks", "join", *ProposedPlan.model_json_schema()["$defs"]["Task"]["properties"]}
    parts = [str(part) if isinstance(part, int) or part in known else "?" for part in path]
    return ".".join(parts) or "the plan"


def _problems(plan: ProposedPlan, catalog: Catalog, candidates: Candidates) -> Iterator[str]:
    ids = [task.id for task in plan.tasks]
    for task in plan.tasks:
        if ids.count(task.id) > 1:
            yield f"task {task.id}: its id stands twice"
        for need in task.needs:
            if need not in ids:
                yield f"task {task.id}: it needs {need}, which is no task of the plan"
        yield from _call_problems(f"task {task.id}", task, candidates, gets_results=bool(task.needs))
        if task.compensate:
            yield from _call_problems(f"task {task.id}, compensate", task.compensate, candidates, gets_results=True)
    yield from _cycle({task.id: task.needs for task in plan.tasks})
    if plan.join.event_type not in catalog.terminal_types:
        yield from _call_problems("join", plan.join, candidates, gets_results=True)
    elif RESULTS in plan.join.payload:
        yield _RESULTS_TAKEN.format("join")


_RESULTS_TAKEN: Final = "{}: `results` of its payload is where the results go, it cannot be given"


def _call_problems(where: str, call: Call, candidates: Candidates, *, gets_results: bool) -> Iterator[str]:
    found = candidates(call.event_type, call.payload)
    if not found:
        yield f"{where}: no agent accepts {call.event_type}"
    elif gets_results and RESULTS in call.payload:
        yield _RESULTS_TAKEN.format(where)
    elif not gets_results and not fitting(found):
        # What still gets results is checked by the router when it is sent.
        yield f"{where}: no contract takes its payload: {'; '.join(f'{one.agent}: {one.why}' for one in found)}"


def _cycle(needs: dict[str, list[str]]) -> Iterator[str]:
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle: list[Any] = error.args[1]
        yield f"task {circle[0]}: it needs itself, by {' ← '.join(circle)}"
