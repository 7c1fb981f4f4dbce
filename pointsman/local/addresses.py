"""Where the parts of a stack listen, and how its own and other processes learn of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pointsman.deployment import OPERATOR
from pointsman.kafka import KafkaLogin
from pointsman.local.database import mongodb_uri
from pointsman.local.ports import HOST
from pointsman.local.security import ADMIN, Logins
from pointsman.local.security.files import write_secret


def metrics_folder(data_dir: Path) -> Path:
    """Where the programs of a stack leave the addresses of their metrics (Prometheus: `file_sd_configs`)."""
    return data_dir / "run" / "metrics"


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Addresses of one stack.

    Attributes:
        data_dir: its data folder.
        ports: ports by name.
        logins: who is who in a secure stack; None where nobody asks.
    """

    data_dir: Path
    ports: Mapping[str, int]
    logins: Logins | None = None

    @property
    def host(self) -> str:
        """Everything listens on the loopback interface only."""
        return HOST

    @property
    def kafka_bootstrap(self) -> str:
        return f"{HOST}:{self.ports['kafka']}"

    @property
    def kafka_admin(self) -> tuple[str, KafkaLogin]:
        """Where and as whom the stack's own administrator reaches Kafka."""
        if self.logins is None:
            return self.kafka_bootstrap, KafkaLogin()
        return f"{HOST}:{self.ports['kafka-admin']}", self.logins.kafka(ADMIN)

    @property
    def mongodb_uri(self) -> str:
        """The database's address, without a login."""
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

    def environment(self, principal: str) -> dict[str, str]:
        """What a program of the stack gets: it wins over what else its environment says.

        Args:
            principal: who it is in a secure stack.
        """
        return {
            "POINTSMAN_DATA_DIR": str(self.data_dir),
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap,
            "POINTSMAN_FLINK_URL": self.flink_url,
            **self._login_environment(principal),
        }

    def store_environment(self, principal: str) -> dict[str, str]:
        """Where a program finds the document store that has nothing else to do with the stack's own settings."""
        if self.logins is None:
            return {"MONGODB_URI": self.mongodb_uri}
        return {"POINTSMAN_LOGIN_DIR": str(self.logins.folder_of(principal))}

    def _login_environment(self, principal: str) -> dict[str, str]:
        if self.logins is None:
            return {"POINTSMAN_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", "MONGODB_URI": self.mongodb_uri}
        login = self.logins.kafka(principal)
        return {
            "POINTSMAN_KAFKA_SECURITY_PROTOCOL": login.protocol,
            "POINTSMAN_KAFKA_SASL_MECHANISM": login.mechanism,
            "POINTSMAN_KAFKA_SSL_CA": str(login.ca),
            # A folder and no password: everybody on this machine can read a process's arguments.
            "POINTSMAN_LOGIN_DIR": str(self.logins.folder_of(principal)),
        }

    def write(self, stack_file: Path, *, offline_model: bool, mail_sink: bool, archive: Path | None = None) -> None:
        """Leave the addresses for other commands, under the names of `pointsman.settings.Settings`.

        The sink's allow-list is not among them: a command that is told of a real SMTP server must not find that it
        may write to everybody. Of a secure stack the operator's login is among them.
        """
        known: dict[str, str | int] = {
            "kafka_bootstrap": self.kafka_bootstrap,
            "mongodb_uri": self.mongodb_uri,
            "flink_url": self.flink_url,
            "console_url": self.console_url,
            "connect_url": self.connect_url,
            **self._operator_login(),
        }
        if offline_model:
            known["openai_base_url"] = self.model_url
        if mail_sink:
            known |= {"smtp_host": HOST, "smtp_port": self.ports["smtp"], "smtp_security": "none"}
        if archive:
            known["archive_dir"] = str(archive)
        write_secret(stack_file, (json.dumps(known, indent=2) + "\n").encode())

    def _operator_login(self) -> dict[str, str]:
        if self.logins is None:
            return {}
        login = self.logins.kafka(OPERATOR)
        return {
            "kafka_security_protocol": login.protocol,
            "kafka_sasl_mechanism": login.mechanism,
            "kafka_ssl_ca": str(login.ca),
            "kafka_sasl_username": OPERATOR,
            "kafka_sasl_password": self.logins.password(OPERATOR),
            "mongodb_uri": self.logins.mongodb_uri(OPERATOR),
        }
