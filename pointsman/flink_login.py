"""How a Kafka client inside Flink logs in: the SQL connector carries Kafka's classes along under names of its own."""

from __future__ import annotations

from typing import Final

INSIDE_FLINKS_JAR: Final = "org.apache.flink.kafka.shaded."
"""What stands before the name of each of Kafka's classes there."""
SCRAM_MODULE: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"
USERNAME_FILE: Final = "pointsman_kafka_sasl_username"
PASSWORD_FILE: Final = "pointsman_kafka_sasl_password"  # noqa: S105  # a file's name
_PLAIN_MODULE: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"
_PROVIDER: Final = "org.apache.kafka.common.config.provider.DirectoryConfigProvider"
_ALIAS: Final = "login"


def login_from(folder: str, mechanism: str) -> dict[str, str]:
    """Properties of a client that logs in with the files in `folder`, and not as its JVM does.

    They name the files and hold no secret: Kafka's client reads them where it runs.

    Args:
        folder: as the process sees it in which the client runs; without colon, comma and `}`.
        mechanism: `PLAIN`, or one of SCRAM.
    """
    if not folder:
        return {}
    module = _PLAIN_MODULE if mechanism == "PLAIN" else SCRAM_MODULE
    user, password = (f"${{{_ALIAS}:{folder}:{name}}}" for name in (USERNAME_FILE, PASSWORD_FILE))
    return {
        "config.providers": _ALIAS,
        f"config.providers.{_ALIAS}.class": f"{INSIDE_FLINKS_JAR}{_PROVIDER}",
        f"config.providers.{_ALIAS}.param.allowed.paths": folder,
        "sasl.jaas.config": f'{INSIDE_FLINKS_JAR}{module} required username="{user}" password="{password}";',
    }
