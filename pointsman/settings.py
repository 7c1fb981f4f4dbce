"""Settings: the one place where the environment is read.

A running local stack leaves its addresses in `<data dir>/stack.json`; they stand below the environment, so that
`pointsman leads add` finds the stack that `pointsman up` started. Names are `POINTSMAN_<NAME>`, but for those the
ecosystem already has (`KAFKA_BOOTSTRAP_SERVERS`, `MONGODB_URI`, `OPENAI_API_KEY`, `OPENAI_BASE_URL`). A secret may
stand in a file under the folder named by `POINTSMAN_SECRETS_DIR`, or under that of a login, `POINTSMAN_LOGIN_DIR`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from pointsman.console_account import ConsoleAccount
from pointsman.errors import ConfigurationError
from pointsman.models.prices import Price

AccessKey = Annotated[SecretStr, Field(min_length=24)]
"""A random text that somebody proves who they are with."""


class Settings(BaseSettings):
    """What a process of Pointsman is told from outside."""

    model_config = SettingsConfigDict(env_prefix="POINTSMAN_", extra="ignore", populate_by_name=True)

    data_dir: Path = Field(default=Path(".pointsman"), description="Where the local stack keeps state, logs and jars.")
    definitions_dir: Path = Field(default=Path("agent_definitions"), description="Folder of the agent YAML files.")
    workflow_limits: Path = Field(
        default=Path("workflow_limits.toml"), description="How far workflows may go; built-in limits without the file."
    )
    log_level: str = "info"
    operator: str | None = Field(default=None, description="Who acts by command; the machine's user when left out.")

    otel_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT", "otel_endpoint")
    )
    otel_traces_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "otel_traces_endpoint")
    )
    otel_traces_exporter: str = Field(
        default="otlp", validation_alias=AliasChoices("OTEL_TRACES_EXPORTER", "otel_traces_exporter")
    )
    otel_sdk_disabled: bool = Field(
        default=False, validation_alias=AliasChoices("OTEL_SDK_DISABLED", "otel_sdk_disabled")
    )
    otel_service_name: str | None = Field(
        default=None, validation_alias=AliasChoices("OTEL_SERVICE_NAME", "otel_service_name")
    )
    otel_capture_content: str = Field(
        default="NO_CONTENT",
        validation_alias=AliasChoices("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "otel_capture_content"),
    )
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="Port of this process's metrics; 0: the system chooses; unset: none."
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address that the metrics listen on.")
    metrics_file: Path | None = Field(
        default=None, description="Where a process leaves its metrics' address for Prometheus (file_sd)."
    )

    kafka_bootstrap: str = Field(
        default="127.0.0.1:9092", validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "kafka_bootstrap")
    )
    kafka_security_protocol: str = Field(default="PLAINTEXT", pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$")
    kafka_sasl_mechanism: str = Field(default="SCRAM-SHA-512", pattern="^(SCRAM-SHA-256|SCRAM-SHA-512|PLAIN)$")
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca: Path | None = Field(default=None, description="Certificates to trust, PEM; the system's if not set.")
    schema_registry_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^@\s]+$",
        description="Schema registry (Confluent's protocol): messages are Avro; JSON where it is not set.",
    )
    schema_registry_writes: bool = Field(
        default=True, description="Write messages as Avro; false: only read what is Avro already."
    )
    schema_registry_username: str | None = None
    schema_registry_password: SecretStr | None = None
    schema_registry_ca: Path | None = Field(default=None, description="Certificates to trust, PEM.")
    encryption_keys: SecretStr | None = Field(
        default=None,
        description="ID:KEY, several separated by commas: values are encrypted, the first key wraps; plain without.",
    )
    encryption_writes: bool = Field(
        default=True, description="Encrypt values; false: only read what is encrypted already."
    )
    store: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,40}$")] = Field(
        default="mongodb", description="Where agents keep documents: mongodb, or a store that another package brings."
    )
    store_uri: SecretStr | None = Field(default=None, description="Connection of a store other than mongodb.")
    mongodb_uri: SecretStr = Field(
        default=SecretStr("mongodb://127.0.0.1:27017/?replicaSet=rs0"),
        validation_alias=AliasChoices("MONGODB_URI", "mongodb_uri"),
    )
    mongodb_database: str = "sdr"
    flink_url: str = Field(default="http://127.0.0.1:8081", description="REST address of the Flink JobManager.")
    connect_url: str = Field(default="http://127.0.0.1:8083", description="REST address of Kafka Connect.")

    model: str = Field(default="gpt-4o-mini", description="Chat model where a definition names none.")
    openai_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("OPENAI_API_KEY", "openai_api_key")
    )
    openai_base_url: str | None = Field(
        default=None, validation_alias=AliasChoices("OPENAI_BASE_URL", "openai_base_url")
    )
    model_timeout_s: float = Field(default=5.0, gt=0, description="Seconds for one call where nothing else is said.")
    model_attempts: int = Field(default=3, ge=1, le=10)
    model_concurrency: int = Field(default=256, ge=1, description="Calls in flight per process and model.")
    model_breaker_failures: int = Field(
        default=5, ge=1, description="Attempts in a row without an answer, after which a model is left alone."
    )
    model_breaker_reset_s: float = Field(default=30.0, gt=0, description="Seconds until it is tried again.")
    model_outage_s: float = Field(
        default=900.0, ge=0, description="Seconds for which the router asks again while no model answers."
    )
    model_fallbacks: list[Annotated[str, StringConstraints(pattern=r"^\S+$")]] = Field(
        default=[], description="Models to ask, in this order, while the first is not available: name or name@base_url."
    )
    model_fallback_api_key: SecretStr | None = Field(
        default=None, description="Key for fallbacks at another address; OPENAI_API_KEY is never sent there."
    )
    model_prices: dict[str, Price] = Field(
        default={}, description="US dollars per million tokens, by model; beside or instead of the list prices."
    )

    embeddings: str = Field(
        default="hashed",
        pattern="^(hashed|sentence-model|openai:.+)$",
        description="How documents become vectors: hashed, sentence-model or openai:MODEL.",
    )
    knowledge_url: SecretStr | None = Field(
        default=None, description="postgresql://… of the index of documents; a file in the data folder when left out."
    )

    archive_dir: Path | None = Field(
        default=None,
        description="Folder of the archive's files as this machine sees it; unset: there is none.",
    )

    sweep_after_s: float = Field(
        default=600.0, gt=0, description="Seconds after which a lead that has not come to Kafka is sent on."
    )

    smtp_host: str = "127.0.0.1"
    smtp_port: int = 1025
    smtp_security: str = Field(default="none", pattern="^(none|starttls|tls)$")
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    mail_from: str = "Alex Kim <alex.kim@sdr.example>"
    mail_postal_address: str = "Example Ltd, 1 Example Street, Example City"
    mail_unsubscribe_base_url: str = "https://sdr.example/unsubscribe"
    mail_unsubscribe_secret: SecretStr | None = Field(
        default=None, description="Key of unsubscribe links; made once and kept in MongoDB when left out."
    )
    mail_dkim_selector: str | None = Field(default=None, description="Mails are signed when it and the key are set.")
    mail_dkim_key: SecretStr | None = Field(default=None, description="Private RSA key, PEM.")
    mail_daily_cap: int = Field(default=500, ge=0, description="Mails per day (UTC) over all leads.")
    mail_dry_run: bool = False
    mail_allow: list[str] = Field(
        default=[], description='Only these addresses and @domains get mail; ["*"] means everybody; empty: nobody.'
    )

    console_accounts: list[ConsoleAccount] = Field(
        default=[], description="Who may log in to the console: JSON list of name, role (viewer, operator), key_hash."
    )
    console_session_secret: AccessKey | None = Field(
        default=None, description="Signs the console's sessions; random at every start when left out."
    )
    console_oidc_issuer: str = Field(
        default="", pattern=r"^(https?://[^@\s]+)?$", description="OpenID provider of single sign-on; empty: none."
    )
    console_oidc_client_id: str = ""
    console_oidc_client_secret: SecretStr | None = None
    console_oidc_scope: str = Field(default="openid profile", description="What the provider is asked for.")
    console_oidc_role_claim: str = Field(default="groups", description="The claim that roles follow from.")
    console_oidc_operators: list[str] = Field(default=[], description="Values of that claim that make an operator.")
    console_oidc_viewers: list[str] = Field(default=[], description="Values of that claim that make a viewer.")
    console_oidc_name_claim: str = Field(
        default="preferred_username", description="The claim that stands as a name on what somebody does."
    )
    console_hosts: list[str] = Field(
        default=["127.0.0.1", "localhost"], description="Host names that the console answers to."
    )
    console_trusted_proxies: str = Field(
        default="", description="Addresses whose X-Forwarded-For and -Proto are believed, separated by commas."
    )
    leads_api_keys: dict[str, AccessKey] = Field(
        default={}, description="Who may post leads to /api/leads: JSON object of names and keys."
    )

    java_home: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("JAVA_HOME", "java_home"),
        description="JDK of the local stack and of job submission; the `java` on the PATH when not set.",
    )
    instance: str = Field(default="1", description="Name of this instance among those of one agent, unique per host.")
    instance_returns: bool = Field(
        default=True,
        description="Whether a restart has the same instance's name; false where a replacement gets another.",
    )
    nurture_day_s: float = Field(default=86400.0, gt=0, description="Seconds that a day of a campaign lasts.")

    @property
    def traces_url(self) -> str | None:
        """Where spans are sent; None where nobody wants them."""
        if self.otel_sdk_disabled or self.otel_traces_exporter != "otlp":
            return None
        base = self.otel_endpoint and f"{self.otel_endpoint.rstrip('/')}/v1/traces"
        return self.otel_traces_endpoint or base or None

    @property
    def captures_content(self) -> bool:
        """Whether prompts and answers, which hold personal data, are written onto spans."""
        return self.otel_capture_content.upper() in {"SPAN_ONLY", "SPAN_AND_EVENT"}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before secret files before the running local stack."""
        stack = JsonConfigSettingsSource(settings_cls, json_file=stack_file(), json_file_encoding="utf-8")
        return init_settings, env_settings, file_secret_settings, stack


