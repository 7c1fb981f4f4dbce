"""Runs steps that depend on each other, each as soon as what it needs is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter
from threading import Event

from pointsman.local.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do on the way up.

    Attributes:
        name: for people.
        action: does it, and returns when it is done.
        after: names of the steps that must be done before.
    """

    name: str
    action: Callable[[], None]
    after: tuple[str, ...] = ()


def run_steps(steps: Iterable[Step], progress: Progress, give_up: Event) -> None:
    """Run all steps, as many at a time as their order allows.

    A step's exception ends the run: `give_up` is set for the steps that have begun, no other begins, and the first
    exception is raised when they have returned.
    """
    by_name = {step.name: step for step in steps}
    order = TopologicalSorter(
        {step.name: [name for name in step.after if name in by_name] for step in by_name.values()}
    )
    order.prepare()
    with ThreadPoolExecutor(max_workers=len(by_name) or 1, thread_name_prefix="step") as pool:
        try:
            _run_in_order(by_name, order, pool, progress)
        except BaseException:
            give_up.set()
            raise


def _run_in_order(
    by_name: Mapping[str, Step], order: TopologicalSorter[str], pool: ThreadPoolExecutor, progress: Progress
) -> None:
    running: dict[Future[None], str] = {}
    while order.is_active():
        for name in order.get_ready():
            running[pool.submit(_run, by_name[name], progress)] = name
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
            order.done(running.pop(future))


def _run(step: Step, progress: Progress) -> None:
    progress.started(step.name)
    began = time.monotonic()
    try:
        step.action()
    except BaseException:
        progress.failed(step.name)
        raise
    progress.finished(step.name, time.monotonic() - began)
