"""Reads Kafka and MongoDB for the system's figures, until it is told to stop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from pointsman.errors import PointsmanError
from pointsman.job_options import JobOptions
from pointsman.kafka import KafkaAdmin, tail
from pointsman.runtime.ledger import EFFECTS, EffectState
from pointsman.settings import Settings
from pointsman.store import DocumentStore
from pointsman.stores import open_store
from pointsman.telemetry.system_metrics import KAFKA, MONGODB, Measured, SystemMetrics
from pointsman.telemetry.system_state import TOPICS
from pointsman.topics import LEADS, MESSAGES, inbox

_EVERY_S: Final = 5.0
_AGAIN_S: Final = 2.0
_ROUTER_TOPICS: Final = (MESSAGES, LEADS)

_log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")


async def watch(settings: Settings, metrics: SystemMetrics, stopping: threading.Event) -> None:
    """Keep `metrics` up to date until `stopping` is set."""
    threading.Thread(target=_follow, args=(settings, metrics, stopping), name="follow", daemon=True).start()
    admin = KafkaAdmin(settings.kafka_bootstrap)
    store = open_store(settings)
    try:
        while not stopping.is_set():
            metrics.take(await measured(admin.lag, store, metrics.agents))
            await asyncio.to_thread(stopping.wait, _EVERY_S)
    finally:
        await store.close()


async def measured(lag: Callable[[str, str], int], store: DocumentStore, agents: list[str]) -> Measured:
    """What Kafka and MongoDB say now.

    Args:
        lag: messages of a topic (second) that a group (first) has not done yet.
        store: where the ledger is.
        agents: the agents that have an inbox.
    """
    lags = await _asked(asyncio.to_thread(_lags, lag, agents))
    effects = await _asked(_effects(store))
    return Measured(
        lags=lags or {}, effects=effects or {}, answered={KAFKA: lags is not None, MONGODB: effects is not None}
    )


def _lags(lag: Callable[[str, str], int], agents: list[str]) -> dict[tuple[str, str], int]:
    router = JobOptions(kafka_bootstrap="").name
    consumers = [(router, router, topic) for topic in _ROUTER_TOPICS]
    consumers += [(agent, f"agents.{agent}", inbox(agent)) for agent in agents]
    return {(name, topic): lag(group, topic) for name, group, topic in consumers}


async def _effects(store: DocumentStore) -> dict[str, int]:
    return {state.value: await store.count(EFFECTS, {"state": state.value}) for state in EffectState}


def _follow(settings: Settings, metrics: SystemMetrics, stopping: threading.Event) -> None:
    while not stopping.is_set():
        metrics.begin_anew()
        try:
            for record in tail(settings.kafka_bootstrap, TOPICS, from_beginning=True, stop=stopping):
                metrics.feed(record)
        except PointsmanError as error:
            _log.warning("reading stopped, trying again", problem=str(error))
            stopping.wait(_AGAIN_S)


async def _asked(question: Awaitable[Answer]) -> Answer | None:
    try:
        return await question
    except PointsmanError as error:
        _log.warning("figures are missing", problem=str(error))
        return None
