"""The Kafka broker: one KRaft node."""

from __future__ import annotations

import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pointsman.errors import ConfigurationError
from pointsman.kafka import KafkaAdmin, KafkaLogin
from pointsman.local.component import fill
from pointsman.local.java import SMALL_JVM
from pointsman.local.layout import CONFIG, Layout
from pointsman.local.ports import HOST
from pointsman.local.programs import Program
from pointsman.local.security import ADMIN, Logins
from pointsman.topics import MAX_RECORD_BYTES

_LIB: Final = "jars/lib/*"
_PROPERTIES: Final = "kafka/broker.properties"
# Room for the batch and record headers around the largest record.
BATCH_OVERHEAD_BYTES: Final = 1024


class Broker:
    """One Kafka node, broker and controller in one.

    Args:
        layout: the data folder.
        java: path of `java`.
        ports: ports by name.
        logins: who may come in a secure stack; None lets everybody in.
    """

    def __init__(self, layout: Layout, java: Path, ports: Mapping[str, int], logins: Logins | None = None) -> None:
        self._layout = layout
        self._logins = logins
        self._java = java
        self._port = ports["kafka"]
        self._controller_port = ports["kafka-controller"]
        self._admin_port = ports["kafka-admin"]
        self._admin: KafkaAdmin | None = None

    @property
    def programs(self) -> tuple[Program, ...]:
        options = ("-Xms128m", "-Xmx512m", *SMALL_JVM, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        return (
            Program(
                name="kafka",
                command=(str(self._java), *options, "-cp", _LIB, "kafka.Kafka", _PROPERTIES),
                ports=(self._port, self._controller_port, *((self._admin_port,) if self._logins else ())),
                stop_wait_s=20,
            ),
        )

    def prepare(self) -> None:
        """Write the properties; format the storage the first time.

        Raises:
            ConfigurationError: the storage cannot be formatted.
        """
        values = {
            "port": self._port,
            "controller_port": self._controller_port,
            "admin_port": self._admin_port,
            "max_record_bytes": MAX_RECORD_BYTES + BATCH_OVERHEAD_BYTES,
        }
        doors = "broker-secure.properties" if self._logins else "broker-open.properties"
        fill([CONFIG / "broker.properties", CONFIG / doors], self._layout.data_dir / _PROPERTIES, values)
        if not (self._layout.kafka / "data" / "meta.properties").is_file():
            self._format()

    def is_ready(self) -> bool:
        # One client for all looks: it keeps its connection and notices the broker as soon as it listens.
        self._admin = self._admin or self._door()
        return self._admin.is_alive(1.0)

    def _door(self) -> KafkaAdmin:
        if self._logins is None:
            return KafkaAdmin(f"{HOST}:{self._port}", KafkaLogin())
        return KafkaAdmin(f"{HOST}:{self._admin_port}", self._logins.kafka(ADMIN))

    def _format(self) -> None:
        tool = (str(self._java), *SMALL_JVM, "-cp", _LIB, "kafka.tools.StorageTool")
        done = subprocess.run(  # noqa: S603  # fixed arguments
            [*tool, "format", "--cluster-id", _cluster_id(), "--config", _PROPERTIES],
            cwd=self._layout.data_dir,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise ConfigurationError(
                f"Kafka cannot use {self._layout.kafka}: {said[-1] if said else 'no reason given'}",
                "move that folder away to start with an empty broker",
            )


def _cluster_id() -> str:
    # Kafka's own form; a leading dash would be taken for an option.
    return urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")
