"""The garbage collector of a router's process."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from pointsman.collector import settle_collector


class Left:
    """Something that refers to itself, as an operator that was closed."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_lives_is_looked_at_no_more() -> None:
    settle_collector()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < gc.get_freeze_count()


def test_what_an_earlier_operator_left_is_collected_at_the_next_start() -> None:
    left = Left()
    settle_collector()
    gone = weakref.ref(left)
    del left
    gc.collect()
    assert gone() is not None, "what was frozen is not looked at"
    settle_collector()
    assert gone() is None
