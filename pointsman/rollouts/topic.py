"""Where a rollout lives: beside the catalog, and written under the same transactional id, so that nobody overtakes."""

from __future__ import annotations

from typing import Protocol

from pointsman.kafka import KafkaAdmin, read_all
from pointsman.kafka.login import KafkaLogin
from pointsman.publish import CatalogTopic, KafkaCatalogTopic
from pointsman.rollouts.model import Rollout, latest_rollout
from pointsman.topics import DEFINITIONS


class RolloutTopic(CatalogTopic, Protocol):
    """The catalog's topic, with the rollout on it."""

    def rollout(self) -> Rollout | None:
        """The latest rollout, whatever became of it; None when there never was one."""
        ...


class KafkaRolloutTopic(KafkaCatalogTopic):
    """The same on a Kafka cluster.

    Args:
        bootstrap: `host:port`, several separated by commas.
        login: who logs in; None logs in as the settings say.
    """

    def __init__(self, bootstrap: str, login: KafkaLogin | None = None) -> None:
        super().__init__(bootstrap, login)
        self._address = bootstrap
        self._login = login

    def rollout(self) -> Rollout | None:
        if DEFINITIONS not in KafkaAdmin(self._address, self._login).topics():
            return None
        return latest_rollout(read_all(self._address, DEFINITIONS, login=self._login))
