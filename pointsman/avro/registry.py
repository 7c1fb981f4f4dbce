"""A schema registry that speaks Confluent's protocol, and the port before it.

The only home of `confluent_kafka.schema_registry`; it is imported where a registry is configured, for it is heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from pointsman.errors import ConfigurationError, RegistryUnavailableError
from pointsman.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

COMPATIBILITY: Final = "BACKWARD"
"""What a subject that we make is held to: the newest schema reads what was written with the one before."""

_TIMEOUT_S: Final = 3.0
_LATEST_FOR_S: Final = 1
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_REFUSED: Final = frozenset({401, 403})


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A schema in the registry.

    Attributes:
        id: its id, the same for the same schema for good.
        text: the schema.
    """

    id: int
    text: str


class Registry(Protocol):
    """Where Avro schemas are kept. Every method may raise `RegistryUnavailableError`, and `ConfigurationError`."""

    def by_id(self, number: int) -> str | None:
        """The schema of that id; None when there is none."""
        ...

    def latest(self, subject: str) -> Registered | None:
        """The newest schema of `subject`; None when it has none."""
        ...

    def takes(self, subject: str, text: str) -> bool:
        """Whether `text` may follow the newest schema of `subject`."""
        ...

    def register(self, subject: str, text: str) -> int:
        """Make `text` the newest schema of `subject`; its id. A new subject is held to `COMPATIBILITY`."""
        ...


class ConfluentRegistry:
    """A registry over HTTP.

    Args:
        settings: where it is and who asks.

    Raises:
        ConfigurationError: the address is of no use.
    """

    def __init__(self, settings: Settings) -> None:
        from confluent_kafka.schema_registry import SchemaRegistryClient

        try:
            self._client: SchemaRegistryClient = SchemaRegistryClient(_configuration(settings))
        except (ValueError, TypeError, OSError) as error:
            what = f"the schema registry's client cannot be made ({type(error).__name__})"
            raise ConfigurationError(what, "correct the settings POINTSMAN_SCHEMA_REGISTRY_*") from None

    def by_id(self, number: int) -> str | None:
        try:
            return _plain_text(self._client.get_schema(number))
        except Exception as error:
            if not _is_missing(error):
                raise_ours(error)
            return None

    def latest(self, subject: str) -> Registered | None:
        try:
            found = self._client.get_latest_version(subject)
        except Exception as error:
            if not _is_missing(error):
                raise_ours(error)
            return None
        text = _plain_text(found.schema)
        return Registered(id=int(found.schema_id or 0), text=text) if text else None

    def takes(self, subject: str, text: str) -> bool:
        try:
            return self._client.test_compatibility(subject, _schema(text))
        except Exception as error:
            # Confluent's registry knows nothing of a subject that has no schema yet.
            if not _is_missing(error):
                raise_ours(error)
            return True

    def register(self, subject: str, text: str) -> int:
        is_new = self.latest(subject) is None
        try:
            number = self._client.register_schema(subject, _schema(text))
            if is_new:
                self._client.set_compatibility(subject, COMPATIBILITY)
        except Exception as error:
            raise_ours(error, subject)
        # Otherwise the client would go on with what was newest before.
        self._client.clear_latest_caches()  # type: ignore[no-untyped-call]
        return number


def raise_ours(error: Exception, subject: str = "") -> NoReturn:
    """Raise our error for the client's `error`; neither address nor login stands in it.

    Raises:
        ConfigurationError: the registry refuses the login or the schema.
        RegistryUnavailableError: anything else.
    """
    status = getattr(error, "http_status_code", None)
    if status in _REFUSED:
        remedy = "correct POINTSMAN_SCHEMA_REGISTRY_USERNAME and _PASSWORD, or the rights of that user"
        raise ConfigurationError(f"the schema registry refuses the login ({status})", remedy) from None
    if status == _CONFLICT:
        what = f"the schema registry refuses the schema for {subject}: it cannot follow the one before"
        raise ConfigurationError(what, "`pointsman agents validate` says what has changed") from None
    said = f"answered with {status}" if status else f"does not answer ({type(error).__name__})"
    raise RegistryUnavailableError(f"the schema registry {said}; check POINTSMAN_SCHEMA_REGISTRY_URL") from None


def _is_missing(error: Exception) -> bool:
    return getattr(error, "http_status_code", None) == _NOT_FOUND


def _configuration(settings: Settings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "url": settings.schema_registry_url,
        "timeout": _TIMEOUT_S,
        # Whoever asks has waits of its own between tries.
        "max.retries": 0,
        # Otherwise what was newest once would be the newest for good.
        "cache.latest.ttl.sec": _LATEST_FOR_S,
    }
    if settings.schema_registry_ca:
        config["ssl.ca.location"] = str(settings.schema_registry_ca)
    if settings.schema_registry_username and settings.schema_registry_password:
        password = settings.schema_registry_password.get_secret_value()
        config["basic.auth.user.info"] = f"{settings.schema_registry_username}:{password}"
    return config


def _schema(text: str) -> Any:
    from confluent_kafka.schema_registry import Schema

    return Schema(text, "AVRO")


def _plain_text(schema: Any) -> str | None:
    # One that refers to others, or that is no Avro, is none that payloads are written with here.
    is_plain = (schema.schema_type or "AVRO") == "AVRO" and not schema.references
    return str(schema.schema_str) if is_plain else ""
