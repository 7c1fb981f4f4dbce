"""How a process logs in to Kafka, as librdkafka is told it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman.errors import ConfigurationError
from pointsman.kafka import KafkaLogin
from pointsman.settings import Settings


def test_a_broker_that_asks_for_nothing_is_told_nothing() -> None:
    assert KafkaLogin.of(Settings()).config() == {}


def test_a_login_over_tls() -> None:
    told = Settings(
        kafka_security_protocol="SASL_SSL", kafka_sasl_username="agent-a", kafka_sasl_password="s3cret",
        kafka_ssl_ca=Path("/ca.crt"),
    )  # fmt: skip
    assert KafkaLogin.of(told).config() == {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "/ca.crt",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "agent-a",
        "sasl.password": "s3cret",
    }
    assert "s3cret" not in repr(told) + repr(KafkaLogin.of(told))


def test_encryption_alone_needs_no_login() -> None:
    assert KafkaLogin.of(Settings(kafka_security_protocol="SSL")).config() == {"security.protocol": "SSL"}


def test_a_login_without_a_password_is_refused_by_name() -> None:
    told = Settings(kafka_security_protocol="SASL_SSL", kafka_sasl_username="agent-a")
    with pytest.raises(ConfigurationError, match="POINTSMAN_KAFKA_SASL_PASSWORD"):
        KafkaLogin.of(told).config()
