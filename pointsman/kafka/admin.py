"""Topics: make them, list them, see how far a group is behind."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._metadata import TopicMetadata
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from pointsman.errors import BrokerUnavailableError
from pointsman.kafka.clients import REQUEST_TIMEOUT_S, client_config, kafka_error, translated
from pointsman.kafka.login import KafkaLogin
from pointsman.topics import Topic

_USABLE_WITHIN_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.05


class KafkaAdmin:
    """Administers the topics of one cluster.

    Args:
        bootstrap: `host:port`, several separated by commas.
        login: who asks; None logs in as the settings say.
    """

    def __init__(self, bootstrap: str, login: KafkaLogin | None = None) -> None:
        self._bootstrap = bootstrap
        self._client = AdminClient(client_config(bootstrap, login))

    def is_alive(self, timeout_s: float = 2.0) -> bool:
        """Whether the cluster answers within `timeout_s`."""
        try:
            return bool(self._client.list_topics(timeout=timeout_s).brokers)
        except KafkaException:
            return False

    def topics(self) -> set[str]:
        """Names of all topics, Kafka's own left out.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
        """
        return {name for name in self._known() if not name.startswith("__")}

    def ensure_topics(self, topics: Iterable[Topic]) -> list[str]:
        """Make the topics that are missing and wait until they can be used; what exists stays as it is.

        Returns:
            Names of the topics that this call made.

        Raises:
            BrokerUnavailableError: Kafka does not answer, or a new topic does not become usable.
            ConfigurationError: making topics is not allowed.
        """
        wanted = {topic.name: topic for topic in topics}
        known = self._known()
        if _usable(known) >= wanted.keys():
            return []  # the usual case, and with hundreds of topics each listing takes a while
        made = self._create([topic for name, topic in wanted.items() if name not in known])
        self._wait_until_usable(set(wanted))
        return made

    def describe(self, names: Iterable[str]) -> dict[str, tuple[int, dict[str, str]]]:
        """Number of partitions and configuration of each of the topics that exist.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
        """
        with translated("describing topics", self._bootstrap):
            known = self._client.list_topics(timeout=REQUEST_TIMEOUT_S).topics
            existing = [name for name in names if name in known]
            configs = self._configs([ConfigResource(ResourceType.TOPIC, name) for name in existing])
        return {name: (len(known[name].partitions), configs[name]) for name in existing}

    def configure(self, topic: str, config: Mapping[str, str]) -> None:
        """Set these settings of a topic; the others stay as they are.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
            ConfigurationError: this is not allowed.
        """
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        with translated(f"configuring topic {topic}", self._bootstrap):
            futures = self._client.incremental_alter_configs([resource], request_timeout=REQUEST_TIMEOUT_S)
            for future in futures.values():
                future.result()

    def broker_config(self) -> dict[str, str]:
        """The configuration of one broker.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
            ConfigurationError: this is not allowed.
        """
        with translated("reading the broker's configuration", self._bootstrap):
            brokers = self._client.list_topics(timeout=REQUEST_TIMEOUT_S).brokers
            number = str(min(brokers))
            return self._configs([ConfigResource(ResourceType.BROKER, number)])[number]

    def newest_timestamp_ms(self, topic: str) -> int | None:
        """The latest Kafka timestamp of the records of `topic`, in milliseconds; None when it holds none.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
        """
        with translated(f"reading the newest time of {topic}", self._bootstrap):
            spec = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
            futures = self._client.list_offsets(
                dict.fromkeys(self._partitions(topic), spec), request_timeout=REQUEST_TIMEOUT_S
            )
            times = [future.result().timestamp for future in futures.values()]
        return max((time for time in times if time > 0), default=None)

    def lag(self, group: str, topic: str) -> int:
        """Offsets of `topic` that `group` has not committed yet.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
            ConfigurationError: there is no such topic.
        """
        with translated(f"reading the lag of {group}", self._bootstrap):
            partitions = self._partitions(topic)
            committed = self._committed(group, partitions)
            first = self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
            last = self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return sum(max(0, last[number] - max(committed[number], first[number])) for number in last)

    def _create(self, topics: list[Topic]) -> list[str]:
        if not topics:
            return []
        new = [
            NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=-1, config=topic.config)
            for topic in topics
        ]
        made = []
        for name, future in self._client.create_topics(new, request_timeout=REQUEST_TIMEOUT_S).items():
            with translated(f"making topic {name}", self._bootstrap):
                made += [name] if _created(future) else []
        return sorted(made)

    def _configs(self, resources: list[ConfigResource]) -> dict[str, dict[str, str]]:
        if not resources:
            return {}
        futures = self._client.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_S)
        return {
            resource.name: {name: entry.value or "" for name, entry in future.result().items()}
            for resource, future in futures.items()
        }

    def _wait_until_usable(self, names: set[str]) -> None:
        deadline = time.monotonic() + _USABLE_WITHIN_S
        while missing := names - _usable(self._known()):
            if time.monotonic() > deadline:
                what = f"Kafka at {self._bootstrap}: no leader for {', '.join(sorted(missing))}"
                raise BrokerUnavailableError(f"{what} after {_USABLE_WITHIN_S:g} s; see the broker's log")
            time.sleep(_LOOK_AGAIN_S)

    def _known(self) -> dict[str, TopicMetadata]:
        with translated("listing topics", self._bootstrap):
            found: dict[str, TopicMetadata] = self._client.list_topics(timeout=REQUEST_TIMEOUT_S).topics
        return found

    def _partitions(self, topic: str) -> list[TopicPartition]:
        metadata = self._client.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        return [TopicPartition(topic, number) for number in metadata.partitions]

    def _committed(self, group: str, partitions: list[TopicPartition]) -> dict[int, int]:
        request = [ConsumerGroupTopicPartitions(group, partitions)]
        future = self._client.list_consumer_group_offsets(request, request_timeout=REQUEST_TIMEOUT_S)[group]
        return {part.partition: max(part.offset, 0) for part in future.result().topic_partitions}

    def _offsets(self, partitions: list[TopicPartition], spec: OffsetSpec) -> dict[int, int]:
        futures = self._client.list_offsets(
            dict.fromkeys(partitions, spec),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=REQUEST_TIMEOUT_S,
        )
        return {part.partition: future.result().offset for part, future in futures.items()}


def _usable(topics: Mapping[str, TopicMetadata]) -> set[str]:
    return {
        name
        for name, topic in topics.items()
        if topic.error is None and topic.partitions and all(part.leader >= 0 for part in topic.partitions.values())
    }


def _created(future: object) -> bool:
    try:
        future.result()  # type: ignore[attr-defined]
    except KafkaException as error:
        if kafka_error(error).code() == KafkaError.TOPIC_ALREADY_EXISTS:  # another process was faster
            return False
        raise
    return True
