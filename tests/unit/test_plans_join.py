"""Whatever the order of results, however often they come, wherever the job dies: the join leaves once, complete."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.plans import Done, Failed, PlanState, PlanStatus, Send, Step, TaskStatus, advanced, started
from tests.plans import UNDO, plan_of, task

AT = datetime(2030, 1, 1, tzinfo=UTC)
LIMIT = 2000
DICE = st.integers(0, 2**32).map(Random)
"""Orders, repeats and restarts; seeds keep Hypothesis fast."""


@st.composite
def plans(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = [f"t{index}" for index in range(draw(st.integers(1, 6)))]
    return [
        task(
            name,
            needs=sorted(draw(st.sets(st.sampled_from(names[:index]), max_size=3))) if index else [],
            attempts=draw(st.integers(1, 3)),
            optional=draw(st.booleans()),
            compensate=draw(st.sampled_from([None, UNDO])),
        )
        for index, name in enumerate(names)
    ]


@dataclass
class World:
    """One plan in a job that may die: what Kafka holds and where the plan stands go together, as one transaction."""

    kept: bytes
    written: list[Send] = field(default_factory=list)
    on_the_way: list[Send] = field(default_factory=list)

    def take(self, step: Step) -> None:
        self.kept = step.state.to_bytes()
        self.written += step.sends
        self.on_the_way += step.sends

    def copy(self) -> World:
        return World(kept=self.kept, written=list(self.written), on_the_way=list(self.on_the_way))

    @property
    def state(self) -> PlanState:
        return PlanState.from_bytes(self.kept)


def run(tasks: list[dict[str, Any]], failing: float, dice: Random, *, disturbed: bool) -> tuple[World, set[str]]:
    """Deliver until nothing is on its way; the world at the end, and the id of every join that ever was."""
    step = started("p", "w", plan_of(*tasks), {}, AT)
    world = World(kept=step.state.to_bytes())
    world.take(step)
    checkpoint = world.copy()
    joins: set[str] = set()
    for _ in range(LIMIT):
        if not world.on_the_way:
            return world, joins
        if disturbed and dice.random() < 0.05:
            world = checkpoint.copy()
        if disturbed and dice.random() < 0.2:
            checkpoint = world.copy()
        sent = world.on_the_way.pop(dice.randrange(len(world.on_the_way)))
        if disturbed and dice.random() < 0.3:
            world.on_the_way.append(sent)
        if sent.task is None:
            joins |= {sent.id} if sent.event_type == "work.joined" else set()
            continue
        world.take(advanced(world.state, answer(sent, failing), AT))
    raise AssertionError("the plan does not end")


def answer(sent: Send, failing: float) -> Done | Failed:
    """The same message is always answered the same."""
    assert sent.task
    if Random(sent.id).random() < failing:  # noqa: S311
        return Failed(task_id=sent.task.task_id, number=sent.task.number, reason="r")
    return Done(task_id=sent.task.task_id, result={"by": sent.task.task_id})


@settings(max_examples=60, deadline=None)
@given(tasks=plans(), dice=DICE)
def test_without_failures_every_task_is_sent_once_and_the_join_once_with_all_results(
    tasks: list[dict[str, Any]], dice: Random
) -> None:
    world, joins = run(tasks, 0.0, dice, disturbed=True)

    sent = [one.task.task_id for one in world.written if one.task]
    assert sorted(sent) == sorted(each["id"] for each in tasks)
    assert [one.event_type for one in world.written if one.task is None] == ["work.joined"]
    assert world.written[-1].payload["results"] == {each["id"]: {"by": each["id"]} for each in tasks}
    assert len(joins) == 1


@settings(max_examples=60, deadline=None)
@given(tasks=plans(), dice=DICE, failing=st.sampled_from([0.2, 0.5, 0.9]))
def test_with_failures_a_plan_ends_once_joined_or_failed_and_compensated(
    tasks: list[dict[str, Any]], dice: Random, failing: float
) -> None:
    world, joins = run(tasks, failing, dice, disturbed=True)

    ends = [one.event_type for one in world.written if one.task is None]
    state = world.state
    assert ends == (["work.joined"] if state.status is PlanStatus.JOINED else ["plan.failed"])
    assert len(joins) == (1 if state.status is PlanStatus.JOINED else 0)
    if state.status is PlanStatus.FAILED:
        assert not [each for each in state.tasks if each.status is TaskStatus.DONE and each.task.compensate]
    else:
        assert all(each.is_over for each in state.tasks)


@settings(max_examples=60, deadline=None)
@given(tasks=plans(), dice=DICE, failing=st.sampled_from([0.0, 0.3, 0.7]))
def test_nothing_is_sent_before_what_it_needs_and_only_what_failed_is_sent_again(
    tasks: list[dict[str, Any]], dice: Random, failing: float
) -> None:
    world, _ = run(tasks, failing, dice, disturbed=True)

    assert len({one.id for one in world.written}) == len(world.written)
    needs = {each["id"]: each["needs"] for each in tasks}
    for one in world.written:
        if one.task is None or one.task.task_id not in needs:
            continue
        assert set(one.payload.get("results", {})) == set(needs[one.task.task_id])
        earlier = [each for each in world.written if each.task and each.task.task_id == one.task.task_id]
        tries = [each for each in earlier if each.task and each.task.number < one.task.number]
        assert all(isinstance(answer(each, failing), Failed) for each in tries)


@settings(max_examples=60, deadline=None)
@given(tasks=plans(), dice=DICE, failing=st.sampled_from([0.0, 0.3, 0.7]))
def test_interruptions_and_repeats_do_not_change_what_a_plan_comes_to(
    tasks: list[dict[str, Any]], dice: Random, failing: float
) -> None:
    # With compensation the order of results decides what is undone, so only plans without are compared.
    plain = [{**each, "compensate": None} for each in tasks]
    calm, _ = run(plain, failing, Random(0), disturbed=False)  # noqa: S311
    rough, _ = run(plain, failing, dice, disturbed=True)
    assert calm.state.status is rough.state.status
