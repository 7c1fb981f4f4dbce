"""How a client logs in to Kafka."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from pointsman.errors import ConfigurationError
from pointsman.settings import Settings


@dataclass(frozen=True, kw_only=True)
class KafkaLogin:
    """Who a client is, and how it knows that the broker is the right one; the default is nobody, unencrypted.

    Attributes:
        protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        mechanism: how it proves who it is, with a protocol of SASL.
        username: the user's name.
        password: the user's password.
        ca: certificates to trust, PEM; None trusts the system's.
        certificate: certificate and key in one PEM file, where the broker knows its users by certificate (`SSL`).
    """

    protocol: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None
    ca: Path | None = None
    certificate: Path | None = None

    @classmethod
    def of(cls, told: Settings) -> Self:
        """The login that the settings name."""
        return cls(
            protocol=told.kafka_security_protocol,
            mechanism=told.kafka_sasl_mechanism,
            username=told.kafka_sasl_username,
            password=told.kafka_sasl_password,
            ca=told.kafka_ssl_ca,
        )

    def config(self) -> dict[str, Any]:
        """The login as librdkafka names it; nothing where the broker asks for nothing.

        Raises:
            ConfigurationError: a login is wanted, and there is no name or password.
        """
        if self.protocol == "PLAINTEXT":
            return {}
        config: dict[str, Any] = {"security.protocol": self.protocol}
        if self.ca:
            config["ssl.ca.location"] = str(self.ca)
        if self.certificate:
            config |= {"ssl.certificate.location": str(self.certificate), "ssl.key.location": str(self.certificate)}
        return {**config, **self._sasl()} if self.protocol.startswith("SASL") else config

    def _sasl(self) -> dict[str, Any]:
        if self.username is None or self.password is None:
            remedy = "set POINTSMAN_KAFKA_SASL_USERNAME and POINTSMAN_KAFKA_SASL_PASSWORD"
            raise ConfigurationError(f"Kafka's {self.protocol} wants a login", remedy)
        return {
            "sasl.mechanism": self.mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password.get_secret_value(),
        }
