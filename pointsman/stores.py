"""Opens the document store that the settings name: MongoDB, or one that another package brings.

Such a package declares an entry point in the group `pointsman.stores`: a name, and a callable that takes the settings
and gives a `pointsman.store.DocumentStore`. `POINTSMAN_STORE` chooses it by that name.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Final

from pointsman.errors import ConfigurationError
from pointsman.settings import Settings
from pointsman.store import DocumentStore, MongoStore

GROUP: Final = "pointsman.stores"
MONGODB: Final = "mongodb"


def open_store(settings: Settings) -> DocumentStore:
    """The store that `settings` name; whoever opens it closes it.

    Raises:
        ConfigurationError: no package, or more than one, brings a store of that name, or its connection is wrong.
    """
    if settings.store == MONGODB:
        return MongoStore(settings.mongodb_uri.get_secret_value(), settings.mongodb_database)
    return _factory(settings.store)(settings)


def _factory(name: str) -> Callable[[Settings], DocumentStore]:
    found = list(entry_points(group=GROUP, name=name))
    if len(found) != 1:
        known = ", ".join(sorted({MONGODB, *(one.name for one in entry_points(group=GROUP))}))
        what = f"{len(found) or 'no'} installed packages bring a store called {name}"
        raise ConfigurationError(what, f"set POINTSMAN_STORE to one of {known}, or install the package that brings it")
    try:
        factory: Callable[[Settings], DocumentStore] = found[0].load()
    except (ImportError, AttributeError) as error:
        what = f"the store {name} cannot be loaded: {type(error).__name__} in {found[0].value}"
        raise ConfigurationError(what, "install that package anew with what it needs") from error
    return factory
