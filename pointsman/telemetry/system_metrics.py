"""The system's figures as Prometheus reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pointsman.envelope import Record
from pointsman.telemetry.metrics import PREFIX
from pointsman.telemetry.system_state import SystemState

KAFKA: Final = "kafka"
MONGODB: Final = "mongodb"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was asked of Kafka and MongoDB last.

    Attributes:
        lags: messages that a consumer has not done yet, by consumer and topic.
        effects: entries of the effect ledger by state.
        answered: whether each of the two answered.
    """

    lags: Mapping[tuple[str, str], int] = field(default_factory=dict)
    effects: Mapping[str, int] = field(default_factory=dict)
    answered: Mapping[str, bool] = field(default_factory=lambda: {KAFKA: False, MONGODB: False})


class SystemMetrics(Collector):
    """Fed by threads that read, asked by the one that serves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = SystemState()
        self._measured = Measured()

    @property
    def agents(self) -> list[str]:
        """Agents that have an inbox."""
        with self._lock:
            return self._state.agents

    def begin_anew(self) -> None:
        """The topics are read from their beginning again."""
        with self._lock:
            self._state = SystemState()

    def feed(self, record: Record) -> None:
        """Take one record of `pointsman.telemetry.system_state.TOPICS` over."""
        with self._lock:
            self._state.feed(record)

    def take(self, measured: Measured) -> None:
        """Show these figures from now on."""
        with self._lock:
            self._measured = measured

    def collect(self) -> Iterable[Metric]:
        """The figures as they are now; what nobody could be asked for is left out."""
        with self._lock:
            state, measured = self._state, self._measured
            return [
                _gauge("system_source_up", "1 while this source of figures answers.", ("source",), measured.answered),
                _gauge("consumer_lag", "Messages not done yet.", ("consumer", "topic"), measured.lags),
                _gauge("effects_ledger", "Entries of the effect ledger.", ("state",), measured.effects),
                _one("effects_allowed", "1 while effects (mail) may begin.", float(state.effects_allowed)),
                _one("catalog_sequence", "Sequence of the catalog in force.", state.catalog_sequence),
                _gauge("workflows_open", "Workflows that are not over.", ("status",), state.open_workflows()),
                _gauge(
                    "dead_letters_open",
                    "Dead letters that nobody has dealt with.",
                    ("stage", "reason"),
                    state.open_dead_letters(),
                ),
            ]


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value)


def _gauge(
    name: str, text: str, labels: tuple[str, ...], values: Mapping[str, float] | Mapping[tuple[str, str], float]
) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric([key] if isinstance(key, str) else list(key), value)
    return family
