"""Gives a rollout's candidate up when its own rule says so, by what the view has counted: the console's part of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from pointsman.catalog_history import Author
from pointsman.console.view import View
from pointsman.errors import PointsmanError
from pointsman.rollouts.acts import end
from pointsman.rollouts.counting import violated
from pointsman.rollouts.model import Stage
from pointsman.rollouts.topic import RolloutTopic
from pointsman.rollouts.watching import BY

_EVERY_S: Final = 1.0

_log: Final = structlog.get_logger(__name__)


class RolloutWatch:
    """A daemon thread that looks every second. Several consoles may do so: who comes second is refused.

    Args:
        view: what the candidate has done.
        topic: where rollouts live.
        now: the clock, UTC.
    """

    def __init__(self, view: View, topic: RolloutTopic, now: Callable[[], datetime]) -> None:
        self._view = view
        self._topic = topic
        self._now = now
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollouts", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End, waiting at most `timeout_s`."""
        self._stop.set()
        self._thread.join(timeout_s)

    def look(self) -> str | None:
        """Why a candidate was given up just now; None when none was."""
        found = self._view.rollout()
        reason = violated(*found) if found else None
        if found is None or reason is None:
            return None
        try:
            end(self._topic, found[0].id, Author(by=BY, at=self._now()), reason, Stage.ROLLED_BACK)
        except PointsmanError as error:
            # Kafka is away, or it has ended already and the record of it is on its way: the next look will tell.
            _log.info("not rolled back", rollout=found[0].id, problem=type(error).__name__)
            return None
        _log.warning("rolled back", rollout=found[0].id, reason=reason)
        return reason

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self.look()
