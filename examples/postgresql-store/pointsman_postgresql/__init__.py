"""Documents of Pointsman's agents in PostgreSQL; `POINTSMAN_STORE=postgresql` chooses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pointsman.errors import ConfigurationError
from pointsman_postgresql.store import PostgresStore

if TYPE_CHECKING:
    from pointsman.settings import Settings


def open_store(settings: Settings) -> PostgresStore:
    """The store at `POINTSMAN_STORE_URI`.

    Raises:
        ConfigurationError: the setting is missing.
    """
    if settings.store_uri is None:
        raise ConfigurationError("POINTSMAN_STORE_URI is not set", "set it to postgresql://HOST/DATABASE")
    return PostgresStore(settings.store_uri.get_secret_value())