class OutsideSettings(Settings):
    """The same settings without what a running local stack left: what the user has chosen."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before secret files."""
        return init_settings, env_settings, file_secret_settings


def stack_file() -> Path:
    """Where the local stack leaves its addresses: setting names and values, as JSON."""
    return Path(os.environ.get("POINTSMAN_DATA_DIR", ".pointsman")) / "stack.json"


def variables(names: Iterable[str]) -> dict[str, str]:
    """Those of the variables `names` that are set, with their values: for a program that is to get just these."""
    return {name: os.environ[name] for name in names if name in os.environ}


def wants_no_colour() -> bool:
    """Whether the user has set NO_COLOR, as https://no-color.org has it."""
    return bool(os.environ.get("NO_COLOR"))


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read once.

    Raises:
        ConfigurationError: a variable has a value that does not fit; the text names it, never its value.
    """
    return _read(Settings)


def outside_settings() -> Settings:
    """The settings as they are without a local stack: for starting one.

    Raises:
        ConfigurationError: as `settings`.
    """
    return _read(OutsideSettings)


def _read(kind: type[Settings]) -> Settings:
    # Of two files the one of the later folder counts: a login says who this process is.
    folders = [os.environ.get(name) for name in ("POINTSMAN_SECRETS_DIR", "POINTSMAN_LOGIN_DIR")]
    named = [folder for folder in folders if folder]
    try:
        return kind(_secrets_dir=named) if named else kind()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0])
        variable = name if name.isupper() else f"POINTSMAN_{name.upper()}"
        raise ConfigurationError(f"setting {variable}: {first['msg']}", f"correct {variable} and start again") from None
