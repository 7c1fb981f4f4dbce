"""Where the parts of a stack listen, and how its own and other processes learn of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pointsman.local.database import mongodb_uri
from pointsman.local.ports import HOST


def metrics_folder(data_dir: Path) -> Path:
    """Where the programs of a stack leave the addresses of their metrics (Prometheus: `file_sd_configs`)."""
    return data_dir / "run" / "metrics"


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Addresses of one stack.

    Attributes:
        data_dir: its data folder.
        ports: ports by name.
    """

    data_dir: Path
    ports: Mapping[str, int]

    @property
    def host(self) -> str:
        """Everything listens on the loopback interface only."""
        return HOST

    @property
    def kafka_bootstrap(self) -> str:
        return f"{HOST}:{self.ports['kafka']}"

    @property
    def mongodb_uri(self) -> str:
        return mongodb_uri(self.ports["mongod"])

    @property
    def flink_url(self) -> str:
        """Flink's page and REST interface."""
        return f"http://{HOST}:{self.ports['flink']}"

    @property
    def model_url(self) -> str:
        """Base URL of the offline model."""
        return f"http://{HOST}:{self.ports['model']}/v1"

    @property
    def console_url(self) -> str:
        """Pointsman's page."""
        return f"http://{HOST}:{self.ports['console']}"

    @property
    def connect_url(self) -> str:
        """REST interface of Kafka Connect."""
        return f"http://{HOST}:{self.ports['connect']}"

    def metrics_environment(self, program: str) -> dict[str, str]:
        """Has the program show its metrics at a port that the system chooses, and leave it for Prometheus."""
        return {
            "POINTSMAN_METRICS_PORT": "0",
            "POINTSMAN_METRICS_HOST": HOST,
            "POINTSMAN_METRICS_FILE": str(metrics_folder(self.data_dir) / f"{program}.json"),
        }

    def environment(self) -> dict[str, str]:
        """What the stack's own programs get: it wins over what else their environment says."""
        return {
            "POINTSMAN_DATA_DIR": str(self.data_dir),
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap,
            "MONGODB_URI": self.mongodb_uri,
            "POINTSMAN_FLINK_URL": self.flink_url,
        }

    def write(self, stack_file: Path, *, offline_model: bool, mail_sink: bool, archive: Path | None = None) -> None:
        """Leave the addresses for other commands, under the names of `pointsman.settings.Settings`.

        The sink's allow-list is not among them: a command that is told of a real SMTP server must not find that it
        may write to everybody.
        """
        known: dict[str, str | int] = {
            "kafka_bootstrap": self.kafka_bootstrap,
            "mongodb_uri": self.mongodb_uri,
            "flink_url": self.flink_url,
            "console_url": self.console_url,
            "connect_url": self.connect_url,
        }
        if offline_model:
            known["openai_base_url"] = self.model_url
        if mail_sink:
            known |= {"smtp_host": HOST, "smtp_port": self.ports["smtp"], "smtp_security": "none"}
        if archive:
            known["archive_dir"] = str(archive)
        stack_file.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
