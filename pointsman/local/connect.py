"""Kafka Connect with the MongoDB source: leads in the database become records on Kafka."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, Final

from pointsman.deployment import CONNECT
from pointsman.errors import ConfigurationError
from pointsman.local.broker import BATCH_OVERHEAD_BYTES
from pointsman.local.component import fill
from pointsman.local.database import mongodb_uri
from pointsman.local.java import SMALL_JVM
from pointsman.local.layout import CONNECTORS, Layout
from pointsman.local.ports import HOST
from pointsman.local.programs import Program
from pointsman.local.rest import get_json, request
from pointsman.local.security.logins import MONGODB_URI, Logins
from pointsman.topics import MAX_RECORD_BYTES

_PROPERTIES: Final = "connect/worker.properties"
CONNECTOR: Final = "leads-source"
_REFUSED: Final = 400
_ACCEPTED: Final = (200, 201)


class Connect:
    """One distributed Connect worker; ready when its connector runs.

    The connector stops at an error instead of tolerating it: told to tolerate, it would answer a lost place in
    MongoDB's log by starting anew without a place, and leads would be missing without a word.

    Args:
        layout: the data folder.
        java: path of `java`.
        ports: ports by name.
        logins: its login in a secure stack; None where nobody asks for one.
    """

    def __init__(self, layout: Layout, java: Path, ports: Mapping[str, int], logins: Logins | None = None) -> None:
        self._logins = logins
        self._layout = layout
        self._java = java
        self._ports = ports
        self._is_configured = False

    @property
    def programs(self) -> tuple[Program, ...]:
        login = self._logins.java_options(CONNECT) if self._logins else ()
        options = ("-Xms64m", "-Xmx256m", *SMALL_JVM, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *login)
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        command = (str(self._java), *options, "-cp", "jars/lib/*", main, _PROPERTIES)
        return (Program(name="connect", command=command, ports=(self._ports["connect"],)),)

    def prepare(self) -> None:
        values: dict[str, object] = {
            "kafka_bootstrap": f"{HOST}:{self._ports['kafka']}",
            "port": self._ports["connect"],
            "max_record_bytes": MAX_RECORD_BYTES + BATCH_OVERHEAD_BYTES,
        }
        templates = [CONNECTORS / "worker.properties"]
        if self._logins:
            values["secrets"] = self._logins.folder_of(CONNECT)
            templates.append(CONNECTORS / "worker-secure.properties")
        fill(templates, self._layout.data_dir / _PROPERTIES, values)

    def is_ready(self) -> bool:
        """Whether connector and task run; configures the connector once the worker answers.

        Raises:
            ConfigurationError: Connect refuses the configuration, or the task has failed.
        """
        self._is_configured = self._is_configured or self._configure()
        return self._is_configured and self._runs()

    def _configure(self) -> bool:
        config = connector_config(self._database())
        status, answer = request(self._ports["connect"], "PUT", f"/connectors/{CONNECTOR}/config", config)
        if status == _REFUSED:
            raise ConfigurationError(
                f"Kafka Connect refused connector {CONNECTOR}: {(answer or {}).get('message', f'HTTP {status}')}",
                "correct connectors/leads_source.json",
            )
        # Anything else passes: while it starts, Connect answers 404, then 409 or 500.
        return status in _ACCEPTED

    def _database(self) -> str:
        """The database's address, or where the worker finds it: over REST anybody reads a connector's configuration."""
        if self._logins is None:
            return mongodb_uri(self._ports["mongod"])
        return f"${{dir:{self._logins.folder_of(CONNECT)}:{MONGODB_URI}}}"

    def _runs(self) -> bool:
        status: dict[str, Any] | None = get_json(self._ports["connect"], f"/connectors/{CONNECTOR}/status")
        if status is None or status["connector"]["state"] != "RUNNING" or not status["tasks"]:
            return False
        task = status["tasks"][0]
        if task["state"] == "FAILED":
            reason = task.get("trace", "no reason given").splitlines()[0]
            raise ConfigurationError(f"connector {CONNECTOR} has failed: {reason}", "run: pointsman logs connect")
        return bool(task["state"] == "RUNNING")


def connector_config(uri: str) -> dict[str, str]:
    """The connector's configuration for the database at `uri`."""
    text = (CONNECTORS / "leads_source.json").read_text(encoding="utf-8")
    config: dict[str, str] = json.loads(Template(text).substitute(mongodb_uri=uri))
    return config
