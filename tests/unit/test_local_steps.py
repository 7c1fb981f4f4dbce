"""The order in which a stack's steps run."""

from __future__ import annotations

from threading import Barrier, Event

import pytest

from pointsman.local.progress import Silent
from pointsman.local.steps import Step, run_steps


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def started(self, step: str) -> None:
        self.said.append(f"started {step}")

    def finished(self, step: str, seconds: float) -> None:
        self.said.append(f"finished {step}")

    def failed(self, step: str) -> None:
        self.said.append(f"failed {step}")


def test_a_step_runs_after_what_it_needs() -> None:
    heard = Heard()
    steps = [
        Step(name="job", action=lambda: None, after=("flink", "topics")),
        Step(name="topics", action=lambda: None, after=("kafka",)),
        Step(name="kafka", action=lambda: None),
        Step(name="flink", action=lambda: None),
    ]
    run_steps(steps, heard, Event())
    assert heard.said.index("finished kafka") < heard.said.index("started topics")
    assert max(heard.said.index("finished topics"), heard.said.index("finished flink")) < heard.said.index(
        "started job"
    )
    assert len(heard.said) == 8


def test_steps_that_need_nothing_of_each_other_run_at_the_same_time() -> None:
    both = Barrier(2, timeout=5)

    def meet() -> None:
        both.wait()

    run_steps([Step(name=name, action=meet) for name in "ab"], Silent(), Event())


def test_what_a_step_needs_may_be_left_out() -> None:
    run_steps([Step(name="connect", action=lambda: None, after=("kafka",))], Silent(), Event())


def test_a_failure_ends_the_run_and_tells_the_steps_that_have_begun() -> None:
    give_up, heard, begun = Event(), Heard(), Event()

    def fail() -> None:
        begun.wait(5)
        raise ValueError("no luck")

    def wait() -> None:
        begun.set()
        assert give_up.wait(5)

    steps = [
        Step(name="waits", action=wait),
        Step(name="fails", action=fail),
        Step(name="never", action=lambda: None, after=("fails",)),
    ]
    with pytest.raises(ValueError, match="no luck"):
        run_steps(steps, heard, give_up)
    assert "failed fails" in heard.said
    assert "started never" not in heard.said
