"""What only the cluster can tell: how far each agent is behind, and how old the job's last checkpoint is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol

from pointsman.errors import PointsmanError
from pointsman.flink_rest import FlinkRest
from pointsman.job_options import JOB_NAME
from pointsman.kafka import KafkaAdmin
from pointsman.topics import inbox

_LOOK_AGAIN_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Health:
    """The cluster as it was last seen; what could not be learnt is None or missing, never 0.

    Attributes:
        lag: messages that wait in each agent's inbox, by agent.
        job_state: the router job's state as Flink calls it; None when Flink does not answer, `MISSING` without a job.
        checkpoint_at: when the job's last checkpoint was completed, UTC.
    """

    lag: Mapping[str, int] = field(default_factory=dict)
    job_state: str | None = None
    checkpoint_at: datetime | None = None


class Cluster(Protocol):
    """Who can be asked."""

    def lag(self, agent: str) -> int:
        """Messages that wait in the agent's inbox."""
        ...

    def job(self) -> tuple[str, datetime | None]:
        """The router job's state, and when its last checkpoint was completed."""
        ...


class RealCluster:
    """Kafka and Flink.

    Args:
        bootstrap: the broker's address.
        flink_url: the JobManager's address.
    """

    def __init__(self, bootstrap: str, flink_url: str) -> None:
        self._admin = KafkaAdmin(bootstrap)
        self._flink = FlinkRest(flink_url)

    def lag(self, agent: str) -> int:
        return self._admin.lag(f"agents.{agent}", inbox(agent))

    def job(self) -> tuple[str, datetime | None]:
        job = self._flink.live_job(JOB_NAME)
        if job is None:
            return "MISSING", None
        found = self._flink.get(f"/jobs/{job.id}/checkpoints")
        return job.state, _completed_at(found)


class HealthWatch:
    """Looks every few seconds, in a thread of its own, so that no page waits for a cluster that is away.

    Args:
        cluster: who is asked.
        agents: names of the agents in force.
    """

    def __init__(self, cluster: Cluster, agents: Callable[[], Iterable[str]]) -> None:
        self._cluster = cluster
        self._agents = agents
        self._health = Health()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def health(self) -> Health:
        """As last seen."""
        return self._health

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End, waiting at most `timeout_s`."""
        self._stop.set()
        self._thread.join(timeout_s)

    def look(self) -> None:
        """Look once."""
        asked = {name: _or_none(partial(self._cluster.lag, name)) for name in self._agents()}
        lag = {name: found for name, found in asked.items() if found is not None}
        job = _or_none(self._cluster.job)
        state, checkpoint_at = job if job else (None, None)
        self._health = Health(lag=lag, job_state=state, checkpoint_at=checkpoint_at)

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(_LOOK_AGAIN_S)


def _or_none(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (PointsmanError, KeyError, ValueError, TypeError):
        return None  # an answer of another shape is as good as none


def _completed_at(found: Mapping[str, Any]) -> datetime | None:
    latest = (found.get("latest") or {}).get("completed") or {}
    at = latest.get("latest_ack_timestamp")
    return datetime.fromtimestamp(at / 1000, UTC) if isinstance(at, int) and at > 0 else None
