"""What a plan sends when: tasks once, the join once and last, only what failed again, compensation backwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pointsman.plans import Done, Event, Failed, PlanState, PlanStatus, PlanView, Retried, Send, Step, advanced, started
from pointsman.plans.bounds import MAX_DEPTH, MAX_RESULTS_BYTES
from tests.plans import UNDO, plan_of, task

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


class Course:
    """A plan and all that it has sent."""

    def __init__(self, *tasks: dict[str, Any]) -> None:
        self.sent: list[Send] = []
        self.state: PlanState | None = None
        self._take(started("p", "w", plan_of(*tasks), {"ce_id": b"m"}, AT))

    def _take(self, step: Step) -> Step:
        self.state = PlanState.from_bytes(step.state.to_bytes())
        assert self.state == step.state
        self.sent += step.sends
        return step

    def on(self, event: Event) -> Step:
        assert self.state
        return self._take(advanced(self.state, event, AT + timedelta(seconds=len(self.sent))))

    def done(self, task_id: str, **result: Any) -> Step:
        return self.on(Done(task_id=task_id, result=result))

    def failed(self, task_id: str, number: int = 1, reason: str = "agent_fault") -> Step:
        return self.on(Failed(task_id=task_id, number=number, reason=reason))

    @property
    def names(self) -> list[str]:
        """Each message as `task#try`, or its type."""
        return [f"{one.task.task_id}#{one.task.number}" if one.task else one.event_type for one in self.sent]

    @property
    def statuses(self) -> dict[str, str]:
        assert self.state
        return {each.task.id: each.status.value for each in self.state.tasks}


def test_tasks_that_need_nothing_begin_together_and_the_join_has_all_results() -> None:
    course = Course(task("site"), task("crm"), task("news"))
    assert course.names == ["site#1", "crm#1", "news#1"]

    assert course.done("crm", seen=3).code == "task_done"
    course.done("news", items=[])
    assert course.done("site", title="A").code == "plan_joined"

    assert course.names[3:] == ["work.joined"]
    results = {"site": {"title": "A"}, "crm": {"seen": 3}, "news": {"items": []}}
    assert course.sent[-1].payload == {"company": "Acme", "results": results}


def test_a_task_waits_for_what_it_needs_and_gets_its_results() -> None:
    course = Course(task("last", needs=["first"]), task("first"), task("beside"))
    assert course.names == ["first#1", "beside#1"]

    course.done("first", found="x")

    assert course.names[2:] == ["last#1"]
    assert course.sent[-1].payload == {"for": "last", "results": {"first": {"found": "x"}}}


def test_only_the_task_that_failed_is_tried_again() -> None:
    course = Course(task("site"), task("crm"))
    course.done("crm")
    assert course.failed("site").code == "task_retried"
    assert course.names == ["site#1", "crm#1", "site#2"]
    assert len({one.id for one in course.sent}) == 3

    course.done("site")
    assert course.names[-1] == "work.joined"


def test_a_failure_of_an_earlier_try_changes_nothing() -> None:
    course = Course(task("site"))
    course.failed("site")
    assert not course.failed("site").is_change
    assert course.names == ["site#1", "site#2"]


def test_an_optional_task_that_fails_for_good_is_recorded_and_the_plan_goes_on() -> None:
    course = Course(task("news", optional=True, attempts=1), task("after", needs=["news"]))
    assert course.failed("news", reason="timeout").code == "task_failed"
    assert course.sent[-1].payload["results"] == {"news": {"failed": "timeout"}}
    course.done("after")
    assert course.sent[-1].payload["results"] == {"news": {"failed": "timeout"}, "after": {}}


def test_the_result_of_an_optional_task_that_failed_still_counts_while_the_plan_goes_on() -> None:
    course = Course(task("news", optional=True, attempts=1), task("site"))
    course.failed("news")
    course.done("news", items=["by a dead letter that was sent again"])
    course.done("site")
    assert course.sent[-1].payload["results"]["news"] == {"items": ["by a dead letter that was sent again"]}


def test_a_task_that_fails_for_good_fails_a_plan_that_declares_no_compensation_at_once() -> None:
    course = Course(task("site", attempts=1), task("crm"), task("after", needs=["crm"]))
    assert course.failed("site").code == "plan_failed"
    assert course.names[-1] == "plan.failed"
    assert course.sent[-1].payload == {
        "plan_id": "p", "failed": {"site": "agent_fault"}, "compensated": [], "not_compensated": [],
    }  # fmt: skip
    assert course.statuses == {"site": "failed", "crm": "running", "after": "waiting"}


def test_what_was_done_is_compensated_backwards_one_after_the_other() -> None:
    course = Course(
        task("a", compensate=UNDO), task("b", compensate=UNDO), task("c"), task("d", needs=["a", "b", "c"], attempts=1)
    )
    course.done("b", room=7)
    course.done("a")
    course.done("c")
    assert course.failed("d").code == "plan_compensating"
    assert course.names[4:] == ["a.undo#1"]

    assert course.done("a.undo").code == "task_compensated"
    assert course.names[5:] == ["b.undo#1"]
    assert course.sent[-1].payload == {"why": "the plan failed", "results": {"b": {"room": 7}}}
    assert course.sent[-1].event_type == "work.undone"

    assert course.done("b.undo").code == "plan_failed"
    assert course.sent[-1].payload["compensated"] == ["a", "b"]


def test_what_still_runs_and_would_have_to_be_undone_is_awaited_before_compensation() -> None:
    course = Course(task("a", compensate=UNDO), task("b", attempts=1), task("c"))
    course.failed("b")
    assert course.names[3:] == []
    course.done("c")
    assert course.names[3:] == []
    course.done("a")
    assert course.names[3:] == ["a.undo#1"]


def test_a_compensation_that_fails_is_tried_again_and_then_named() -> None:
    course = Course(task("a", compensate=UNDO), task("b", attempts=1))
    course.done("a")
    course.failed("b")
    course.failed("a.undo", 1)
    assert course.names[-1] == "a.undo#2"
    assert not course.failed("a.undo", 1).is_change
    course.failed("a.undo", 2)
    assert course.sent[-1].payload["not_compensated"] == ["a"]


def test_a_person_has_a_failed_plan_go_on_with_what_failed_and_what_was_undone() -> None:
    course = Course(
        task("kept"), task("undone", compensate=UNDO), task("bad", attempts=1), task("later", needs=["bad"])
    )
    for event in (Done(task_id="kept", result={}), Done(task_id="undone", result={"n": 1})):
        course.on(event)
    course.failed("bad")
    course.done("undone.undo")
    before = len(course.sent)

    assert course.on(Retried()).code == "plan_retried"
    assert course.names[before:] == ["undone#2", "bad#2"]
    course.done("undone", n=2)
    course.done("bad")
    course.done("later")
    assert course.names[-1] == "work.joined"
    assert course.sent[-1].payload["results"]["undone"] == {"n": 2}
    assert not course.on(Retried()).is_change


def test_a_plan_that_fails_again_says_so_again_with_another_id() -> None:
    course = Course(task("bad", attempts=1))
    course.failed("bad", 1)
    course.on(Retried())
    course.failed("bad", 2)
    failures = [one.id for one in course.sent if one.event_type == "plan.failed"]
    assert len(failures) == len(set(failures)) == 2


def test_a_result_that_comes_after_the_failure_spares_the_task_when_a_person_tries_again() -> None:
    course = Course(task("bad", attempts=1), task("slow"))
    course.failed("bad")
    course.done("slow")
    course.done("bad", late=True)
    course.on(Retried())
    assert course.names == ["bad#1", "slow#1", "plan.failed", "work.joined"]


def test_a_person_cannot_retry_a_plan_that_runs() -> None:
    assert Course(task("a")).on(Retried()).code == "plan_not_failed"


@pytest.mark.parametrize("task_id", ["other", "other.undo", "a.undo"])
def test_news_of_what_is_no_task_of_the_plan_changes_nothing(task_id: str) -> None:
    course = Course(task("a"))
    assert not course.done(task_id).is_change
    assert course.names == ["a#1"]


def test_results_that_do_not_fit_into_one_message_are_a_failure() -> None:
    course = Course(task("a"), task("b", attempts=1))
    half = "x" * (MAX_RESULTS_BYTES // 2)
    course.done("a", text=half)
    course.done("b", text=half)
    assert course.sent[-1].payload["failed"] == {"b": "too_large"}


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_a_result_that_json_cannot_say_is_a_failure(number: float) -> None:
    course = Course(task("a", attempts=1))
    course.done("a", number=number)
    assert course.sent[-1].payload["failed"] == {"a": "invalid_json"}


def test_a_result_that_is_nested_too_deeply_is_a_failure() -> None:
    nested: Any = 1
    for _ in range(MAX_DEPTH):
        nested = [nested]
    course = Course(task("a", attempts=1))
    course.done("a", nested=nested)
    assert course.sent[-1].payload["failed"] == {"a": "invalid_json"}


def test_a_joined_plan_is_kept_without_payloads_and_shown_as_before() -> None:
    course = Course(task("a", compensate=UNDO))
    course.done("a", secret="x" * 100)
    assert course.state
    slim = course.state.slim()
    assert PlanView.of(slim) == PlanView.of(course.state)
    assert slim.status is PlanStatus.JOINED
    assert b"xxx" not in slim.to_bytes()
    assert PlanView.from_json(PlanView.of(slim).to_json()) == PlanView.of(slim)
