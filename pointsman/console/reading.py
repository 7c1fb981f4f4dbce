"""Feeds the view from Kafka in the background, and tries again while Kafka is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from pointsman.console.view import View
from pointsman.envelope import Record
from pointsman.errors import PointsmanError
from pointsman.kafka import KafkaAdmin, tail
from pointsman.topics import (
    AUDIT,
    CONTROLS,
    DECISIONS,
    DEFINITIONS,
    ERRORS,
    ESCALATIONS,
    LEADS,
    MESSAGES,
    SHADOW_DECISIONS,
    WORKFLOW_STATE,
)

INBOXES: Final = r"^agents\..*\.inbox$"
TOPICS: Final = (
    DEFINITIONS, CONTROLS, AUDIT, LEADS, MESSAGES, DECISIONS, INBOXES, ESCALATIONS, ERRORS, WORKFLOW_STATE,
    SHADOW_DECISIONS,
)  # fmt: skip
_LOOK_AGAIN_S: Final = 2.0

_log = structlog.get_logger(__name__)

Follow = Callable[[threading.Event], Iterator[Record]]


class KafkaFeed:
    """Two daemon threads: one follows the topics, one looks whether Kafka answers.

    Args:
        view: what is fed.
        follow: gives records until the event is set.
        is_alive: whether Kafka answers.
    """

    def __init__(self, view: View, follow: Follow, is_alive: Callable[[], bool]) -> None:
        self._view = view
        self._follow = follow
        self._is_alive = is_alive
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._look)]

    @staticmethod
    def of(view: View, bootstrap: str) -> KafkaFeed:
        """A feed from the cluster at `bootstrap`, from the first record on."""
        admin = KafkaAdmin(bootstrap)
        return KafkaFeed(
            view,
            # What the view keeps in memory stays closed: a page opens what it shows, and what is erased then says so.
            lambda stop: tail(bootstrap, TOPICS, from_beginning=True, stop=stop, opens=False),
            lambda: admin.is_alive(),
        )

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End, waiting at most `timeout_s` for each thread."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout_s)

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                for record in self._follow(self._stop):
                    self._view.feed(record)
            except PointsmanError as error:
                _log.warning("reading stopped, trying again", reason=type(error).__name__)
                self._stop.wait(_LOOK_AGAIN_S)

    def _look(self) -> None:
        while not self._stop.is_set():
            self._view.set_kafka("up" if self._is_alive() else "down")
            self._stop.wait(_LOOK_AGAIN_S)
